//! Watching tells each transition, also those that make no event.

use std::time::Duration;

use lease::{Happened, Space, Transition, WatchFrom};
use support::Cluster;
use tokio_stream::{Stream, StreamExt};

const LIMIT: Duration = Duration::from_secs(15);

type Told = lease::Happened;

async fn next(stream: &mut (impl Stream<Item = Result<Told, lease::Error>> + Unpin)) -> Happened {
    let told = tokio::time::timeout(LIMIT, stream.next()).await.expect("told in time");
    told.expect("the stream goes on").expect("no error")
}

/// The next that is no renewal.
async fn change(stream: &mut (impl Stream<Item = Result<Told, lease::Error>> + Unpin)) -> Happened {
    loop {
        let told = next(stream).await;
        if !matches!(told.what, Transition::Renewed(_)) {
            return told;
        }
    }
}

fn word(told: &Happened) -> (String, &'static str, u64) {
    let (what, token) = match &told.what {
        Transition::Granted(holder) => ("granted", holder.token),
        Transition::Renewed(holder) => ("renewed", holder.token),
        Transition::Broken { holder, .. } => ("broken", holder.token),
        Transition::Ended(previous) => ("ended", previous.token),
        Transition::Expired(holder) => ("expired", holder.token),
        _ => ("?", lease::Token::new(0)),
    };
    (told.name.clone(), what, token.get())
}

/// Two spaces on one store: who acts, and who watches.
async fn tells_all(actor: Space, watcher: Space) {
    let ttl = Duration::from_secs(2);
    let before = actor.lock("w.old").acquire().await.expect("granted");
    let elsewhere = actor.lock("x.old").acquire().await.expect("granted");
    let mut all = watcher.watch("w.>", WatchFrom::Present).expect("a filter");
    let mut news = watcher.watch("w.*", WatchFrom::Now).expect("a filter");
    let (old, was) = ("w.old".to_owned(), before.token().get());
    assert_eq!(word(&change(&mut all).await), (old.clone(), "granted", was), "what is there already");

    // The second watch shows nothing until something happens; what it follows is in place once this is told.
    let renewed = loop {
        let told = next(&mut news).await;
        if told.name == old {
            break told;
        }
    };
    assert_eq!(word(&renewed), (old.clone(), "renewed", was), "what was there is no news, its renewal is");

    let lease = actor.lock("w.a").ttl(ttl).acquire().await.expect("granted");
    let (a, token) = ("w.a".to_owned(), lease.token().get());
    assert_eq!(word(&change(&mut all).await), (a.clone(), "granted", token));
    assert_eq!(word(&change(&mut news).await), (a.clone(), "granted", token));
    lease.release().await.expect("released");
    let ended = change(&mut all).await;
    assert_eq!(word(&ended), (a.clone(), "ended", token));
    let Transition::Ended(how) = &ended.what else { panic!("{ended:?}") };
    assert_eq!(how.why, lease::End::Released);

    // Nobody renews it: it expires, which makes no event.
    let mute = actor.lock("w.a").ttl(ttl).renewed_by_caller().acquire().await.expect("granted");
    let token = mute.token().get();
    assert_eq!(word(&change(&mut all).await), (a.clone(), "granted", token));
    assert_eq!(word(&change(&mut all).await), (a.clone(), "expired", token));

    let stuck = actor.lock("w.b").acquire().await.expect("granted");
    let (b, token) = ("w.b".to_owned(), stuck.token().get());
    let granted = change(&mut all).await;
    assert_eq!(word(&granted), (b.clone(), "granted", token));
    actor.lock("w.b").break_by_force(stuck.token(), "stuck", false).await.expect("broken");
    let broken = change(&mut all).await;
    assert_eq!(word(&broken), (b.clone(), "broken", token));
    assert!(matches!(&broken.what, Transition::Broken { reason, .. } if reason == "stuck"), "{broken:?}");

    // Whoever comes later goes on from where another watch ended.
    let mut after = watcher.watch("w.>", WatchFrom::After(granted.revision)).expect("a filter");
    let mut told = Vec::new();
    while told.len() < 2 {
        let (name, what, _) = word(&change(&mut after).await);
        if !told.contains(&(name.clone(), what)) {
            told.push((name, what));
        }
    }
    assert!(told.contains(&(b.clone(), "broken")), "the newest of each that is newer: {told:?}");
    assert!(!told.contains(&(a, "granted")), "what is older is not told: {told:?}");
    drop((before, elsewhere, mute, stuck));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_embedded_store() {
    let space = Space::embedded();
    tells_all(space.clone(), space).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_server() {
    let cluster = Cluster::single().await;
    tells_all(super::space(&cluster.url()).await, super::space(&cluster.url()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_three_servers() {
    let cluster = Cluster::three().await;
    tells_all(super::space(&cluster.url()).await, super::space(&cluster.url()).await).await;
}
