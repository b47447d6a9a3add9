//! The proxy loses what it was told to lose, and nothing else.

use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt;
use serde_json::{Value, json};
use support::{Cluster, Proxy, Way};

const LIMIT: Duration = Duration::from_secs(20);
/// How long a client waits for an answer that may have been lost.
const PATIENCE: Duration = Duration::from_millis(300);

struct Bench {
    cluster: Cluster,
    proxy: Proxy,
    client: Client,
}

/// A server with a stream `S` on `s.>`, a proxy before it, and a client of the proxy.
async fn bench() -> Bench {
    let cluster = Cluster::single().await;
    let config = json!({"name": "S", "subjects": ["s.>"]}).to_string();
    cluster.request(0, "$JS.API.STREAM.CREATE.S", &config).await;
    let proxy = Proxy::start(&cluster.url()).await;
    let options = async_nats::ConnectOptions::new().request_timeout(Some(PATIENCE));
    let client = options.connect(proxy.url()).await.unwrap();
    Bench { cluster, proxy, client }
}

impl Bench {
    /// Stores a message; gives the revision, or `None` where no answer came.
    async fn store(&self, subject: &str) -> Option<u64> {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", uuid::Uuid::new_v4().to_string().as_str());
        let answer =
            self.client.request_with_headers(subject.to_owned(), headers, "value".into()).await.ok()?;
        serde_json::from_slice::<Value>(&answer.payload).unwrap()["seq"].as_u64()
    }

    /// How many messages the server has stored.
    async fn stored(&self) -> u64 {
        let info = self.cluster.request(0, "$JS.API.STREAM.INFO.S", "").await;
        info["state"]["messages"].as_u64().unwrap()
    }
}

#[tokio::test]
async fn exactly_one_answer_is_lost() {
    let bench = bench().await;
    let rule = bench.proxy.on(|publish| publish.subject == "s.a").skip(1).lose_answer();
    assert_eq!(bench.store("s.a").await, Some(1), "the first is skipped");
    assert_eq!(bench.store("s.b").await, Some(2), "another subject");
    assert_eq!(bench.store("s.a").await, None, "this one's answer is lost");
    rule.fired_once(LIMIT).await;
    assert_eq!(bench.stored().await, 3, "but the write was applied");
    assert_eq!(bench.store("s.a").await, Some(4));
    assert_eq!(rule.fired(), 1);

    let seen = bench.proxy.seen();
    let lost: Vec<_> = seen.iter().filter(|publish| publish.subject == "s.a").collect();
    assert_eq!(lost.len(), 3);
    assert_eq!(lost[1].answer_json()["seq"], 3, "the proxy knows what the client does not");
    assert!(lost[1].header("nats-msg-id").is_some_and(|id| id.len() == 36));
    assert_eq!(&lost[1].payload[..], b"value");
}

#[tokio::test]
async fn a_request_is_lost_before_the_server_sees_it() {
    let bench = bench().await;
    let rule = bench.proxy.on(|publish| publish.subject == "s.a").times(2).lose_request();
    assert_eq!(bench.store("s.a").await, None);
    assert_eq!(bench.store("s.a").await, None);
    assert_eq!(bench.store("s.a").await, Some(1));
    assert_eq!(rule.fired(), 2);
    assert!(
        bench
            .proxy
            .seen()
            .iter()
            .filter(|publish| publish.subject == "s.a")
            .take(2)
            .all(|p| p.answer.is_none())
    );
}

#[tokio::test]
async fn requests_and_answers_can_come_late() {
    let bench = bench().await;
    let held = bench.proxy.on(|publish| publish.subject == "s.held").hold_request();
    assert_eq!(bench.store("s.held").await, None);
    assert_eq!(bench.store("s.a").await, Some(1), "overtakes the held one");
    assert_eq!(bench.stored().await, 1);
    held.release();
    let publish = bench.proxy.saw(LIMIT, |p| p.subject == "s.held" && p.answer.is_some()).await;
    assert_eq!(publish.answer_json()["seq"], 2, "applied after all");

    bench.proxy.on(|publish| publish.subject == "s.late").delay_answer(PATIENCE / 2);
    let begun = std::time::Instant::now();
    assert_eq!(bench.store("s.late").await, Some(3));
    assert!(begun.elapsed() >= PATIENCE / 2);
}

#[tokio::test]
async fn a_black_hole_keeps_the_connection_and_loses_nothing() {
    let bench = bench().await;
    bench.proxy.block(Way::ToClient);
    assert_eq!(bench.store("s.a").await, None);
    bench.proxy.saw(LIMIT, |publish| publish.subject == "s.a" && publish.answer.is_some()).await;
    bench.proxy.block(Way::ToServer);
    assert_eq!(bench.store("s.b").await, None);
    bench.proxy.saw(LIMIT, |publish| publish.subject == "s.b").await;
    assert_eq!(bench.stored().await, 1);
    bench.proxy.unblock();
    bench.proxy.saw(LIMIT, |publish| publish.subject == "s.b" && publish.answer.is_some()).await;
    assert_eq!(bench.store("s.c").await, Some(3));
    assert_eq!(bench.proxy.connections(), 1);
}

#[tokio::test]
async fn cut_connections_come_back_unless_refused() {
    let bench = bench().await;
    let cut = bench.proxy.on(|publish| publish.subject == "s.a").cut_after();
    assert_eq!(bench.store("s.a").await, None);
    cut.fired_once(LIMIT).await;
    assert_eq!(bench.stored().await, 1);
    support::eventually("a write after the reconnect", LIMIT, async || bench.store("s.b").await).await;
    let last = bench.proxy.seen().last().unwrap().connection;
    assert!(last >= 2, "still connection {last}");

    bench.proxy.refuse(true);
    bench.proxy.cut();
    assert_eq!(bench.store("s.c").await, None);
    assert!(async_nats::connect(bench.proxy.url()).await.is_err());
    bench.proxy.refuse(false);
    support::eventually("a write after the refusal", LIMIT, async || bench.store("s.c").await).await;
}

#[tokio::test]
async fn a_delivery_is_lost() {
    let bench = bench().await;
    let mut events = bench.client.subscribe("events.>").await.unwrap();
    bench.client.flush().await.unwrap();
    let rule = bench.proxy.on_delivery(|event| event.subject == "events.a").lose_request();
    for subject in ["events.a", "events.b", "events.a"] {
        bench.client.publish(subject, "".into()).await.unwrap();
    }
    assert_eq!(events.next().await.unwrap().subject.as_str(), "events.b");
    assert_eq!(events.next().await.unwrap().subject.as_str(), "events.a");
    assert_eq!(rule.fired(), 1);
}

#[tokio::test]
async fn clients_learn_of_no_other_server() {
    let cluster = Cluster::three().await;
    let straight = async_nats::connect(cluster.url()).await.unwrap();
    assert!(!straight.server_info().connect_urls.is_empty());
    let proxy = Proxy::start(&cluster.url()).await;
    let client = async_nats::connect(proxy.url()).await.unwrap();
    assert!(client.server_info().connect_urls.is_empty());
}
