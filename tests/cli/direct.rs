//! Without a daemon: the same over the library, by `--nats`.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use support::{Cluster, Folder, Launch, Process, eventually};

use crate::kit::{LIMIT, alive, gone, send};

struct Direct {
    cluster: Cluster,
    folder: Folder,
}

impl Direct {
    async fn new() -> Direct {
        Direct { cluster: Cluster::single().await, folder: Folder::new("direct") }
    }

    fn lease(&self, verb: &str) -> Launch {
        let launch = Launch::lease().env("F", self.folder.path());
        launch.arg(verb).args(["--nats", &self.cluster.url()])
    }

    fn script<'a>(&self, options: impl IntoIterator<Item = &'a str>, script: &str) -> Launch {
        self.lease("run").args(options).args(["a", "--", "sh", "-c", script])
    }

    async fn show(&self) -> Value {
        let output = self.lease("show").args(["a", "--json"]).output(LIMIT).await;
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    async fn holder<'a>(&self, options: impl IntoIterator<Item = &'a str>) -> (Process, u32) {
        let holder = self.script(options, "echo $$ > $F/pid; exec sleep 1000").start();
        let file = self.folder.join("pid");
        let pid = eventually("the holder", LIMIT, async || {
            std::fs::read_to_string(&file).ok()?.strip_suffix('\n')?.parse().ok()
        });
        (holder, pid.await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_holds_and_gives_back() {
    let direct = Direct::new().await;
    let begun = Instant::now();
    let mut last = 0;
    for code in [0, 3, 7] {
        let output = direct.script(["-n"], &format!("echo $LEASE_TOKEN; exit {code}")).output(LIMIT).await;
        assert_eq!((output.exit.code, output.stderr.as_str()), (Some(code), ""));
        let token: u64 = output.stdout.trim().parse().unwrap();
        assert!(token > last);
        last = token;
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let free = direct.show().await;
    assert_eq!((&free["held"], &free["previous"]["why"]), (&Value::from(false), &Value::from("stopped")));
    let output = direct.lease("run").args(["a", "--", "nonexistent-program"]).output(LIMIT).await;
    assert_eq!(output.exit.code, Some(127));
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_and_in_line() {
    let direct = Direct::new().await;
    let (mut holder, _) = direct.holder([]).await;
    for (options, code) in [(vec!["-n"], 75), (vec!["-w", "0.3", "-E", "9"], 9)] {
        let output = direct.script(options.clone(), "true").output(LIMIT).await;
        assert_eq!(output.exit.code, Some(code), "{options:?}: {}", output.stderr);
        assert!(output.stderr.contains("held by"), "{}", output.stderr);
    }
    // One that is told to go, and one that stays.
    let mut impatient = direct.script(["-v"], "touch $F/ran").start();
    impatient.line("waiting for a", LIMIT).await;
    let mut patient = direct.script([], "echo done").start();
    let waiting = async |count: usize| {
        eventually(format!("{count} in line"), LIMIT, async || {
            (direct.show().await["waiters"].as_array().map_or(0, Vec::len) == count).then_some(())
        })
        .await
    };
    waiting(2).await;
    send(impatient.pid(), Signal::TERM);
    assert_eq!(impatient.exit(LIMIT).await.code, Some(143), "{}", impatient.stderr());
    waiting(1).await;
    holder.sigterm();
    assert_eq!(holder.exit(LIMIT).await.code, Some(143));
    assert_eq!(patient.exit(LIMIT).await.code, Some(0), "{}", patient.stderr());
    assert!(!direct.folder.join("ran").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_it_leaves_the_lock_to_its_ttl() {
    let direct = Direct::new().await;
    let (mut holder, pid) = direct.holder(["--ttl", "3", "--on-lost", "kill"]).await;
    holder.kill9();
    let killed = Instant::now();
    gone(pid, LIMIT).await;
    assert_eq!(direct.script(["-n"], "true").output(LIMIT).await.exit.code, Some(75));
    assert_eq!(direct.script(["-w", "15"], "true").output(LIMIT).await.exit.code, Some(0));
    // The ttl, 2 s of slack, half a second for expiry and waking; and a start or two.
    assert!(killed.elapsed() < Duration::from_secs(7), "{:?}", killed.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_server_the_command_ends_in_time() {
    let direct = Direct::new().await;
    let (mut holder, pid) = direct.holder(["--ttl", "5", "--kill-after", "1"]).await;
    direct.cluster.stop(0).await;
    let stopped = Instant::now();
    gone(pid, LIMIT).await;
    assert!(stopped.elapsed() < Duration::from_secs(5), "{:?}", stopped.elapsed());
    assert_eq!(holder.exit(LIMIT).await.code, Some(79), "{}", holder.stderr());
    assert!(!alive(pid));
}
