//! Watching tells each transition, also those that make no event.

use std::time::Duration;

use lease::{Happened, Space, Transition, WatchEvent, WatchFrom};
use support::Cluster;
use tokio_stream::{Stream, StreamExt};

const LIMIT: Duration = Duration::from_secs(15);

type Told = WatchEvent;

async fn event(stream: &mut (impl Stream<Item = Result<Told, lease::Error>> + Unpin)) -> WatchEvent {
    let told = tokio::time::timeout(LIMIT, stream.next()).await.expect("told in time");
    told.expect("the stream goes on").expect("no error")
}

async fn next(stream: &mut (impl Stream<Item = Result<Told, lease::Error>> + Unpin)) -> Happened {
    match event(stream).await {
        WatchEvent::Happened(happened) => happened,
        other => panic!("{other:?}"),
    }
}

/// The next that is no renewal. Renewals come for ever, so they are no sign of life.
async fn change(stream: &mut (impl Stream<Item = Result<Told, lease::Error>> + Unpin)) -> Happened {
    let change = async {
        loop {
            let told = next(stream).await;
            if !matches!(told.what, Transition::Renewed(_)) {
                return told;
            }
        }
    };
    tokio::time::timeout(LIMIT, change).await.expect("a change in time")
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

    drop((before, elsewhere, mute, stuck));
}

/// The end of a watch that went on after this revision and said so.
async fn gap_after(
    stream: &mut (impl Stream<Item = Result<Told, lease::Error>> + Unpin),
    revision: u64,
) -> u64 {
    match event(stream).await {
        WatchEvent::Gap { after, to } if after == revision && to >= after => to,
        other => panic!("{other:?}"),
    }
}

/// Whoever comes later goes on from where another watch ended.
async fn goes_on(actor: Space, watcher: Space) {
    let mut all = watcher.watch("w.>", WatchFrom::Present).expect("a filter");
    let ttl = Duration::from_secs(2);
    let mute = actor.lock("w.mute").ttl(ttl).renewed_by_caller().acquire().await.expect("granted");
    assert_eq!(word(&change(&mut all).await), ("w.mute".to_owned(), "granted", mute.token().get()));
    let a = actor.lock("w.a").acquire().await.expect("granted");
    let granted = change(&mut all).await;
    assert_eq!(word(&granted), ("w.a".to_owned(), "granted", a.token().get()));
    drop(all);

    let b = actor.lock("w.b").acquire().await.expect("granted");
    a.renew().await.expect("renewed");
    // Of one name it is certain: the grant is the same.
    let mut one = watcher.watch("w.a", WatchFrom::After(granted.revision)).expect("a filter");
    assert_eq!(word(&next(&mut one).await), ("w.a".to_owned(), "renewed", a.token().get()));
    // Of many it never is.
    let mut after = watcher.watch("w.>", WatchFrom::After(granted.revision)).expect("a filter");
    gap_after(&mut after, granted.revision).await;
    let told = [next(&mut after).await, next(&mut after).await];
    let words = told.each_ref().map(word);
    assert_eq!(
        words,
        [("w.b".to_owned(), "granted", b.token().get()), ("w.a".to_owned(), "renewed", a.token().get()),],
        "what is older is not told again"
    );
    let last = told.iter().map(|told| told.revision).max().unwrap();
    // What was granted before, and not renewed since, expires all the same.
    assert_eq!(word(&change(&mut after).await), ("w.mute".to_owned(), "expired", mute.token().get()));
    let token = b.token().get();
    b.release().await.expect("released");
    let ended = change(&mut after).await;
    assert_eq!(word(&ended), ("w.b".to_owned(), "ended", token));
    drop(after);

    // From the same place again: what the store has of it is told once.
    let mut again = watcher.watch("w.b", WatchFrom::After(last)).expect("a filter");
    let told = next(&mut again).await;
    assert_eq!((word(&told).1, told.revision), ("ended", ended.revision), "it tells how the grant ended");
    drop(again);
    let c = actor.lock("w.c").acquire().await.expect("granted");
    c.release().await.expect("released");
    let c = actor.lock("w.c").acquire().await.expect("granted");
    for filter in ["w.c", "w.>"] {
        let mut missed = watcher.watch(filter, WatchFrom::After(ended.revision)).expect("a filter");
        let to = gap_after(&mut missed, ended.revision).await;
        assert!(to >= c.token().get(), "{to}");
        assert_eq!(word(&change(&mut missed).await), ("w.c".to_owned(), "granted", c.token().get()));
    }
    // What has expired has left nothing.
    let mut gone = watcher.watch("w.mute", WatchFrom::After(granted.revision)).expect("a filter");
    gap_after(&mut gone, granted.revision).await;
    drop((a, c, mute));
}

mod going_on {
    crate::everywhere!(super::goes_on);
}

/// The very server that the watch hears from is killed. It goes on with another, says so, and shows what it missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_whose_server_dies_goes_on_within_12_s_and_says_so() {
    let cluster = Cluster::three().await;
    let watcher = super::space(&cluster.urls()).await;
    let mut all = watcher.watch("w.>", WatchFrom::Present).expect("a filter");
    let name = format!("lease leases pid {}", std::process::id());
    let server = cluster.server_of_client(&name).await.expect("it is connected");
    let actor = super::space(&cluster.url_of((server + 1) % 3)).await;
    let a = actor.lock("w.a").acquire().await.expect("granted");
    assert_eq!(word(&change(&mut all).await), ("w.a".to_owned(), "granted", a.token().get()));
    cluster.kill9(server);
    let killed = std::time::Instant::now();
    let b = actor.lock("w.b").acquire().await.expect("granted");
    let mut missed = Vec::new();
    loop {
        match event(&mut all).await {
            WatchEvent::Resync => break,
            WatchEvent::Happened(told) => missed.push(word(&told)),
            other => panic!("{other:?}"),
        }
    }
    let took = killed.elapsed();
    println!("the watch went on {took:?} after its server was killed");
    assert!(took < Duration::from_secs(12), "{took:?}");
    let lock = actor.lock("w.c").acquire().await.expect("granted");
    while !missed.contains(&("w.c".to_owned(), "granted", lock.token().get())) {
        missed.push(word(&change(&mut all).await));
    }
    let granted: Vec<_> = missed.iter().filter(|(_, what, _)| *what == "granted").collect();
    let expected =
        [("w.b".to_owned(), "granted", b.token().get()), ("w.c".to_owned(), "granted", lock.token().get())];
    assert_eq!(granted, expected.iter().collect::<Vec<_>>(), "each once");
    drop(a);
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
