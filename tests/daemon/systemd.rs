//! Under a supervisor: this test plays systemd, with its own protocols; the units themselves, systemd looks at.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use support::programs::{program, workspace};
use support::{Api, Cluster, Daemon, Folder, Launch, Process};

use crate::SOON;
use crate::turns::{alone, together};

/// Passes its standard input on as systemd does: as descriptor 3, to whoever has this very process id.
const PASS: &str =
    r#"export LISTEN_PID=${PASS_PID:-$$} LISTEN_FDS=${PASS_FDS:-1}; exec "$@" 3<&0 0</dev/null"#;

fn passing() -> Launch {
    Launch::program("sh").args(["-c", PASS, "sh"]).arg(program("lease-daemon"))
}

fn activated(socket: &UnixListener) -> Process {
    passing().stdin(socket.try_clone().unwrap()).start()
}

#[tokio::test]
async fn a_passed_socket_is_served_and_stays_when_the_daemon_goes() {
    let _cores = together().await;
    let folder = Folder::new("passed");
    let path = folder.join("lease.sock");
    let socket = UnixListener::bind(&path).unwrap();
    for killed in [false, true, false] {
        // Asked before there is a daemon: the answer comes from the one that is started.
        let api = Api::new(&path);
        let asking = tokio::spawn(async move { api.get("/healthz").await });
        let mut daemon = activated(&socket);
        asking.await.unwrap().expect(200);
        let shown = daemon.line("curl --unix-socket", SOON).await;
        assert!(shown.contains(path.to_str().unwrap()), "{shown}");
        // Nobody else serves it: neither a daemon of its own nor one that got it too.
        for second in
            [Launch::daemon().arg("--socket").arg(&path), passing().stdin(socket.try_clone().unwrap())]
        {
            let refused = second.output(SOON).await;
            assert_eq!(refused.exit.code, Some(73), "{}", refused.stderr);
            assert!(refused.stderr.contains("is served by another process"), "{}", refused.stderr);
        }
        Api::new(&path).post("/v1/locks/a/acquire", "").await.expect(200);
        if killed {
            daemon.kill9();
        } else {
            daemon.sigterm();
            assert_eq!(daemon.exit(SOON).await.code, Some(0), "{}", daemon.stderr());
        }
        assert!(UnixStream::connect(&path).is_ok(), "the supervisor's socket is gone");
        // That connection waits in the queue, and its end is nothing to the next daemon.
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_and_what_is_for_another_is_left() {
    let _cores = together().await;
    let folder = Folder::new("unfit");
    let listener = UnixListener::bind(folder.join("lease.sock")).unwrap();
    let clone = || listener.try_clone().unwrap();
    let (pair, _other) = UnixStream::pair().unwrap();
    let datagram = UnixDatagram::bind(folder.join("datagram.sock")).unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for (what, launch) in [
        ("several", passing().stdin(clone()).env("PASS_FDS", "2")),
        ("no number", passing().stdin(clone()).env("PASS_FDS", "99999999999999999999")),
        ("no socket", passing()),
        ("connected", passing().stdin(pair)),
        ("datagrams", passing().stdin(datagram)),
        ("TCP", passing().stdin(tcp)),
    ] {
        let refused = launch.output(SOON).await;
        assert_eq!(refused.exit.code, Some(73), "{what}: {}", refused.stderr);
        assert!(
            refused.stderr.contains("LISTEN_FDS") && refused.stderr.lines().count() == 1,
            "{}",
            refused.stderr
        );
    }
    let own = folder.join("own.sock");
    let daemon = passing().stdin(clone()).env("PASS_PID", "1").arg("--socket").arg(&own).start();
    let shown = daemon.line("curl --unix-socket", SOON).await;
    assert!(shown.contains(own.to_str().unwrap()), "{shown}");
}

/// The supervisor's ear.
struct Ear {
    socket: tokio::net::UnixDatagram,
    name: String,
    _folder: Folder,
}

impl Ear {
    fn new(is_abstract: bool) -> Ear {
        let folder = Folder::new("notify");
        let path = folder.join("notify");
        let name = path.to_str().unwrap().to_owned();
        let (socket, name) = match is_abstract {
            true => {
                let address = SocketAddr::from_abstract_name(&name).unwrap();
                (UnixDatagram::bind_addr(&address).unwrap(), format!("@{name}"))
            }
            false => (UnixDatagram::bind(&path).unwrap(), name),
        };
        socket.set_nonblocking(true).unwrap();
        Ear { socket: tokio::net::UnixDatagram::from_std(socket).unwrap(), name, _folder: folder }
    }

    /// The next news, if any comes within `limit`.
    async fn news(&self, limit: Duration) -> Option<String> {
        let mut news = [0; 4096];
        let length = tokio::time::timeout(limit, self.socket.recv(&mut news)).await.ok()?.unwrap();
        Some(String::from_utf8(news[..length].to_vec()).unwrap())
    }

    /// Listens until `text` is heard, and gives what else was.
    async fn hears(&self, text: &str) -> Vec<String> {
        let mut others = Vec::new();
        loop {
            let Some(news) = self.news(SOON).await else { panic!("not heard: {text}, but {others:?}") };
            match news.lines().any(|line| line == text) {
                true => return others,
                false => others.push(news),
            }
        }
    }
}

#[tokio::test]
async fn it_says_when_it_is_ready_and_when_it_stops() {
    let _cores = together().await;
    let cluster = Cluster::single().await;
    for is_abstract in [false, true] {
        let ear = Ear::new(is_abstract);
        let folder = Folder::new("said");
        cluster.stop_all().await;
        let mut daemon = Launch::daemon()
            .args(["--nats", &cluster.url(), "--socket", folder.join("lease.sock").to_str().unwrap()])
            .env("NOTIFY_SOCKET", &ear.name)
            .start();
        daemon.line("trying again", SOON).await;
        let before = ear.hears("STATUS=waiting for the store").await;
        assert!(before.is_empty() && ear.news(Duration::from_millis(300)).await.is_none(), "{before:?}");
        let socket = folder.join("lease.sock");
        let ping = async |args: &[&str]| {
            Launch::lease().arg("ping").args(args).env("LEASE_SOCKET", &socket).output(SOON).await.exit.code
        };
        assert_eq!((ping(&["--live"]).await, ping(&[]).await), (Some(0), Some(69)));
        cluster.start_all().await;
        let before = ear.hears("READY=1").await;
        assert!(!before.concat().contains("WATCHDOG"), "nobody asked for that: {before:?}");
        assert_eq!((ping(&["--live"]).await, ping(&[]).await), (Some(0), Some(0)));
        daemon.sighup();
        let reloading = ear.news(SOON).await.unwrap();
        let since =
            reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{reloading}"));
        assert!(since.trim().parse::<u64>().unwrap() > 0, "{since}");
        assert_eq!(ear.news(SOON).await.as_deref(), Some("READY=1\n"));
        daemon.sigterm();
        ear.hears("STOPPING=1").await;
        assert_eq!(daemon.exit(SOON).await.code, Some(0), "{}", daemon.stderr());
        assert_eq!((ping(&["--live"]).await, ping(&[]).await), (Some(69), Some(69)));
    }
}

#[tokio::test]
async fn the_watchdog_is_fed_only_while_renewals_are_on_time() {
    let _cores = alone().await;
    let cluster = Cluster::single().await;
    let (ear, folder) = (Ear::new(false), Folder::new("watchdog"));
    let socket = folder.join("lease.sock");
    let daemon = Launch::daemon()
        .args(["--nats", &cluster.url(), "--socket", socket.to_str().unwrap()])
        .env("NOTIFY_SOCKET", &ear.name)
        .env("WATCHDOG_USEC", "2000000")
        .start();
    ear.hears("READY=1").await;
    let api = Api::new(&socket);
    let fed = async |limit| {
        let began = Instant::now();
        while let Some(news) = ear.news(limit).await {
            if news.contains("WATCHDOG=1") {
                return true;
            }
            if began.elapsed() > limit {
                return false;
            }
        }
        false
    };
    // An outage that nobody loses anything by is not mended by a restart.
    cluster.pause(0);
    for _ in 0..6 {
        assert!(fed(Duration::from_secs(1)).await, "{}", daemon.stderr());
    }
    cluster.resume(0);
    let mut hold = api.open("POST", "/v1/locks/a/hold", r#"{"ttl":"4s"}"#).await;
    hold.event("held", SOON).await;
    for _ in 0..12 {
        assert!(fed(Duration::from_secs(1)).await, "{}", daemon.stderr());
    }
    cluster.pause(0);
    let paused = Instant::now();
    let mut last = paused;
    while paused.elapsed() < Duration::from_secs(8) {
        if fed(Duration::from_millis(500)).await {
            last = Instant::now();
        }
    }
    // A renewal is due every 800 ms, so between 3.2 s and 4 s were left, and the last quarter of that is too late.
    let fed_for = last - paused;
    assert!(
        fed_for < Duration::from_secs(4),
        "fed for {fed_for:?}, when the lease was lost\n{}",
        daemon.stderr()
    );
    assert!(fed_for > Duration::from_millis(1_200), "no outage may last at all: {fed_for:?}");
    assert_eq!(hold.event("lost", SOON).await["reason"], "expired");
    cluster.resume(0);
    assert!(fed(SOON).await, "{}", daemon.stderr());
    // What a restart would cost is worth more than what it would mend.
    let mut long = api.open("POST", "/v1/locks/long/hold", r#"{"ttl":"10m"}"#).await;
    long.event("held", SOON).await;
    let mut short = api.open("POST", "/v1/locks/short/hold", r#"{"ttl":"2s"}"#).await;
    short.event("held", SOON).await;
    cluster.pause(0);
    assert_eq!(short.event("lost", SOON).await["reason"], "expired");
    for _ in 0..6 {
        assert!(fed(Duration::from_secs(1)).await, "{}", daemon.stderr());
    }
    cluster.resume(0);
}

#[tokio::test]
async fn systemd_takes_the_units() {
    let _cores = together().await;
    let folder = Folder::new("units");
    let units = workspace().join("lease-daemon/deploy/systemd");
    let mut copies = Vec::new();
    for name in ["lease-daemon.service", "lease-daemon.socket"] {
        let unit = fs::read_to_string(units.join(name)).unwrap();
        let here = unit.replace("/usr/bin/lease-daemon", program("lease-daemon").to_str().unwrap());
        fs::write(folder.join(name), here).unwrap();
        copies.push(folder.join(name));
    }
    let said = verify(&copies).await;
    assert_eq!((said.exit.code, said.stderr.as_str()), (Some(0), ""), "{said:?}");
    // And it does look.
    let broken = fs::read_to_string(&copies[0]).unwrap().replace("Type=notify", "Type=notfy");
    fs::write(&copies[0], broken).unwrap();
    let said = verify(&copies).await;
    assert!(said.stderr.contains("notfy"), "{said:?}");
    let users = units.join("lease-daemon.sysusers");
    let said = Launch::program("systemd-sysusers").arg("--dry-run").arg(users).output(SOON).await;
    assert_eq!(said.exit.code, Some(0), "{said:?}");
}

async fn verify(units: &[impl AsRef<Path>]) -> support::process::Output {
    let units = units.iter().map(AsRef::as_ref);
    Launch::program("systemd-analyze").args(["verify", "--man=no"]).args(units).output(SOON).await
}

/// What the units promise and what the daemon does by itself are the same.
#[tokio::test]
async fn the_drain_fits_into_the_time_that_units_and_manifests_give() {
    let _cores = together().await;
    let printed = Launch::daemon().arg("--check").output(SOON).await;
    assert!(printed.stdout.contains("within = \"8s\""), "{printed:?}");
    let unit =
        fs::read_to_string(workspace().join("lease-daemon/deploy/systemd/lease-daemon.service")).unwrap();
    assert!(unit.contains("TimeoutStopSec=15s"), "{unit}");
    drop(Daemon::start([""; 0]).await);
}
