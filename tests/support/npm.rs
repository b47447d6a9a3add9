//! Packages of npm's, pinned by a lock file, below `target/`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::{target_folder, workspace};
use crate::python::output;

/// The folder below `target/` into which the packages of `folder` (in the repository, with its `package.json` and
/// `package-lock.json`) are installed, first of all if they are not yet.
///
/// # Errors
/// Where there is no npm, or it cannot install them: what to do about it.
pub fn packages(folder: &str) -> Result<PathBuf, String> {
    let (from, into) = (workspace().join(folder), target_folder().join("npm").join(folder));
    let say = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    fs::create_dir_all(&into).map_err(|error| say(&into, error))?;
    let lock = into.join("lock");
    let lock = File::create(&lock).map_err(|error| say(&lock, error))?;
    lock.lock().map_err(|error| say(&into, error))?;
    let wanted = from.join("package-lock.json");
    let wanted = fs::read(&wanted).map_err(|error| say(&wanted, error))?;
    let stamp = into.join("installed");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(into);
    }
    for file in ["package.json", "package-lock.json"] {
        fs::copy(from.join(file), into.join(file)).map_err(|error| say(&from.join(file), error))?;
    }
    output(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--silent"]).current_dir(&into))
        .map_err(|error| {
            format!(
                "{error}\nNode.js with npm is needed, and npm's registry within reach (see `npm config list`)"
            )
        })?;
    fs::write(&stamp, wanted).map_err(|error| say(&stamp, error))?;
    Ok(into)
}
