//! A run that has begun, and what is to be seen of it from outside.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use chaos::cluster::enclosure;
use chaos::history::{Line, What};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use support::Folder;

/// Three servers that start on a busy machine take a while.
const LIMIT: Duration = Duration::from_secs(90);

fn command(scenario: &str, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
    command.args(["run", scenario, "--seed", "5", "--seconds", "60", "--out"]).arg(folder);
    // As a shell with a terminal does: signals to its group are for it alone.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command
}

/// A run at work. Ended on drop, however a test ends.
pub struct Begun {
    pub child: Child,
    scenario: String,
    reader: Option<ChildStderr>,
    folder: PathBuf,
    stderr: PathBuf,
    shared_memory: usize,
    _kept: Folder,
}

impl Begun {
    /// Starts a run, and waits until all of it is at work. What it says is in a file.
    pub fn at_work(scenario: &str) -> Begun {
        Begun::start(scenario, &[], |stderr| File::create(stderr).expect("a file").into())
    }

    /// The same, and what it says is read by somebody.
    pub fn at_work_for_a_reader(scenario: &str) -> Begun {
        Begun::start(scenario, &[], |_| Stdio::piped())
    }

    /// The same without namespaces.
    pub fn by_links(scenario: &str) -> Begun {
        Begun::start(scenario, &["--links"], |stderr| File::create(stderr).expect("a file").into())
    }

    fn start(scenario: &str, how: &[&str], stderr: impl FnOnce(&Path) -> Stdio) -> Begun {
        let kept = Folder::new("chaos");
        let (folder, file) = (kept.join("run"), kept.join("stderr"));
        let mut command = command(scenario, &folder);
        let shared_memory = shared_memory();
        let mut child = command.args(how).stderr(stderr(&file)).spawn().expect("chaos starts");
        let reader = child.stderr.take();
        let run = Begun {
            child,
            scenario: scenario.into(),
            reader,
            folder,
            stderr: file,
            shared_memory,
            _kept: kept,
        };
        run.wait_for_work();
        run
    }

    fn wait_for_work(&self) {
        let history = wait("a fault, a grant, a write, and a revision", || {
            let lines = self.lines();
            let is_there = |wanted: fn(&What) -> bool| lines.iter().any(|line| wanted(&line.what));
            let all = is_there(|what| matches!(what, What::Fault { .. }))
                && is_there(|what| matches!(what, What::Granted { .. }))
                && is_there(|what| matches!(what, What::Used { .. }))
                && is_there(|what| matches!(what, What::Revision { .. }));
            all.then_some(lines)
        });
        let began =
            |what: &What| matches!(what, What::Began { scenario, seed: 5, .. } if *scenario == self.scenario);
        assert!(began(&history[0].what), "{:?}", history[0]);
        assert!(self.processes() > 10, "it is at work");
    }

    /// Waits for a line.
    pub fn wait_for<T>(&self, what: &str, wanted: impl Fn(&What) -> Option<T>) -> T {
        wait(what, || self.lines().iter().find_map(|line| wanted(&line.what)))
    }

    /// Every whole line so far.
    pub fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(self.folder.join("history.jsonl")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("a line of the history")).collect()
    }

    /// What it has said to people.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// SIGKILL, and its end.
    pub fn kill(&mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("its end");
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it is there");
    }

    pub fn signal_group(&self, signal: Signal) {
        kill_process_group(self.pid(), signal).expect("it is there");
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id")).expect("a process id")
    }

    /// Reads a little, and then no more.
    pub fn stop_reading(&mut self) {
        let mut reader = self.reader.take().expect("a reader");
        reader.read_exact(&mut [0; 20]).expect("it says something");
    }

    /// Its exit code, if it ends in time by itself.
    pub fn ends_within(&mut self, limit: Duration) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if let Some(status) = self.child.try_wait().expect("its end") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// Processes whose command line names the folder: servers, daemons and workers all do.
    fn processes(&self) -> usize {
        let wanted = self.folder.display().to_string();
        let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
        let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line).contains(&wanted)).count()
    }

    /// Waits until no process, mount or loop device is there, and looks that the host's network is as it was.
    pub fn has_left_nothing(&self) {
        wait("every process is gone", || (self.processes() == 0).then_some(()));
        let wanted = self.folder.display().to_string();
        let mounts = std::fs::read_to_string("/proc/mounts").expect("mounts");
        assert!(!mounts.contains(&wanted), "{mounts}");
        // The kernel lets go of them with the last mount, a moment later; of one whose file system is frozen, never.
        wait("the loop devices are gone", || {
            (!said_by("losetup", &["--list"]).contains(&wanted)).then_some(())
        });
        let links: Vec<_> = std::fs::read_dir("/sys/class/net").expect("links").flatten().collect();
        let is_ours = |name: &str| name == "br0" || name.starts_with("v-n") || name.starts_with("v-w");
        assert!(!links.iter().any(|link| is_ours(&link.file_name().to_string_lossy())), "{links:?}");
        let rules = said_by("nft", &["list", "tables"]);
        assert!(!rules.contains("chaos"), "{rules}");
        assert!(shared_memory() <= self.shared_memory, "shared memory is left");
    }

    /// What the judge says of it. There is no whole history, so that is its exit code.
    pub fn judged(&self) -> String {
        let judge = Command::new(env!("CARGO_BIN_EXE_chaos")).arg("judge").arg(&self.folder).output();
        let judge = judge.expect("a judge");
        let said = String::from_utf8_lossy(&judge.stdout).into_owned();
        assert_eq!(judge.status.code(), Some(2), "{said}");
        said
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How much of it `libfaketime` has made.
fn shared_memory() -> usize {
    let entries = std::fs::read_dir("/dev/shm").expect("shared memory").flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().contains("faketime")).count()
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let program = enclosure::on_path(program).expect(program);
    let output = Command::new(program).args(arguments).output().expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn wait<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = seen() {
            return seen;
        }
        assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
