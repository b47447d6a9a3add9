//! Commands of the machine's own tools: `ip`, `nft`, `tc`.

use std::process::{Command, Stdio};

use crate::failure::Failure;

/// Runs a command to its end; what it writes is in the error, if it fails.
///
/// # Errors
/// If it cannot be started or says no.
pub fn run(program: &str, args: &[&str]) -> Result<String, Failure> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| Failure::unavailable(format!("cannot run {program}: {error}")))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(said(&output.stdout));
    }
    Err(Failure::internal(format!("{program} {}: {}", args.join(" "), said(&output.stderr))))
}

/// A command that runs in a namespace: `ip` executes it in its own place, so its process id is the program's.
pub fn inside(namespace: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

/// Whether this machine can do it at all.
///
/// # Errors
/// With the names of what is missing, and how to get it.
pub fn check_machine() -> Result<(), Failure> {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::unavailable(
            "network namespaces need root: run it as root, or in a virtual machine of your own",
        ));
    }
    let tools = [("ip", "iproute2"), ("tc", "iproute2"), ("nft", "nftables")];
    let missing: Vec<_> = tools.into_iter().filter(|(tool, _)| !is_there(tool)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    let names: Vec<&str> = missing.iter().map(|(tool, _)| *tool).collect();
    Err(Failure::unavailable(format!(
        "missing: {}; on Debian and Ubuntu: apt-get install {}",
        names.join(", "),
        packages.join(" ")
    )))
}

fn is_there(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}
