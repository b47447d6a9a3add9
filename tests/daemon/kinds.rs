//! Every kind of coordination through the socket: what the streams and the answers say, and what ends what.

use serde_json::{Value, json};
use support::{Api, Daemon, Lines, eventually};

use crate::SOON;
use crate::problem::expect;
use crate::turns::together;

const EMBEDDED: [&str; 0] = [];

fn token(held: &Value) -> u64 {
    held["token"].as_u64().unwrap_or_else(|| panic!("no token: {held}"))
}

fn id(held: &Value) -> String {
    held["lease"].as_str().unwrap_or_else(|| panic!("no lease: {held}")).to_owned()
}

async fn hold(api: &Api, path: &str, body: &str) -> (Lines, Value) {
    let mut stream = api.open("POST", path, body).await;
    let event = match path {
        _ if path.ends_with("/campaign") => "elected",
        _ if path.ends_with("/join") => "joined",
        _ => "held",
    };
    let held = stream.event(event, SOON).await;
    (stream, held)
}

#[tokio::test]
async fn readers_share_a_lock_and_a_writer_waits_for_them() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let (writer, written) = hold(&api, "/v1/locks/catalog/hold", "").await;
    writer.close();
    let (one, first) = hold(&api, "/v1/locks/catalog/hold", r#"{"shared":true,"owner":"one"}"#).await;
    let (two, second) = hold(&api, "/v1/locks/catalog/hold", r#"{"shared":true,"owner":"two"}"#).await;
    assert_eq!((&first["fence"], &second["fence"]), (&written["token"], &written["token"]));
    assert!(token(&second) > token(&first) && token(&first) > token(&written));
    let seen = api.get("/v1/locks/catalog").await.json();
    let readers: Vec<_> = seen["readers"].as_array().unwrap().iter().map(|it| it["owner"].clone()).collect();
    assert_eq!(
        (&seen["held"], &seen["shared"], readers),
        (&json!(true), &json!(true), vec![json!("one"), json!("two")])
    );
    let listed = api.get("/v1/locks").await.json();
    assert_eq!(
        (&listed["locks"][0]["name"], &listed["locks"][0]["shared"]),
        (&json!("catalog"), &json!(true))
    );
    expect(&api.post("/v1/locks/catalog/acquire", r#"{"wait":"0s"}"#).await, 409, "held");
    let mut writer = api.open("POST", "/v1/locks/catalog/hold", "").await;
    assert_eq!(writer.next(SOON).await.unwrap()["event"], "waiting");
    one.close();
    two.close();
    assert!(token(&writer.event("held", SOON).await) > token(&second));
}

#[tokio::test]
async fn one_reader_is_broken_by_its_token_and_the_other_reads_on() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let (mut one, first) = hold(&api, "/v1/locks/a/hold", r#"{"shared":true}"#).await;
    let (_two, second) = hold(&api, "/v1/locks/a/hold", r#"{"shared":true}"#).await;
    let broken = api.delete(&format!("/v1/locks/a?token={}&reason=stuck", token(&first))).await.json();
    assert_eq!(broken, json!({ "name": "a", "token": token(&first), "now": false }));
    let lost = one.event("lost", SOON).await;
    assert_eq!(lost["reason"], "broken");
    assert!(lost["detail"].as_str().unwrap().contains("stuck"), "{lost}");
    // It is told before its place is given back, which waits for it.
    let still = api.get("/v1/locks/a").await.json()["readers"].clone();
    assert_eq!(still.as_array().map(Vec::len), Some(2), "{still}");
    one.close();
    eventually("the other reads on, alone", SOON, async || {
        let readers = api.get("/v1/locks/a").await.json()["readers"].clone();
        let tokens: Vec<_> = readers.as_array()?.iter().map(|reader| &reader["token"]).collect();
        (tokens == [&second["token"]]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_semaphore_grants_as_many_as_its_limit() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let (_one, _) = hold(&api, "/v1/semaphores/gpu/hold", r#"{"limit":2,"owner":"one"}"#).await;
    let second = api.post("/v1/semaphores/gpu/acquire", r#"{"limit":2,"owner":"two","attempt":"x"}"#).await;
    let again = api.post("/v1/semaphores/gpu/acquire", r#"{"limit":2,"owner":"two","attempt":"x"}"#).await;
    assert_eq!(second.json()["lease"], again.json()["lease"]);
    assert_eq!(second.header("fencing-token"), Some(second.json()["token"].to_string().as_str()));
    expect(&api.post("/v1/semaphores/gpu/acquire", r#"{"limit":2,"wait":"0s"}"#).await, 409, "held");
    let detail = expect(&api.post("/v1/semaphores/gpu/hold", r#"{"limit":3}"#).await, 409, "limit-mismatch");
    assert!(detail.contains("has 2 permits, not 3"), "{detail}");
    let raised = api.send("PUT", "/v1/semaphores/gpu/limit", r#"{"limit":3}"#).await.json();
    let owners: Vec<_> = raised["holders"].as_array().unwrap().iter().map(|it| it["owner"].clone()).collect();
    assert_eq!((&raised["limit"], owners), (&json!(3), vec![json!("one"), json!("two")]));
    let (_three, third) = hold(&api, "/v1/semaphores/gpu/hold", r#"{"limit":3}"#).await;
    api.delete(&format!("/v1/leases/{}", id(&third))).await;
    let past = eventually("the history tells of it", SOON, async || {
        let past = api.get("/v1/semaphores/gpu/history").await.json();
        past["holds"].get(0).cloned()
    })
    .await;
    assert_eq!((&past["token"], &past["why"]), (&third["token"], &json!("released")));
}

#[tokio::test]
async fn several_locks_are_held_together_with_a_token_each() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let (_alone, alone) = hold(&api, "/v1/locks/b/hold", "").await;
    let refused = api.post("/v1/multi/acquire", r#"{"names":["a","b"],"wait":"0s"}"#).await;
    assert!(expect(&refused, 409, "held").starts_with("b is held"));
    let mut both = api.open("POST", "/v1/multi/hold", r#"{"names":["b","a","a"],"ttl":"2s"}"#).await;
    assert_eq!(both.next(SOON).await.unwrap(), json!({ "event": "waiting", "ahead": 0 }));
    // Whoever waits for several holds none of them.
    assert_eq!(api.get("/v1/locks/a").await.json()["held"], false);
    drop(_alone);
    let held = both.event("held", SOON).await;
    let tokens = held["tokens"].as_object().unwrap();
    assert_eq!(tokens.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert!(tokens["b"].as_u64().unwrap() > token(&alone));
    assert!(held.get("token").is_none() && held.get("name").is_none(), "{held}");
    both.event("alive", SOON).await;
    // The loss of one is the loss of both.
    api.delete(&format!("/v1/locks/a?token={}&now=true", tokens["a"])).await;
    both.event("lost", SOON).await;
    eventually("the other is free", SOON, async || {
        (api.get("/v1/locks/b").await.json()["held"] == false).then_some(())
    })
    .await;

    let leased = api.post("/v1/multi/acquire", r#"{"names":["c","d"],"ttl":"5s"}"#).await.json();
    let lease = format!("/v1/leases/{}", id(&leased));
    let renewed = api.post(&format!("{lease}/renew"), "").await.json();
    assert!(renewed["deadline_boottime_ns"].as_u64() > leased["deadline_boottime_ns"].as_u64());
    expect(&api.send("PUT", &format!("{lease}/value"), r#"{"value":1}"#).await, 409, "wrong-kind");
    expect(&api.post(&format!("{lease}/hand-over"), r#"{"to":"x"}"#).await, 409, "wrong-kind");
    assert_eq!(api.delete(&lease).await.status, 200);
    assert_eq!(api.get("/v1/locks/c").await.json()["held"], false);
}

#[tokio::test]
async fn an_election_has_one_leader_candidates_and_observers() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let mut watch = api.open("GET", "/v1/elections/boss/watch", "").await;
    assert_eq!(watch.next(SOON).await.unwrap()["event"], "vacant");
    let (mut one, first) =
        hold(&api, "/v1/elections/boss/campaign", r#"{"owner":"one","value":{"addr":"a:1"}}"#).await;
    let leader = watch.event("leader", SOON).await;
    assert_eq!((&leader["owner"], &leader["value"]), (&json!("one"), &json!({ "addr": "a:1" })));
    assert!(leader["valid_for"].as_str().is_some_and(|left| left.starts_with("17.")), "{leader}");

    let mut two = api.open("POST", "/v1/elections/boss/campaign", r#"{"owner":"two","ready":false}"#).await;
    let standing = two.event("candidate", SOON).await;
    assert_eq!(standing["ahead"], 0, "nobody is ready");
    let body = r#"{"owner":"three","value":"c:3","priority":-1}"#;
    let mut three = api.open("POST", "/v1/elections/boss/campaign", body).await;
    three.event("candidate", SOON).await;
    let seen = api.get("/v1/elections/boss").await;
    assert_eq!(seen.header("fencing-token"), Some(first["token"].to_string().as_str()));
    let seen = seen.json();
    assert_eq!(seen["leader"]["owner"], "one");
    // Who is not ready comes last.
    let lined: Vec<_> = seen["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["owner"].clone(), it["ready"].clone()))
        .collect();
    assert_eq!(lined, [(json!("three"), json!(null)), (json!("two"), json!(false))]);

    let body = json!({ "lease": id(&first), "value": "a:2" }).to_string();
    assert_eq!(api.send("PUT", "/v1/elections/boss/value", &body).await.status, 200);
    assert_eq!(watch.event("leader", SOON).await["value"], "a:2");
    // Not another election's.
    expect(&api.send("PUT", "/v1/elections/other/value", &body).await, 404, "unknown-lease");

    // Of three and two, three is preferred by nobody once two is ready.
    let ready = json!({ "candidate": standing["candidate"], "ready": true }).to_string();
    assert_eq!(api.send("PUT", "/v1/elections/boss/ready", &ready).await.status, 200);
    eventually("two is ready and first", SOON, async || {
        let seen = api.get("/v1/elections/boss").await.json();
        (seen["candidates"][0]["owner"] == "two").then_some(())
    })
    .await;
    let body = json!({ "lease": id(&first), "to": "nobody" }).to_string();
    let detail = expect(&api.post("/v1/elections/boss/hand-over", &body).await, 409, "nobody-waits");
    assert!(detail.contains("two") && detail.contains("three"), "{detail}");
    assert_eq!(api.get(&format!("/v1/leases/{}", id(&first))).await.status, 200, "still leads");
    let body = json!({ "lease": id(&first), "to": "three" }).to_string();
    assert_eq!(api.post("/v1/elections/boss/hand-over", &body).await.status, 200);
    assert_eq!(one.event("lost", SOON).await["reason"], "handed-over");
    let third = three.event("elected", SOON).await;
    assert!(token(&third) > token(&first));
    assert_eq!(third["previous"]["why"], "handed-over");
    assert_eq!(watch.event("leader", SOON).await["owner"], "three");
    three.close();
    let second = two.event("elected", SOON).await;
    assert_eq!(
        (&second["previous"]["why"], &second["previous"]["holder"]),
        (&json!("client-gone"), &json!("three"))
    );
    api.delete(&format!("/v1/elections/boss?token={}&reason=stuck", token(&second))).await;
    assert_eq!(two.event("lost", SOON).await["reason"], "broken");
    watch.event("vacant", SOON).await;
}

#[tokio::test]
async fn a_group_shows_its_members_and_a_barrier_opens() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let (one, first) = hold(&api, "/v1/groups/workers/join", r#"{"owner":"one","value":"a:1"}"#).await;
    let mut watch = api.open("GET", "/v1/groups/workers/watch", "").await;
    assert_eq!(watch.event("joined", SOON).await["member"], first["member"]);
    expect(&api.get("/v1/groups/workers/barrier?members=2&wait=50ms").await, 409, "wait-elapsed");
    let waiting = tokio::spawn({
        let api = api.clone();
        async move { api.get("/v1/groups/workers/barrier?members=2").await }
    });
    let (_two, second) = hold(&api, "/v1/groups/workers/join", r#"{"owner":"two"}"#).await;
    let opened = waiting.await.unwrap().json();
    let members: Vec<_> = opened["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["owner"].clone(), it["value"].clone()))
        .collect();
    assert_eq!(members, [(json!("one"), json!("a:1")), (json!("two"), json!(null))]);
    assert_eq!(watch.event("joined", SOON).await["token"], second["token"]);
    let body = json!({ "lease": id(&second), "value": [1, 2] }).to_string();
    assert_eq!(api.send("PUT", "/v1/groups/workers/value", &body).await.status, 200);
    assert_eq!(watch.event("changed", SOON).await["value"], json!([1, 2]));
    one.close();
    let left = watch.event("left", SOON).await;
    assert_eq!((&left["member"], &left["previous"]["why"]), (&first["member"], &json!("client-gone")));
    assert_eq!(api.get("/v1/groups/workers").await.json()["members"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_guarded_value_is_written_under_a_lease_and_not_after_it() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let (_stream, held) = hold(&api, "/v1/locks/import/hold", "").await;
    let data = format!("/v1/leases/{}/data/import%2Fposition", id(&held));
    let missing = api.get(&data).await;
    assert!(expect(&missing, 404, "not-found").contains("import/position"));
    assert_eq!(api.send("PUT", &data, "row 4711\n").await.status, 200);
    let found = api.get(&data).await;
    assert_eq!(found.text(), "row 4711\n");
    assert_eq!(found.header("fencing-token"), Some(held["token"].to_string().as_str()));
    assert!(found.header("lease-revision").unwrap().parse::<u64>().unwrap() > token(&held));
    let long = "x".repeat(524_289);
    expect(&api.send("PUT", &data, &long).await, 413, "body-too-large");
    assert_eq!(api.send("DELETE", &data, "").await.status, 200);
    expect(&api.get(&data).await, 404, "not-found");
    api.delete(&format!("/v1/leases/{}", id(&held))).await;
    expect(&api.send("PUT", &data, "late").await, 404, "unknown-lease");
}

#[tokio::test]
async fn grace_keeps_a_lock_from_others_after_a_client_that_died_but_not_after_one_that_stopped() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let (_stream, held) = hold(&api, "/v1/locks/a/hold", r#"{"grace":"1h"}"#).await;
    api.send("DELETE", &format!("/v1/leases/{}", id(&held)), r#"{"why":"stopped"}"#).await;
    let (stream, held) = hold(&api, "/v1/locks/a/hold", r#"{"grace":"1h"}"#).await;
    assert_eq!(held["previous"]["why"], "stopped");
    stream.close();
    eventually("the client is gone", SOON, async || {
        (api.get("/v1/locks/a").await.json()["held"] == false).then_some(())
    })
    .await;
    expect(&api.post("/v1/locks/a/acquire", r#"{"wait":"0s"}"#).await, 409, "held");
}

#[tokio::test]
async fn a_lock_is_handed_over_by_name_and_its_history_tells() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let (_one, first) = hold(&api, "/v1/locks/a/hold", r#"{"owner":"one"}"#).await;
    let mut two = api.open("POST", "/v1/locks/a/hold", r#"{"owner":"two"}"#).await;
    two.event("waiting", SOON).await;
    let mut three = api.open("POST", "/v1/locks/a/hold", r#"{"owner":"three"}"#).await;
    three.event("waiting", SOON).await;
    let lease = format!("/v1/leases/{}", id(&first));
    assert_eq!(api.post(&format!("{lease}/hand-over"), r#"{"to":"three"}"#).await.status, 200);
    expect(&api.get(&lease).await, 404, "unknown-lease");
    let third = three.event("held", SOON).await;
    three.close();
    two.event("held", SOON).await;
    let past = eventually("both holds are told of", SOON, async || {
        let past = api.get("/v1/locks/a/history").await.json();
        (past["holds"].as_array().unwrap().len() == 2).then_some(past)
    })
    .await;
    let told: Vec<_> = past["holds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (token(it), it["owner"].clone(), it["why"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            (token(&first), json!("one"), json!("handed-over")),
            (token(&third), json!("three"), json!("client-gone"))
        ]
    );
}

#[tokio::test]
async fn metrics_tell_the_kinds_apart() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let _all = [
        hold(&api, "/v1/locks/a/hold", "").await,
        hold(&api, "/v1/locks/b/hold", r#"{"shared":true}"#).await,
        hold(&api, "/v1/semaphores/c/hold", r#"{"limit":1}"#).await,
        hold(&api, "/v1/multi/hold", r#"{"names":["d","e"]}"#).await,
        hold(&api, "/v1/elections/f/campaign", "").await,
        hold(&api, "/v1/groups/g/join", "").await,
    ];
    // A client may be told a moment before it is counted.
    eventually("all are counted", SOON, async || {
        let text = api.get("/metrics").await.text();
        let said = |line: String| text.lines().any(|it| it == line);
        [("lock", 1), ("shared", 1), ("semaphore", 1), ("multi", 2), ("election", 1), ("group", 1)]
            .into_iter()
            .all(|(kind, held)| {
                said(format!("lease_held{{kind=\"{kind}\"}} {held}"))
                    && said(format!("lease_acquire_seconds_count{{kind=\"{kind}\",outcome=\"granted\"}} 1"))
            })
            .then_some(())
    })
    .await;
}
