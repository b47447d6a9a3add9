//! A PostgreSQL server of a test's own, and sessions of it: `psql`, as a person would use it.
//!
//! It listens on a Unix socket in its own data folder and on nothing else. PostgreSQL refuses to run as root, so where
//! the tests do, it runs as `nobody`, whom every machine has.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};
use std::time::Duration;
use std::{env, fs, io::Write as _};

use crate::eventually::eventually;
use crate::folder::Folder;
use crate::process::{Launch, Process};

/// Generous: only a failing test waits that long.
const LIMIT: Duration = Duration::from_secs(60);
/// `nobody` and `nogroup`, on Debian and elsewhere.
const NOBODY: u32 = 65_534;

/// A running server with an empty database. Dropping it ends it and removes its files.
#[derive(Debug)]
pub struct Postgres {
    // Before the folder: first it ends, then its files go.
    process: Process,
    binaries: PathBuf,
    data: PathBuf,
    _folder: Folder,
}

impl Postgres {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// If there is no PostgreSQL on this machine (the message says how to get it), or it does not start.
    pub async fn start() -> Postgres {
        let binaries = binaries().unwrap_or_else(|| {
            panic!(
                "no PostgreSQL found, neither on the PATH nor in /usr/lib/postgresql/*/bin: `apt-get install postgresql` \
                 (or run tests/run as root)"
            )
        });
        let folder = Folder::new("postgres");
        let data = folder.join("data");
        fs::create_dir(&data).unwrap_or_else(|error| panic!("cannot create {}: {error}", data.display()));
        if root() {
            chown(&data, Some(NOBODY), Some(NOBODY)).unwrap_or_else(|error| panic!("chown: {error}"));
            // Whatever the umask, `nobody` must be able to pass.
            for folder in [Some(folder.path()), folder.path().parent()].into_iter().flatten() {
                let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o755));
            }
        }
        let made = as_nobody(&binaries.join("initdb"))
            .args([
                "--no-sync",
                "--auth",
                "trust",
                "--username",
                "test",
                "--encoding",
                "UTF8",
                "--locale",
                "C",
            ])
            .arg("--pgdata")
            .arg(&data)
            .output(LIMIT)
            .await;
        assert_eq!(made.exit.code, Some(0), "initdb: {}{}", made.stdout, made.stderr);
        let mut process = as_nobody(&binaries.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=50"])
            .start();
        let ready = eventually("postgres accepts connections", LIMIT, async || {
            if !process.running() {
                return Some(false);
            }
            // What it says of itself in the file is complete once this word is there.
            let said = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
            said.lines().nth(7).is_some_and(|line| line.trim() == "ready").then_some(true)
        })
        .await;
        assert!(ready, "postgres ended: {}", process.stderr());
        Postgres { process, binaries, data, _folder: folder }
    }

    /// Opens a session.
    pub fn session(&self) -> Session {
        let mut process = Launch::program(self.binaries.join("psql"))
            // No start-up file, quiet, values only, and a mistake does not end it.
            .args(["-X", "-q", "-A", "-t", "-U", "test", "-d", "postgres", "-h"])
            .arg(&self.data)
            .open_stdin()
            .start();
        let input = process.take_stdin().unwrap_or_else(|| panic!("psql has a standard input"));
        Session { process, input, asked: 0 }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Killed, it would leave a few bytes of shared memory behind; asked to stop at once, it does not.
        self.process.sigquit();
        let begun = std::time::Instant::now();
        while self.process.running() && begun.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A session: one connection, one statement after the other.
#[derive(Debug)]
pub struct Session {
    process: Process,
    input: ChildStdin,
    asked: u64,
}

/// How a statement ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How many rows it changed or gave.
    pub rows: u64,
    /// The error's code; `00000` where there was none.
    pub state: String,
    /// The first column of the first row, where there is one; else the error's message, if any.
    pub text: String,
}

/// A statement that is on its way.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Sent(u64);

impl Session {
    /// Runs a statement and waits for its end.
    ///
    /// # Panics
    /// If it has not ended after a minute.
    pub async fn run(&mut self, statement: &str) -> Answer {
        let sent = self.send(statement);
        self.answer(sent).await
    }

    /// Runs a statement that must succeed.
    ///
    /// # Panics
    /// If it fails, or has not ended after a minute.
    #[track_caller]
    pub fn must(&mut self, statement: &str) -> impl Future<Output = Answer> {
        let (caller, shown, sent) =
            (std::panic::Location::caller(), statement.to_owned(), self.send(statement));
        async move {
            let answer = self.answer(sent).await;
            assert_eq!(answer.state, "00000", "{caller}: {shown}: {}", answer.text);
            answer
        }
    }

    /// Gives a statement to the session without waiting: it may be paused, or wait for a lock.
    pub fn send(&mut self, statement: &str) -> Sent {
        self.asked += 1;
        let (number, statement) = (self.asked, statement.trim().trim_end_matches(';'));
        // \gset needs a result of one row, so the value is asked for by those who want one: `RETURNING … AS value`.
        let end = if statement.contains("AS value") { r"\gset" } else { ";" };
        // \warn, because standard error is not buffered.
        let text = format!(
            "\\set value ''\n{statement}\n{end}\n\\warn done-{number} :SQLSTATE :ROW_COUNT :value :LAST_ERROR_MESSAGE\n"
        );
        // Less than the pipe takes, so it does not block even while the session is paused.
        self.input.write_all(text.as_bytes()).unwrap_or_else(|error| panic!("psql has gone: {error}"));
        Sent(number)
    }

    /// Waits for the end of a statement.
    ///
    /// # Panics
    /// If it has not ended after a minute.
    pub async fn answer(&self, sent: Sent) -> Answer {
        let line = self.process.line(&format!("done-{} ", sent.0), LIMIT).await;
        let mut words = line.splitn(4, ' ').skip(1);
        let state = words.next().unwrap_or_default().to_owned();
        let rows = words.next().and_then(|count| count.parse().ok()).unwrap_or_default();
        let text = words.next().unwrap_or_default();
        // The message is the last error's, however long ago.
        let text = if state == "00000" { text.split(' ').next().unwrap_or_default() } else { text.trim() };
        Answer { rows, state, text: text.to_owned() }
    }

    /// SIGSTOP, and waits until it stands still.
    pub fn pause(&mut self) {
        self.process.pause();
    }

    /// SIGCONT.
    pub fn resume(&mut self) {
        self.process.resume();
    }
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

fn as_nobody(program: &Path) -> Launch {
    if !root() {
        return Launch::program(program);
    }
    let id = NOBODY.to_string();
    // It becomes the program, so signals reach that.
    Launch::program("setpriv").args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]).arg(program)
}

/// The folder with `initdb`, `postgres` and `psql`: that of the newest release there is.
fn binaries() -> Option<PathBuf> {
    let releases = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let mut releases: Vec<(u32, PathBuf)> = releases
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    releases.sort();
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|folder| folder.join("postgres"));
    // A link from the PATH leads to the folder with the others.
    let on_path = on_path.filter_map(|program| Some(program.canonicalize().ok()?.parent()?.to_path_buf()));
    let pg_config = Command::new("pg_config").arg("--bindir").output().ok();
    let said = pg_config.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let complete =
        |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file());
    releases.into_iter().rev().map(|(_, folder)| folder).chain(on_path).chain(said).find(complete)
}
