//! Another user can neither see, renew, release nor break a lease where the policy does not allow it: with real users.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};
use support::{Daemon, Folder, Launch, Process, User, eventually};

use crate::SOON;
use crate::turns::together;

const POLICY: &str = r#"
[socket]
mode = "0666"

[[policy]]
users = [61001]
names = ["payments.>"]
allow = ["hold"]

[[policy]]
users = ["61002"]
names = ["public.>"]
allow = ["hold", "break"]

[[policy]]
groups = [61050]
names = ["payments.*"]
allow = ["observe", "break"]
"#;

/// A client that is somebody.
struct Client {
    user: User,
    socket: PathBuf,
}

impl Client {
    fn curl(&self, method: &str, target: &str, body: &str) -> Launch {
        let url = format!("http://lease{target}");
        let launch = Launch::program("curl").args(["-sSN", "-w", "\n%{http_code}", "-X", method, &url]);
        let launch = launch.arg("--unix-socket").arg(&self.socket);
        let launch = if body.is_empty() { launch } else { launch.args(["--data-binary", body]) };
        launch.as_user(&self.user)
    }

    async fn send(&self, method: &str, target: &str, body: &str) -> (u16, Value) {
        let output = self.curl(method, target, body).output(SOON).await;
        let (answer, status) =
            output.stdout.trim_end().rsplit_once('\n').unwrap_or_else(|| panic!("{output:?}"));
        (status.parse().unwrap(), serde_json::from_str(answer).unwrap_or(Value::Null))
    }

    /// A request, and its refusal.
    #[track_caller]
    fn refused(
        &self,
        method: &str,
        target: &str,
        body: &str,
        status: u16,
        code: &str,
    ) -> impl Future<Output = ()> {
        let (who, what) = (self.user.uid(), format!("{method} {target} {body}"));
        let expected = (status, json!(code));
        let (method, target, body) = (method.to_owned(), target.to_owned(), body.to_owned());
        async move {
            let (status, answer) = self.send(&method, &target, &body).await;
            assert_eq!((status, answer["code"].clone()), expected, "{who}: {what}: {answer}");
            let text = answer.to_string();
            assert!(!text.contains("secret-owner"), "{who}: {what} tells too much: {text}");
        }
    }

    fn stream(&self, method: &str, target: &str, body: &str) -> Process {
        self.curl(method, target, body).start()
    }
}

struct Scene {
    daemon: Daemon,
    folder: Folder,
    owner: Client,
    other: Client,
    operator: Client,
    root: Client,
}

async fn scene() -> Scene {
    let users = [User::new(61001), User::new(61002), User::new(61003).in_group(61050), User::new(0)];
    let folder = Folder::new("policy");
    let config = folder.join("lease.toml");
    fs::write(&config, POLICY).unwrap();
    let daemon = Daemon::start(["--config".as_ref(), config.as_os_str()]).await;
    let [owner, other, operator, root] =
        users.map(|user| Client { user, socket: daemon.socket().to_owned() });
    Scene { daemon, folder, owner, other, operator, root }
}

#[tokio::test]
async fn another_user_can_neither_see_renew_release_nor_break() {
    let _cores = together().await;
    let mut scene = scene().await;
    let asked = r#"{"ttl":"60s","owner":"secret-owner"}"#;
    let (status, lease) = scene.owner.send("POST", "/v1/locks/payments.42/acquire", asked).await;
    assert_eq!(status, 200, "{lease}");
    let (id, token) = (lease["lease"].as_str().unwrap(), lease["token"].as_u64().unwrap());
    let by_id = format!("/v1/leases/{id}");
    let kinds = ["locks", "semaphores", "elections"];
    for stranger in [&scene.other, &scene.root] {
        for kind in kinds {
            let at = format!("/v1/{kind}/payments.42");
            for seen in ["", "/history"] {
                stranger.refused("GET", &format!("{at}{seen}"), "", 403, "denied").await;
            }
            stranger.refused("DELETE", &format!("{at}?token={token}&reason=mine"), "", 403, "denied").await;
        }
        for (method, target, body) in [
            ("POST", "/v1/locks/payments.42/hold", "{}"),
            ("POST", "/v1/locks/payments.42/acquire", r#"{"wait":"0s"}"#),
            ("POST", "/v1/locks/payments.42/hold", r#"{"shared":true}"#),
            ("GET", "/v1/locks/payments.42/watch", ""),
            ("GET", "/v1/elections/payments.42/watch", ""),
            ("POST", "/v1/elections/payments.42/campaign", "{}"),
            ("POST", "/v1/semaphores/payments.42/hold", r#"{"limit":2}"#),
            ("PUT", "/v1/semaphores/payments.42/limit", r#"{"limit":2}"#),
            ("POST", "/v1/multi/acquire", r#"{"names":["public.a","payments.42"]}"#),
            ("POST", "/v1/groups/payments.42/join", r#"{"value":1}"#),
            ("GET", "/v1/groups/payments.42", ""),
            ("GET", "/v1/groups/payments.42/watch", ""),
            ("GET", "/v1/groups/payments.42/barrier?members=1", ""),
        ] {
            stranger.refused(method, target, body, 403, "denied").await;
        }
        for (method, path, body) in [
            ("GET", "", ""),
            ("POST", "/renew", ""),
            ("DELETE", "", ""),
            ("PUT", "/value", r#"{"value":1}"#),
            ("POST", "/hand-over", r#"{"to":"me"}"#),
            ("PUT", "/data/public.a", "stolen"),
            ("GET", "/data/public.a", ""),
        ] {
            stranger.refused(method, &format!("{by_id}{path}"), body, 404, "unknown-lease").await;
        }
    }
    // Root has no rule at all; the other sees what is its own.
    scene.root.refused("GET", "/v1/locks", "", 403, "denied").await;
    scene.root.refused("GET", "/v1/watch", "", 403, "denied").await;
    scene.other.send("POST", "/v1/locks/public.a/acquire", r#"{"ttl":"60s"}"#).await;
    let (_, list) = scene.other.send("GET", "/v1/locks", "").await;
    let names: Vec<_> = list["locks"].as_array().unwrap().iter().map(|lock| &lock["name"]).collect();
    assert_eq!(names, ["public.a"], "{list}");
    // All that changed nothing, and a lease is no leave to write values anywhere.
    let (status, same) = scene.owner.send("GET", &by_id, "").await;
    assert_eq!((status, &same["token"]), (200, &lease["token"]));
    scene.owner.refused("PUT", &format!("{by_id}/data/public.a"), "mine", 403, "denied").await;
    assert_eq!(scene.owner.send("PUT", &format!("{by_id}/data/payments.sum"), "7").await.0, 200);
    scene.owner.refused("DELETE", &format!("/v1/locks/payments.42?token={token}"), "", 403, "denied").await;
    assert_eq!(scene.owner.send("POST", &format!("{by_id}/renew"), "").await.0, 200);
    // A supplementary group is enough for whom the policy names.
    let (status, seen) = scene.operator.send("GET", "/v1/locks/payments.42", "").await;
    assert_eq!((status, &seen["holder"]["owner"]), (200, &json!("secret-owner")));
    scene.operator.refused("POST", "/v1/locks/payments.42/acquire", "", 403, "denied").await;
    scene.operator.refused("GET", "/v1/locks/payments.a.b", "", 403, "denied").await;
    let broken =
        scene.operator.send("DELETE", &format!("/v1/locks/payments.42?token={token}&now=true"), "").await;
    assert_eq!(broken.0, 200, "{}", broken.1);
    eventually("the owner's loss", SOON, async || {
        (scene.owner.send("GET", &by_id, "").await.1["code"] == "lost").then_some(())
    })
    .await;
    let said = scene.daemon.process().stderr();
    let audited = |uid: u32, rest: &str| {
        let who = format!("audit: denied uid={uid} gid={uid} pid=");
        said.lines().any(|line| line.contains(&who) && line.contains(rest))
    };
    assert!(
        audited(
            61002,
            r#"operation="hold" name="payments.42" why="no rule about this user covers the name""#
        ),
        "{said}"
    );
    assert!(audited(0, r#"why="no rule is about this user or its groups""#), "{said}");
    assert!(!said.contains(id), "an id of a lease is in the log");
}

#[tokio::test]
async fn watches_show_what_may_be_observed() {
    let _cores = together().await;
    let scene = scene().await;
    let watch = scene.other.stream("GET", "/v1/watch", "");
    // What it follows is in place once this is told.
    scene.other.send("POST", "/v1/locks/public.first/acquire", "").await;
    watch.line("public.first", SOON).await;
    let hold = scene.owner.stream("POST", "/v1/locks/payments.7/hold", r#"{"ttl":"2s"}"#);
    hold.line("\"held\"", SOON).await;
    drop(hold);
    scene.other.send("POST", "/v1/locks/public.last/acquire", "").await;
    watch.line("public.last", SOON).await;
    assert!(!watch.stdout().contains("payments"), "{}", watch.stdout());
}

#[tokio::test]
async fn the_command_line_says_no_with_77() {
    let _cores = together().await;
    let scene = scene().await;
    // Where everybody may run it.
    let program = scene.folder.join("lease");
    fs::copy(support::programs::program("lease"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let lease = |user: &User, words: &[&str]| {
        let launch = Launch::program(&program).args(words).as_user(user);
        launch.env("LEASE_SOCKET", scene.daemon.socket()).output(SOON)
    };
    let owner = lease(&scene.owner.user, &["run", "payments.1", "--", "true"]).await;
    assert_eq!(owner.exit.code, Some(0), "{owner:?}");
    for words in [
        &["run", "payments.1", "--", "true"][..],
        &["elect", "payments.1", "--", "true"],
        &["show", "payments.1"],
        &["watch", "payments.1"],
        &["history", "payments.1"],
        &["break", "payments.1", "--token", "1"],
    ] {
        let output = lease(&scene.other.user, words).await;
        assert_eq!(output.exit.code, Some(77), "{words:?}: {output:?}");
        let said = output.stderr.trim_end();
        assert!(said.starts_with("lease: ") && said.contains("payments.1: the policy"), "{words:?}: {said}");
    }
}
