//! Servers that hang, die and come back under an open store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lease::store::{NatsStore, Store, WriteError};
use support::{Cluster, Proxy, eventually};

use crate::relay::Relay;
use crate::{LIMIT, open, put, settle};

/// A try's own limit, and what a loaded machine adds.
const TRY: Duration = Duration::from_millis(1_500 + 300);

/// The server that the store is connected to.
fn server(store: &NatsStore) -> Option<usize> {
    let shown = format!("{store:?}");
    (0..9).find(|n| shown.contains(&format!("\"n{n}\"")))
}

/// One try that cannot succeed; how it ended.
async fn fails(store: &NatsStore, key: &str) -> WriteError {
    let begun = Instant::now();
    let answer = store.write(&put(key, 0, "x", 60)).await;
    assert!(begun.elapsed() < TRY, "a try took {:?}", begun.elapsed());
    match answer {
        Err(why @ (WriteError::Unknown(_) | WriteError::NotTaken)) => why,
        other => panic!("{other:?}"),
    }
}

/// It answers pings, and no write arrives by its way: as one that was cut off from the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_by_whose_way_nothing_is_written_is_left_after_a_while() {
    let cluster = Cluster::three().await;
    let proxy = Proxy::start(&cluster.url_of(0)).await;
    let urls = format!("{},{}", proxy.url(), cluster.url_of(1));
    // It is chance which one is tried first.
    let store = loop {
        let store = open(&urls).await;
        if proxy.connections() > 0 {
            break store;
        }
    };
    settle(&store, &put("lock.before", 0, "x", 60)).await.expect("written");
    let writes = |publish: &support::Publish| publish.subject.starts_with("$KV.");
    let lost = proxy.on(writes).always().lose_request();
    let begun = Instant::now();
    settle(&store, &put("lock.a", 0, "x", 60)).await.expect("written");
    let written = begun.elapsed();
    assert!(written > Duration::from_secs(5), "it is not left for one lost message: {written:?}");
    assert!(written < Duration::from_secs(12), "a lease of 20 s is over by then: {written:?}");
    assert!(lost.fired() >= 3);
    assert_eq!(proxy.connections(), 0, "it is connected to the other one");
}

/// A leader that hears nobody any more says of what is written again that it is under way, until it sees that it leads nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_decides_nothing_is_left_after_a_while_though_it_answers() {
    let cluster = Cluster::three().await;
    drop(open(&cluster.url()).await);
    let leader = cluster.stream_leader("KV_leases").await;
    let store = open(&cluster.url_of(leader)).await;
    assert_eq!(server(&store), Some(leader));
    let others = (0..cluster.size()).filter(|other| *other != leader);
    others.clone().for_each(|other| cluster.pause(other));
    let begun = Instant::now();
    let mut under_way = 0;
    while server(&store) == Some(leader) {
        match store.write(&put("lock.a", 0, "x", 60)).await {
            Err(WriteError::InFlight) => under_way += 1,
            Err(WriteError::Unknown(_) | WriteError::NotTaken) => {}
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let left = begun.elapsed();
    others.for_each(|other| cluster.resume(other));
    assert!(under_way > 0, "it never said so");
    assert!(left > Duration::from_secs(5), "it is not left for one lost answer: {left:?}");
    // It takes 10 s at least until it sees that.
    assert!(left < Duration::from_secs(9), "left after {left:?}");
    println!("left after {left:?}, and {under_way} answers");
}

/// Whether the hanging server leads the bucket or not: it is left, and where it does not lead, writes go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_server_is_left_within_five_seconds() {
    let cluster = Cluster::three().await;
    let first = open(&cluster.url()).await;
    let leader = cluster.stream_leader("KV_leases").await;
    drop(first);
    for hanging in [leader, (leader + 1) % 3] {
        // One URL: the other servers have to be known by discovery.
        let store = open(&cluster.url_of(hanging)).await;
        assert_eq!(server(&store), Some(hanging));
        let mut events = store.follow("lock.>").await.expect("followed");
        cluster.pause(hanging);
        let begun = Instant::now();
        assert!(matches!(fails(&store, "lock.first").await, WriteError::Unknown(_)));
        eventually("connected to another server", LIMIT, async || {
            server(&store).is_some_and(|now| now != hanging).then_some(())
        })
        .await;
        let left = begun.elapsed();
        assert!(left < Duration::from_secs(5), "left after {left:?}");
        let key = format!("lock.{hanging}");
        let ack = settle(&store, &put(&key, 0, "x", 60)).await.expect("written");
        let written = begun.elapsed();
        assert!(hanging == leader || written < Duration::from_secs(5), "written after {written:?}");
        println!("left after {left:?}, written after {written:?}, it led: {}", hanging == leader);
        eventually("followers hear again", LIMIT, async || {
            std::iter::from_fn(|| events.try_recv().ok())
                .any(|event| event.revision == ack.revision)
                .then_some(())
        })
        .await;
        cluster.resume(hanging);
        cluster.ready().await;
        let now = cluster.stream_leader("KV_leases").await;
        if hanging == leader && now == (leader + 1) % 3 {
            cluster.step_down("KV_leases").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_all_servers_down_each_try_ends_in_time_and_then_it_goes_on() {
    let cluster = Cluster::three().await;
    let store = open(&cluster.urls()).await;
    let mut events = store.follow("lock.>").await.expect("followed");
    let mut notes = store.inbox("p1").await.expect("an inbox");
    settle(&store, &put("lock.before", 0, "x", 60)).await.expect("written");
    cluster.kill9_all();
    for n in 0..5 {
        fails(&store, &format!("lock.{n}")).await;
        assert!(store.read("lock.before").await.is_err());
        assert!(store.probe().await.is_err());
    }
    assert!(!store.connected());
    cluster.start_all().await;
    eventually("connected again", LIMIT, async || store.connected().then_some(())).await;
    settle(&store, &put("lock.after", 0, "x", 60)).await.expect("written");
    hears(&store, &mut events, &mut notes).await;
}

/// Followers and inboxes survive: whoever holds their receivers need do nothing.
async fn hears(
    store: &NatsStore,
    events: &mut lease::store::Events<lease::store::Entry>,
    notes: &mut lease::store::Events<bytes::Bytes>,
) {
    let mut count = 0;
    eventually("a follower and an inbox hear again", LIMIT, async || {
        count += 1;
        while events.try_recv().is_ok() {}
        let ack = settle(store, &put(&format!("lock.again.{count}"), 0, "x", 60)).await.expect("written");
        store.tell("p1", format!("note {count}").into()).await;
        let event = tokio::time::timeout(Duration::from_millis(300), events.recv()).await;
        let note = tokio::time::timeout(Duration::from_millis(300), notes.recv()).await;
        let heard = matches!(event, Ok(Some(event)) if event.revision == ack.revision);
        (heard && matches!(note, Ok(Some(_)))).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_all_servers_hanging_each_try_ends_in_time_and_then_it_goes_on() {
    let cluster = Cluster::three().await;
    let store = open(&cluster.urls()).await;
    (0..3).for_each(|n| cluster.pause(n));
    for n in 0..4 {
        fails(&store, &format!("lock.{n}")).await;
        let begun = Instant::now();
        assert!(store.read("lock.0").await.is_err() && begun.elapsed() < TRY);
    }
    (0..3).for_each(|n| cluster.resume(n));
    settle(&store, &put("lock.after", 0, "x", 60)).await.expect("written");
}

/// What is not sent in time is never sent: not when the next connection is made, nor ever after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_try_that_was_given_up_is_not_sent_later() {
    let cluster = Cluster::single().await;
    let relay = Relay::start(&cluster.url()).await;
    let store = Arc::new(open(&relay.url()).await);
    relay.stop_reading().await;
    // More than any buffer on the way takes, so that most of it waits in the client.
    let mut tries = tokio::task::JoinSet::new();
    for n in 0..2_000 {
        let store = store.clone();
        let write = put(&format!("lock.{n}"), 0, &"x".repeat(8_000), 60);
        tries.spawn(async move { store.write(&write).await });
    }
    for answer in tries.join_all().await {
        assert!(matches!(answer, Err(WriteError::Unknown(_) | WriteError::NotTaken)), "{answer:?}");
    }
    relay.cut();
    eventually("connected again", LIMIT, async || {
        store.write(&put("after", 0, "x", 60)).await.is_ok().then_some(())
    })
    .await;
    // Time for a second connection, which nobody asked for.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let direct = open(&cluster.url()).await;
    let late = direct.scan("lock.*", 0).await.expect("readable").entries;
    assert!(late.is_empty(), "{} and more were sent late, such as {}", late.len(), late[0].key);
}

/// Pages come from any replica, which may lag behind the leader. Here the page is taken, then a write acknowledged,
/// then the leader asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_goes_as_far_as_the_leader() {
    let cluster = Cluster::single().await;
    let writer = open(&cluster.url()).await;
    let proxy = Proxy::start(&cluster.url()).await;
    let reader = Arc::new(open(&proxy.url()).await);
    for n in 0..3 {
        settle(&writer, &put(&format!("line.{n}"), 0, "x", 60)).await.expect("written");
    }
    let subject = "$JS.API.STREAM.MSG.GET.KV_leases";
    let held = proxy.on(move |publish| publish.subject == subject).hold_request();
    let scan = tokio::spawn(async move { reader.scan("line.*", 0).await });
    proxy
        .saw(LIMIT, |publish| publish.subject.contains("DIRECT.GET.KV_leases") && publish.answer.is_some())
        .await;
    for n in 3..6 {
        settle(&writer, &put(&format!("line.{n}"), 0, "x", 60)).await.expect("written");
    }
    held.release();
    let page = scan.await.expect("no panic").expect("readable");
    let keys: Vec<&str> = page.entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["line.0", "line.1", "line.2", "line.3", "line.4", "line.5"]);
    assert_eq!(page.next, None);
}

/// Nobody listens any more: the server is told, at once, on a connection where nothing else happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_followers_and_stores_leave_nothing_at_the_server() {
    let cluster = Cluster::single().await;
    let store = open(&cluster.url()).await;
    let before = subscriptions(&cluster).await;
    let mut kept = Vec::new();
    for n in 0..200 {
        kept.push(store.follow(&format!("lock.{n}")).await.expect("followed"));
    }
    assert_eq!(subscriptions(&cluster).await, before + 200);
    drop(kept);
    eventually("the server forgets them", LIMIT, async || {
        (subscriptions(&cluster).await == before).then_some(())
    })
    .await;
    let inbox = store.inbox("p1").await.expect("an inbox");
    let mut events = store.follow("lock.a").await.expect("followed");
    drop(store);
    eventually("the connection is closed", LIMIT, async || {
        (cluster.client_count(0).await == 0).then_some(())
    })
    .await;
    assert_eq!(events.recv().await, None, "and so is the follower's channel");
    drop(inbox);
}

async fn subscriptions(cluster: &Cluster) -> u64 {
    let state = support::http::json_tcp(&cluster.monitor_of(0), "/varz", LIMIT).await.expect("an answer");
    state["subscriptions"].as_u64().expect("a number")
}
