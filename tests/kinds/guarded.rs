//! Guarded values: the store refuses them once the grant has ended, however that was.

use std::time::{Duration, Instant};

use lease::{Error, Lease, MAX_GUARDED, Space, Status};
use support::{Cluster, Proxy, Publish, eventually};

use crate::{LIMIT, everywhere, granted, stage};

mod values {
    use super::*;
    everywhere!(super::are_written_and_read_under_the_grant);
}

async fn are_written_and_read_under_the_grant(one: Space, two: Space) {
    let lease = granted(one.lock("g").try_acquire().await);
    assert_eq!(lease.get("g/v").await.expect("answered"), None);
    let before = lease.deadline();
    let binary: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    for value in [&b"plain"[..], b"", &binary] {
        lease.put("g/v", value).await.expect("written");
        let read = lease.get("g/v").await.expect("answered").expect("there");
        assert_eq!((&read.value[..], read.token), (value, lease.token()));
    }
    assert!(lease.deadline() > before && lease.status() == Status::Held, "each is a renewal, too");

    // Several at once are served one after the other.
    let many = (0..40).map(async |n| lease.put(&format!("many.{n}"), n.to_string()).await);
    for outcome in futures_util::future::join_all(many).await {
        outcome.expect("written");
    }
    let last = lease.get("many.39").await.expect("answered").expect("there");
    assert_eq!(&last.value[..], b"39");

    let token = lease.token();
    lease.release().await.expect("released");
    let next = granted(two.lock("g").acquire_within(LIMIT).await);
    let read = next.get("g/v").await.expect("answered").expect("there");
    assert_eq!((&read.value[..], read.token), (&binary[..], token), "the earlier holder's last word");
    next.delete("g/v").await.expect("deleted");
    assert_eq!(next.get("g/v").await.expect("answered"), None);

    let long = next.put("g/v", vec![0; MAX_GUARDED + 1]).await.expect_err("too long").to_string();
    assert!(long.contains("524289 bytes"), "{long}");
    assert!(matches!(next.put("g v", "x").await, Err(Error::InvalidName { .. })));
    assert_eq!(next.status(), Status::Held);
    next.release().await.expect("released");
}

mod readers {
    use super::*;
    everywhere!(super::see_changes_that_others_make);
}

/// Two locks, one key: not what it is for, but each look must tell the truth.
async fn see_changes_that_others_make(one: Space, two: Space) {
    let (a, b) = (granted(one.lock("a").try_acquire().await), granted(two.lock("b").try_acquire().await));
    for n in 0..20 {
        let (writer, reader) = if n % 2 == 0 { (&a, &b) } else { (&b, &a) };
        writer.put("shared", n.to_string()).await.expect("written");
        let read = reader.get("shared").await.expect("answered").expect("there");
        assert_eq!((&read.value[..], read.token), (n.to_string().as_bytes(), writer.token()));
    }
}

fn commits(publish: &Publish) -> bool {
    publish.header("Nats-Batch-Commit") == Some("1")
}

/// What was sent about a name, when, and what was answered.
fn story(proxy: &Proxy, since: Instant, name: &str) -> String {
    let about = |publish: &Publish| {
        publish.subject.ends_with(name)
            || publish.payload.windows(name.len()).any(|part| part == name.as_bytes())
    };
    let line = |it: Publish| {
        let after = it.at.saturating_duration_since(since);
        format!(
            "{after:?} on {} {} {:?} answered {}\n",
            it.connection,
            it.subject,
            it.headers,
            it.answer_json()
        )
    };
    proxy.seen().into_iter().filter(about).map(line).collect()
}

/// The write of a holder is on its way when the holder is paused (here: the network is), its grant expires, and somebody
/// else is granted the name and writes. Then it arrives.
async fn a_write_that_arrives_too_late(cluster: Cluster, count: usize) {
    let (proxy, far, near) = stage(&cluster).await;
    // All must be granted, have written, and have sent the next write before the first expires, also on a busy machine.
    let ttl = Duration::from_secs(16);
    let (name, begun) = (|n: usize| format!("late.{n}"), Instant::now());
    let holders = (0..count).map(async |n| {
        let lease = granted(far.lock(&name(n)).ttl(ttl).renewed_by_caller().acquire_within(LIMIT).await);
        // Each writes once without trouble; else a refusal could have any reason.
        if let Err(error) = lease.put(&name(n), "first").await {
            panic!("{error}, {:?}\n{}", lease.status(), story(&proxy, begun, &name(n)));
        }
        lease
    });
    let holders: Vec<Lease> = futures_util::future::join_all(holders).await;
    let held = proxy.on(commits).always().hold_request();
    let outcomes = {
        let writes = holders.iter().enumerate().map(async |(n, lease)| lease.put(&name(n), "too late").await);
        let others = async {
            held.fired_times(count, LIMIT).await;
            futures_util::future::join_all((0..count).map(async |n| {
                let lease = granted(near.lock(&name(n)).acquire_within(ttl + LIMIT).await);
                lease.put(&name(n), "second").await.expect("written");
                lease
            }))
            .await
        };
        tokio::join!(futures_util::future::join_all(writes), others)
    };
    let (writes, successors) = outcomes;
    for outcome in writes {
        assert!(matches!(outcome, Err(Error::Unknown(_))), "sent, and never answered: {outcome:?}");
    }
    held.release();
    let answered = |publish: &&Publish| commits(publish) && publish.answer.is_some();
    eventually("all have arrived and were answered", LIMIT, async || {
        let seen = proxy.seen();
        let answers: Vec<_> = seen.iter().filter(answered).map(Publish::answer_json).collect();
        let refused = answers.iter().filter(|answer| answer.get("error").is_some()).count();
        (refused >= count).then_some(())
    })
    .await;
    let mut refused = 0;
    for (n, lease) in successors.iter().enumerate() {
        let read = lease.get(&name(n)).await.expect("answered").expect("there");
        assert_eq!((&read.value[..], read.token), (&b"second"[..], lease.token()), "{n}");
        refused += 1;
    }
    println!(
        "{refused} of {count} writes of a holder that had expired and was replaced were refused by the server"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_refuses_a_write_that_arrives_too_late() {
    a_write_that_arrives_too_late(Cluster::single().await, 40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_refuse_writes_that_arrive_too_late() {
    a_write_that_arrives_too_late(Cluster::three().await, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_release_a_break_or_a_hand_over_nothing_is_written() {
    let cluster = Cluster::single().await;
    let (proxy, far, near) = stage(&cluster).await;
    for (n, how) in ["released", "broken", "handed over"].into_iter().enumerate() {
        let name = format!("gone.{n}");
        let lease = granted(far.lock(&name).try_acquire().await);
        let token = lease.token();
        let waiting = {
            let lock = near.lock(&name).owner("next");
            tokio::spawn(async move { lock.acquire().await })
        };
        eventually("somebody waits", LIMIT, async || {
            (near.look(&name).await.ok()?.waiters.len() == 1).then_some(())
        })
        .await;
        let held = proxy.on(commits).hold_request();
        let put = lease.put(&name, how);
        let next = async {
            held.fired_once(LIMIT).await;
            match how {
                // By somebody else, as the holder itself sends one thing at a time.
                "broken" => near.lock(&name).break_by_force(token, how, true).await.expect("broken"),
                _ => {
                    near.lock(&name).break_by_force(token, how, false).await.expect("marked");
                }
            }
        };
        let (outcome, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(3), put), next);
        held.release();
        assert!(!matches!(outcome, Ok(Ok(()))), "{how}: {outcome:?}");
        match how {
            "handed over" => drop(lease.hand_over("next").await),
            _ => drop(lease.release().await),
        }
        let next =
            tokio::time::timeout(LIMIT, waiting).await.expect("soon").expect("no panic").expect("granted");
        assert_eq!(next.get(&name).await.expect("answered"), None, "{how}");
        proxy.clear();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_resolved_and_it_is_written_once() {
    for cluster in [Cluster::single().await, Cluster::three().await] {
        let (proxy, far, near) = stage(&cluster).await;
        let lease = granted(far.lock("once").try_acquire().await);
        for times in [1, 2] {
            let lost = proxy.on(commits).times(times).lose_answer();
            lease.put("once", times.to_string()).await.expect("resolved");
            assert_eq!(lost.fired(), times);
            proxy.clear();
        }
        let lost = proxy.on(commits).lose_request();
        lease.put("once", "again").await.expect("repeated");
        assert_eq!(lost.fired(), 1);
        let read = lease.get("once").await.expect("answered").expect("there");
        assert_eq!(&read.value[..], b"again");
        assert_eq!(lease.status(), Status::Held);
        lease.release().await.expect("released");
        drop(granted(near.lock("once").acquire_within(LIMIT).await));
    }
}
