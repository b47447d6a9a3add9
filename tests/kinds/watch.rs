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

    drop((before, elsewhere, mute, stuck));
}

/// Whoever comes later goes on from where another watch ended.
async fn goes_on(actor: Space, watcher: Space) {
    let mut all = watcher.watch("w.>", WatchFrom::Present).expect("a filter");
    let a = actor.lock("w.a").acquire().await.expect("granted");
    let granted = change(&mut all).await;
    assert_eq!(word(&granted), ("w.a".to_owned(), "granted", a.token().get()));
    drop(all);

    // Nobody waited in line and no process was seen, so every revision since is still there.
    let b = actor.lock("w.b").acquire().await.expect("granted");
    let renewed = a.renew().await;
    assert!(renewed.is_ok());
    let mut after = watcher.watch("w.>", WatchFrom::After(granted.revision)).expect("a filter");
    let told = [next(&mut after).await, next(&mut after).await];
    let words = told.each_ref().map(word);
    assert_eq!(
        words,
        [("w.b".to_owned(), "granted", b.token().get()), ("w.a".to_owned(), "renewed", a.token().get()),]
    );
    let last = told.iter().map(|told| told.revision).max().unwrap();
    b.release().await.expect("released");
    let ended = change(&mut after).await;
    assert_eq!(word(&ended).1, "ended");
    drop(after);

    // From the same place again: what the store has of it is told once, and that the grant before may be missing.
    let mut again = watcher.watch("w.>", WatchFrom::After(last)).expect("a filter");
    let told = change(&mut again).await;
    assert_eq!((word(&told).1, told.revision), ("ended", ended.revision));
    drop(again);
    let c = actor.lock("w.c").acquire().await.expect("granted");
    c.release().await.expect("released");
    let c = actor.lock("w.c").acquire().await.expect("granted");
    let mut missed = watcher.watch("w.>", WatchFrom::After(ended.revision)).expect("a filter");
    let gap = event(&mut missed).await;
    assert!(
        matches!(gap, WatchEvent::Gap { after, to } if after == ended.revision && to >= c.token().get()),
        "{gap:?}"
    );
    assert_eq!(word(&change(&mut missed).await), ("w.c".to_owned(), "granted", c.token().get()));
    drop((a, c));
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
