//! A Python of our own in `target/venv`: it brings pip, and the packages of `tests/clients/requirements.txt`.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use crate::programs::{target_folder, workspace};

/// The interpreter of `target/venv`, made first if it is missing or its requirements have changed.
///
/// # Errors
/// Where Python 3 or its `venv` module is missing, or a package cannot be installed: what to do about it.
pub fn python() -> Result<PathBuf, String> {
    let target = target_folder();
    let venv = target.join("venv");
    let interpreter = venv.join("bin/python");
    let requirements = workspace().join("tests/clients/requirements.txt");
    let wanted = fs::read(&requirements)
        .map_err(|error| format!("cannot read {}: {error}", requirements.display()))?;
    let stamp = venv.join("requirements.installed");

    // Several test processes may come here at once; the kernel drops the lock of one that dies.
    let lock = target.join("venv.lock");
    let lock = File::create(&lock).map_err(|error| format!("cannot create {}: {error}", lock.display()))?;
    lock.lock().map_err(|error| format!("cannot lock target/venv.lock: {error}"))?;
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(interpreter);
    }

    let _ = fs::remove_dir_all(&venv);
    let mend = "Python 3 with its venv module is needed: `apt-get install python3 python3-venv` (or run tests/run as root)";
    output(Command::new("python3").args(["-m", "venv"]).arg(&venv))
        .map_err(|error| format!("{error}\n{mend}"))?;
    let mut pip = Command::new(&interpreter);
    output(pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements)).map_err(
        |error| {
            format!(
                "{error}\nIs the package index that pip is set up for within reach? See `pip config list`."
            )
        },
    )?;
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
