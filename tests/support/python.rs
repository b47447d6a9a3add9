//! A Python of our own in `target/venv`, with the packages of `tests/clients/requirements.txt`, and one with pip alone.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::{target_folder, workspace};

/// The interpreter of `target/venv`, made first if it is missing or its requirements have changed.
///
/// # Errors
/// Where Python 3 or its `venv` module is missing, or a package cannot be installed: what to do about it.
pub fn python() -> Result<PathBuf, String> {
    let requirements = workspace().join("tests/clients/requirements.txt");
    let wanted = fs::read(&requirements)
        .map_err(|error| format!("cannot read {}: {error}", requirements.display()))?;
    environment("venv", &wanted, |interpreter| {
        let mut pip = Command::new(interpreter);
        output(pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements))
            .map(drop)
            .map_err(|error| {
                format!("{error}\nIs the package index that pip is set up for within reach? See `pip config list`.")
            })
    })
}

/// The interpreter of `target/pip`, which has pip and nothing else: who only fetches a server need not wait for packages.
///
/// # Errors
/// Where Python 3 or its `venv` module is missing: what to do about it.
pub(crate) fn bare_python() -> Result<PathBuf, String> {
    environment("pip", b"", |_| Ok(()))
}

/// The interpreter of `target/<name>`, made anew unless it was filled for the same wish.
fn environment(
    name: &str,
    wanted: &[u8],
    fill: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let folder = target_folder().join(name);
    let (interpreter, stamp) = (folder.join("bin/python"), folder.join("requirements.installed"));
    // Several test processes may come here at once; the kernel drops the lock of one that dies.
    let lock = folder.with_extension("lock");
    let lock = File::create(&lock).map_err(|error| format!("cannot create {}: {error}", lock.display()))?;
    lock.lock().map_err(|error| format!("cannot lock target/{name}.lock: {error}"))?;
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(interpreter);
    }
    let _ = fs::remove_dir_all(&folder);
    let mend = "Python 3 with its venv module is needed: `apt-get install python3 python3-venv` (or run tests/run as root)";
    output(Command::new("python3").args(["-m", "venv"]).arg(&folder))
        .map_err(|error| format!("{error}\n{mend}"))?;
    fill(&interpreter)?;
    fs::write(&stamp, wanted).map_err(|error| format!("cannot write {}: {error}", stamp.display()))?;
    Ok(interpreter)
}

/// Runs a command to its end and gives what it printed, or an error with what it complained about.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|error| format!("cannot run {shown}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(format!("{shown} failed ({})\n{}{}", output.status, out, err))
}
