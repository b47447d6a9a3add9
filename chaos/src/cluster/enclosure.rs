//! A world of one's own for a run: its network, its mounts and its processes are nobody else's, and go with it.
//!
//! ```text
//!   chaos run … ──► setpriv --pdeathsig ──► unshare: net, mount, pid ──► chaos run … (process 1 in there)
//!     waits, passes signals on                                             ├─ nats-server, in the namespace n0
//!                                                                          └─ …
//! ```
//!
//! The kernel cleans up, not a list of things to undo: when process 1 of a pid namespace ends, however it does, the
//! kernel kills every other process in there; with the last of them the network namespaces, the bridge, the rules and
//! the mounts vanish, and with the mounts the loop devices. Names need no prefix, since nobody outside sees them.
//! Not even a SIGKILL of the outer process leaves anything: it takes the inner ones along.
//!
//! Where namespaces are not to be had there is an inner process all the same, whose end takes along what it started, by
//! parent death signals. Nothing else is there to be left behind then: hosts are addresses of the loopback device.
//!
//! One thing the kernel does not clean up: a file system that was frozen (a disk that stalls) stays so for ever, and
//! with it its device, and a process that writes to it cannot even be killed. So a shell waits in the enclosure's mounts,
//! outside its processes, for the end of the outer process, and thaws.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{ChildStdin, Command};

use crate::interrupt::Interrupt;
use crate::shell::run;

/// Set for the inner process.
const INSIDE: &str = "LEASE_CHAOS_INSIDE";

/// What a run needs besides Rust, and the Debian package it is in.
const PROGRAMS: [(&str, &str); 10] = [
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("mount", "mount"),
    ("losetup", "mount"),
    ("fsfreeze", "util-linux"),
    ("mkfs.ext4", "e2fsprogs"),
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("nft", "nftables"),
];

/// Whether this is the inner process.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Set for the inner process if it is root in a user namespace only.
const BY_USER: &str = "LEASE_CHAOS_BY_USER";
/// Set for the inner process if it has no namespaces.
const BY_LINKS: &str = "LEASE_CHAOS_BY_LINKS";

/// Whether hosts are namespaces in here; if not, there is a proxy on each link.
pub fn has_namespaces() -> bool {
    std::env::var_os(BY_LINKS).is_none()
}

/// Whether loop devices can be had in here: not in a user namespace.
pub fn has_disks() -> bool {
    has_namespaces() && std::env::var_os(BY_USER).is_none()
}

/// Whose rights an enclosure is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Root's: everything can be had.
    Root,
    /// A user's, who is root in a namespace of their own: no loop devices.
    User,
    /// Nobody's: no namespaces at all.
    Links,
}

/// What is missing on this machine for a run with these rights.
///
/// # Errors
/// With the way to mend it.
pub fn programs(rights: Rights) -> Result<(), String> {
    let needed = |program: &str| rights != Rights::Links || program == "setpriv";
    let missing = PROGRAMS.iter().filter(|(program, _)| needed(program));
    let missing: Vec<_> = missing.filter(|(program, _)| on_path(program).is_none()).collect();
    if !missing.is_empty() {
        let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
        let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
        packages.dedup();
        return Err(format!(
            "missing: {}; on Debian: apt-get install {}",
            programs.join(", "),
            packages.join(" ")
        ));
    }
    Ok(())
}

/// With whose rights an enclosure with namespaces can be had here.
///
/// # Errors
/// If it cannot, with the way to mend it.
pub fn check() -> Result<Rights, String> {
    let rights = if rustix::process::geteuid().is_root() { Rights::Root } else { Rights::User };
    let tried = std::process::Command::new("env").args(namespaces(rights)).arg("true").output();
    match tried {
        Ok(done) if done.status.success() => Ok(rights),
        Ok(done) => Err(format!(
            "no namespaces to be had here ({}): run it as root, on a machine or in a container that has CAP_SYS_ADMIN \
             and CAP_NET_ADMIN, or where users may have namespaces of their own (kernel.unprivileged_userns_clone)",
            String::from_utf8_lossy(&done.stderr).trim()
        )),
        Err(error) => Err(format!("unshare: {error}")),
    }
}

fn namespaces(rights: Rights) -> Vec<&'static str> {
    let user = ["--user", "--map-root-user"];
    let all = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];
    match rights {
        Rights::Root => [&["unshare"][..], &all].concat(),
        Rights::User => [&["unshare"][..], &user, &all].concat(),
        Rights::Links => Vec::new(),
    }
}

/// Where a program is.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Gives the run shared memory of its own, which goes with its mounts: `libfaketime` leaves some of each process that is killed,
/// named by a process id, and two runs have the same ones. Where it cannot be had, or would hide a file of the run, that is said.
pub async fn own_shared_memory(files: &[&Path]) {
    if !has_namespaces() || files.iter().any(|file| file.starts_with(SHARED_MEMORY)) {
        eprintln!("chaos: libfaketime may leave files in {SHARED_MEMORY}");
        return;
    }
    if let Err(why) = run(&format!("mount -t tmpfs tmpfs {SHARED_MEMORY}")).await {
        eprintln!("chaos: libfaketime may leave files in {SHARED_MEMORY}: {why}");
    }
}

const SHARED_MEMORY: &str = "/dev/shm";

/// How a run in an enclosure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Exit(u8),
    /// It was told to, or was killed for not doing so in time.
    Interrupted,
}

/// Runs this very program again, with these arguments and variables, in an enclosure, and waits for its end. Ctrl-C and
/// SIGTERM are passed on; a second one, or ten seconds, end it the hard way. What is mounted at `disks` may be frozen by
/// the end.
///
/// # Errors
/// If there is no enclosure to be had.
pub async fn enter(
    rights: Rights,
    arguments: &[String],
    variables: &[(&str, PathBuf)],
    disks: &[PathBuf],
) -> Result<End, String> {
    let mut interrupt = Interrupt::listen()?;
    let own = std::env::current_exe().map_err(|error| format!("where this program is: {error}"))?;
    // The parent death signal is tied to this thread, which is the main one: it lives as long as the process.
    let mut command = Command::new("setpriv");
    match rights {
        Rights::Root => {}
        Rights::User => drop(command.env(BY_USER, "1")),
        Rights::Links => drop(command.env(BY_LINKS, "1")),
    }
    let mut child = command
        .args(["--pdeathsig", "KILL", "--"])
        .args(namespaces(rights))
        .arg(own)
        .args(arguments)
        .env(INSIDE, "1")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        // A group of its own, so that a signal reaches it in one way only, from here: Ctrl-C tells a whole group.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| error.to_string())?;
    let outer = child.id().unwrap_or_default();
    let inner = || if rights == Rights::Links { pid(outer) } else { child_of(outer) };
    // Kept: its end is what the shell waits for.
    let mut thawer = match rights {
        Rights::Root if !disks.is_empty() => Some(thawer(outer, disks).await?),
        _ => None,
    };
    let mut told: Option<Instant> = None;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.map_err(|error| error.to_string())?,
            () = interrupt.told() => match told {
                None => {
                    eprintln!("chaos: told to end; once more ends it the hard way");
                    told = Some(Instant::now());
                    // `unshare` itself blocks SIGTERM. Gone already: then there is nothing to tell.
                    let _ = inner().map(|inner| kill_process(inner, Signal::TERM));
                }
                // It takes the inner process along, and that one all others.
                Some(_) => drop(child.start_kill()),
            },
            () = tokio::time::sleep(LOOK) => {
                if told.is_some_and(|told| told.elapsed() > GRACE) {
                    drop(child.start_kill());
                }
                // It has come to its end, by a panic say, and waits for that of the others: one of which may write to
                // a disk that is frozen, and cannot even be killed.
                if inner().is_some_and(is_ending) {
                    thawer = None;
                }
            }
        }
    };
    drop(thawer);
    Ok(match status.code().and_then(|code| u8::try_from(code).ok()) {
        _ if told.is_some() => End::Interrupted,
        Some(INTERRUPTED) => End::Interrupted,
        Some(code) => End::Exit(code),
        None => End::Exit(137),
    })
}

/// The exit code of the inner process when it was told to end.
pub const INTERRUPTED: u8 = 130;
/// How long it may take after it was told.
const GRACE: Duration = Duration::from_secs(10);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// Thaws again and again for two seconds: a process that was held up by one disk may have been about to freeze another.
const THAW: &str = "cat >/dev/null; for try in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; \
    for disk in \"$@\"; do fsfreeze --unfreeze \"$disk\"; done; done 2>/dev/null";

/// Starts the shell that thaws, once there is an enclosure to start it in.
async fn thawer(unshare: u32, disks: &[PathBuf]) -> Result<ChildStdin, String> {
    let (own, inner) = (PathBuf::from("/proc/self/ns/mnt"), PathBuf::from(format!("/proc/{unshare}/ns/mnt")));
    for _ in 0..500 {
        if let (Ok(own), Ok(inner)) = (own.read_link(), inner.read_link())
            && own != inner
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut shell = Command::new("nsenter")
        .arg(format!("--mount={}", inner.display()))
        .args(["--", "sh", "-c", THAW, "lease-chaos-thaw"])
        .args(disks)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        // Its own group, so that Ctrl-C leaves it to do its work.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("nsenter: {error}"))?;
    shell.stdin.take().ok_or_else(|| "a shell without standard input".into())
}

fn pid(raw: u32) -> Option<Pid> {
    i32::try_from(raw).ok().and_then(Pid::from_raw)
}

/// The one child of a process: of `unshare` that is the inner process.
fn child_of(parent: u32) -> Option<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok().and_then(pid)
}

/// Whether a process is there and has no memory any more: it only waits for others.
fn is_ending(pid: Pid) -> bool {
    std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).is_ok_and(|line| line.is_empty())
}
