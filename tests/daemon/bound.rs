//! `bind_pid`: a lease that lives and dies with a process.

use std::time::{Duration, Instant};

use support::{Api, Daemon, Launch, Process, eventually};

use crate::problem::expect;
use crate::turns::{alone, together};
use crate::{SOON, client};

const EMBEDDED: [&str; 0] = [];

/// What a shell script does: takes the lock for itself, and works.
const SCRIPT: &str = r#"
curl -sf --unix-socket "$S" "http://lease/v1/$WHAT/acquire" -d "{\"bind_pid\":$$,\"ttl\":\"2s\"$MORE}" || exit 75
while [ ! -e "$GO" ]; do sleep 0.05; done
"#;

fn script(daemon: &Daemon, what: &str, more: &str, go: &str) -> Process {
    let launch = Launch::program("sh").args(["-c", SCRIPT]).env("S", daemon.socket());
    launch.env("WHAT", what).env("MORE", more).env("GO", go).start()
}

/// What takes milliseconds is measured with nothing beside it: `tests/run` runs these by themselves.
mod measured {
    use super::*;

    #[tokio::test]
    async fn a_shell_scripts_lock_dies_with_the_script() {
        let _cores = alone().await;
        let daemon = Daemon::start(EMBEDDED).await;
        let api = daemon.api();
        for (what, more, next) in [
            ("locks/a", "", "/v1/locks/a/hold"),
            ("locks/a", r#","shared":true"#, "/v1/locks/a/hold"),
            ("semaphores/a", r#","limit":1"#, "/v1/semaphores/a/hold"),
            ("multi", r#","names":["a","b"]"#, "/v1/locks/b/hold"),
        ] {
            let go = std::env::temp_dir().join(format!("lease-bound-{}", std::process::id()));
            for killed in [true, false] {
                let _ = std::fs::remove_file(&go);
                let mut script = script(&daemon, what, more, go.to_str().unwrap());
                script.line("\"lease\":", SOON).await;
                let asked = if next.contains("semaphores") { r#"{"limit":1}"# } else { "" };
                let mut waiter = api.open("POST", next, asked).await;
                waiter.event("waiting", SOON).await;
                if killed {
                    // Nobody renews it but the daemon.
                    tokio::time::sleep(Duration::from_millis(2_500)).await;
                    assert!(script.running(), "{}", script.stderr());
                    assert!(
                        tokio::time::timeout(Duration::from_millis(100), waiter.event("held", SOON))
                            .await
                            .is_err()
                    );
                }
                let began = Instant::now();
                if killed {
                    script.kill9()
                } else {
                    std::fs::write(&go, "").unwrap()
                }
                let held = waiter.event("held", SOON).await;
                let took = began.elapsed();
                // Long before its TTL and the store's slack are over.
                assert!(took < Duration::from_millis(1_500), "{what}: {took:?}");
                if what == "locks/a" && more.is_empty() {
                    assert_eq!(held["previous"]["why"], "client-gone", "{held}");
                }
                waiter.close();
                eventually("free again", SOON, async || {
                    let locks = api.get("/v1/locks").await.json();
                    (locks["locks"] == serde_json::json!([])).then_some(())
                })
                .await;
            }
            let _ = std::fs::remove_file(&go);
        }
    }
}

#[tokio::test]
async fn it_can_be_given_back_before_and_its_repeat_is_the_same() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let me = std::process::id();
    let body = format!(r#"{{"bind_pid":{me},"attempt":"one","ttl":"2s"}}"#);
    let first = api.post("/v1/locks/a/acquire", &body).await.expect(200).json();
    let again = api.post("/v1/locks/a/acquire", &body).await.expect(200).json();
    assert_eq!((&first["lease"], &first["token"]), (&again["lease"], &again["token"]));
    let lease = format!("/v1/leases/{}", first["lease"].as_str().unwrap());
    api.post(&format!("{lease}/renew"), "").await.expect(200);
    api.delete(&lease).await.expect(200);
    expect(&api.get(&lease).await, 404, "unknown-lease");
    assert_eq!(api.get("/v1/locks/a").await.json()["held"], false);
}

#[tokio::test]
async fn a_process_that_ends_while_it_waits_leaves_the_line() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let mut holder = api.open("POST", "/v1/locks/a/hold", "{}").await;
    holder.event("held", SOON).await;
    let mut process = Launch::program("sleep").arg("100").start();
    let (waiting, body) = (daemon.api(), format!(r#"{{"bind_pid":{}}}"#, process.pid()));
    let waiting = tokio::spawn(async move { waiting.post("/v1/locks/a/acquire", &body).await });
    let line = async || api.get("/v1/locks/a").await.json()["waiters"].as_array().unwrap().len();
    eventually("in line", SOON, async || (line().await == 1).then_some(())).await;
    process.kill9();
    expect(&waiting.await.unwrap(), 409, "process-gone");
    eventually("out of line", SOON, async || (line().await == 0).then_some(())).await;
}

#[tokio::test]
async fn what_is_not_ones_own_or_not_there_is_refused() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let bind = |pid: u32| format!(r#"{{"bind_pid":{pid}}}"#);
    // Ended and buried; ended, and a zombie.
    let mut buried = Launch::program("true").start();
    buried.exit(SOON).await;
    expect(&api.post("/v1/locks/a/acquire", &bind(buried.pid())).await, 409, "process-gone");
    let zombie = std::process::Command::new("true").spawn();
    let mut zombie = zombie.unwrap();
    eventually("a zombie", SOON, async || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", zombie.id())).ok()?;
        stat.rsplit(')').next()?.trim_start().starts_with('Z').then_some(())
    })
    .await;
    expect(&api.post("/v1/locks/a/acquire", &bind(zombie.id())).await, 409, "process-gone");
    zombie.wait().unwrap();
    // Another user's, in both directions: root is nothing special.
    std::fs::set_permissions(daemon.socket(), std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    open_folder(&api);
    let me = bind(std::process::id());
    let mut nobody = client::request(daemon.socket(), "65534", "POST", "/v1/locks/a/acquire", &me);
    nobody.exit(SOON).await;
    assert!(nobody.stdout().contains("process-denied"), "{}{}", nobody.stdout(), nobody.stderr());
    let theirs =
        Launch::program("setpriv").args(["--reuid", "65534", "--clear-groups", "sleep", "100"]).start();
    eventually("another user's process", SOON, async || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", theirs.pid())).ok()?;
        status.contains("Uid:\t65534").then_some(())
    })
    .await;
    expect(&api.post("/v1/locks/a/acquire", &bind(theirs.pid())).await, 403, "process-denied");
    // Who counts otherwise: its 1 is not ours.
    let curl = format!(
        "curl -s --unix-socket {} http://l/v1/locks/a/acquire -d '{{\"bind_pid\":1}}'",
        daemon.socket().display()
    );
    let apart = Launch::program("unshare").args(["--pid", "--fork", "sh", "-c", &curl]).output(SOON).await;
    assert!(apart.stdout.contains("foreign-pid-namespace"), "{apart:?}");
    assert_eq!(api.get("/v1/locks/a").await.json()["held"], false);
}

/// Another user must reach the socket.
fn open_folder(api: &Api) {
    for folder in api.socket().ancestors().skip(1).take_while(|folder| *folder != std::env::temp_dir()) {
        let _ = std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755));
    }
}
