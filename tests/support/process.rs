//! Programs under test: start them, read what they print, signal them, see how they end.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::child::Child;
use crate::eventually::eventually;
use crate::folder::Folder;
use crate::programs::program;
use crate::user::User;

/// A program about to be started.
///
/// Its standard input is empty unless said otherwise, its output goes to files, and no `LEASE_…` or `NATS_…` variable
/// of the tests' own environment reaches it.
#[derive(Debug)]
pub struct Launch {
    program: PathBuf,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    input: Input,
}

#[derive(Debug)]
enum Input {
    Empty,
    Bytes(Vec<u8>),
    Pipe,
    Open(OwnedFd),
}

/// How a process ended: by a code or by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code.
    pub code: Option<i32>,
    /// The number of the signal that killed it.
    pub signal: Option<i32>,
}

/// A program that was run to its end.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

/// A running program. Dropping it kills it and everything below it.
#[derive(Debug)]
pub struct Process {
    // Before the folder: first it ends, then its files go.
    child: Child,
    name: String,
    folder: Folder,
}

impl Launch {
    /// Any program.
    pub fn program(path: impl Into<PathBuf>) -> Launch {
        Launch { program: path.into(), args: Vec::new(), envs: Vec::new(), input: Input::Empty }
    }

    /// `lease-daemon`, brought up to date first.
    pub fn daemon() -> Launch {
        Launch::program(program("lease-daemon"))
    }

    /// `lease`, brought up to date first.
    pub fn lease() -> Launch {
        Launch::program(program("lease"))
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Launch {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    pub fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Launch {
        args.into_iter().fold(self, Launch::arg)
    }

    /// A variable of its environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Launch {
        self.envs.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// As another user, which takes root.
    pub fn as_user(mut self, user: &User) -> Launch {
        let program = std::mem::replace(&mut self.program, "setpriv".into());
        let words = user.setpriv().into_iter().map(OsString::from).chain([program.into_os_string()]);
        self.args.splice(0..0, words);
        self
    }

    /// What it reads from its standard input.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Launch {
        self.input = Input::Bytes(bytes.into());
        self
    }

    /// A standard input that stays open: see [`Process::take_stdin`].
    pub fn open_stdin(mut self) -> Launch {
        self.input = Input::Pipe;
        self
    }

    /// What its standard input is.
    pub fn stdin(mut self, input: impl Into<OwnedFd>) -> Launch {
        self.input = Input::Open(input.into());
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(self) -> Process {
        let name = self.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = Folder::new(&name);
        let create =
            |file: &str| File::create(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut command = Command::new(&self.program);
        for (variable, _) in std::env::vars_os() {
            let text = variable.to_string_lossy();
            if text.starts_with("LEASE_") || text.starts_with("NATS_") {
                command.env_remove(&variable);
            }
        }
        command.args(&self.args).envs(self.envs).stdout(create("stdout")).stderr(create("stderr"));
        let (stdin, bytes) = match self.input {
            Input::Empty => (Stdio::null(), None),
            Input::Bytes(bytes) => (Stdio::piped(), Some(bytes)),
            Input::Pipe => (Stdio::piped(), None),
            Input::Open(input) => (Stdio::from(input), None),
        };
        command.stdin(stdin);
        let mut child = Child::spawn(&mut command)
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.program.display()));
        if let Some(bytes) = bytes
            && let Some(mut stdin) = child.take_stdin()
        {
            // Aside, because a program that does not read would block us once the pipe is full.
            std::thread::spawn(move || stdin.write_all(&bytes));
        }
        Process { child, name, folder }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it has not ended after `limit`.
    pub async fn output(self, limit: Duration) -> Output {
        let mut process = self.start();
        let exit = process.exit(limit).await;
        Output { exit, stdout: process.stdout(), stderr: process.stderr() }
    }
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// All that it has written to its standard output so far.
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// All that it has written to its standard error so far.
    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    fn read(&self, file: &str) -> String {
        fs::read(self.folder.join(file))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The folder with its `stdout` and `stderr`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits for a complete line, of either output, that contains `text`, and gives it.
    ///
    /// # Panics
    /// If none comes within `limit`.
    #[track_caller]
    pub fn line(&self, text: &str, limit: Duration) -> impl Future<Output = String> {
        let what = format!(
            "a line of {} with {text:?}; its output is in {}",
            self.name,
            self.folder.path().display()
        );
        let text = text.to_owned();
        eventually(what, limit, async move || {
            [self.stdout(), self.stderr()].iter().find_map(|output| {
                let complete = &output[..=output.rfind('\n')?];
                complete.lines().find(|line| line.contains(&text)).map(str::to_owned)
            })
        })
    }

    /// Whether it has not ended yet (it may be paused).
    pub fn running(&mut self) -> bool {
        self.child.exit().is_none()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it has not ended after `limit`; with what it has written.
    pub async fn exit(&mut self, limit: Duration) -> Exit {
        match self.child.exit_within(limit).await {
            Some(status) => status.into(),
            None => panic!(
                "{} still runs after {limit:?}\n--- its output:\n{}--- its messages:\n{}",
                self.name,
                self.stdout(),
                self.stderr()
            ),
        }
    }

    /// SIGKILL, and waits for its end. What it started lives on until this handle is dropped.
    pub fn kill9(&mut self) {
        self.child.kill9();
    }

    /// SIGTERM; does not wait.
    pub fn sigterm(&mut self) {
        self.child.signal(Signal::TERM);
    }

    /// SIGINT; does not wait.
    pub fn sigint(&mut self) {
        self.child.signal(Signal::INT);
    }

    /// SIGQUIT; does not wait.
    pub fn sigquit(&mut self) {
        self.child.signal(Signal::QUIT);
    }

    /// SIGHUP; does not wait.
    pub fn sighup(&mut self) {
        self.child.signal(Signal::HUP);
    }

    /// SIGSTOP, and waits until it stands still.
    pub fn pause(&mut self) {
        self.child.pause();
    }

    /// SIGCONT.
    pub fn resume(&mut self) {
        self.child.resume();
    }

    /// The writing end of its standard input, once, after [`Launch::open_stdin`].
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.take_stdin()
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Exit {
        Exit { code: status.code(), signal: status.signal() }
    }
}
