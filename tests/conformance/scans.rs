//! Many entries at once.

use lease::store::Revision;

use crate::kit::{Fixture, ends, patiently, scan_all, scan_from};

/// More than two pages, however the store cuts them.
const MANY: usize = 600;

pub async fn last_is_the_highest_revision_that_matches(f: Fixture) {
    f.put(&f.key("line.x.3"), 0, "", 0).await;
    f.put(&f.key("line.y.9"), 0, "", 0).await;
    let one = f.put(&f.key("line.x.1"), 0, "", 0).await;
    let two = f.put(&f.key("line.y.2"), 0, "", 0).await;
    f.put(&f.key("else.x.4"), 0, "", 0).await;
    assert_eq!(last(&f, "line.x.*").await, Some(one), "keys of another line come in between");
    assert_eq!(last(&f, "line.y.*").await, Some(two));
    assert_eq!(last(&f, "line.>").await, Some(two));
    assert_eq!(last(&f, "line.*.1").await, Some(one));
    assert_eq!(last(&f, "line.z.*").await, None);
    let moved = f.put(&f.key("line.x.3"), last(&f, "line.x.3").await.unwrap_or(0), "", 0).await;
    assert_eq!(last(&f, "line.x.*").await, Some(moved));
}

pub async fn first_is_the_lowest_revision_that_matches(f: Fixture) {
    f.put(&f.key("else.x.4"), 0, "", 0).await;
    let one = f.put(&f.key("line.x.3"), 0, "", 0).await;
    let two = f.put(&f.key("line.x.1"), 0, "", 0).await;
    assert_eq!(first(&f, "line.x.*").await, Some(one), "keys of another line come before");
    assert_eq!(first(&f, "line.z.*").await, None);
    let marker = f.delete(&f.key("line.x.3"), one, "", 0).await;
    assert_eq!(first(&f, "line.x.*").await, Some(two), "the marker that replaced it is newer");
    f.delete(&f.key("line.x.1"), two, "", 0).await;
    assert_eq!(first(&f, "line.x.*").await, Some(marker), "it may be a marker");
}

async fn first(f: &Fixture, filter: &str) -> Option<Revision> {
    f.first(filter).await.map(|entry| entry.revision)
}

pub async fn last_may_be_a_marker(f: Fixture) {
    f.put(&f.key("a"), 0, "", 0).await;
    let b = f.put(&f.key("b"), 0, "", 0).await;
    let marker = f.delete(&f.key("b"), b, "", 0).await;
    assert_eq!(last(&f, "*").await, Some(marker));
}

async fn last(f: &Fixture, filter: &str) -> Option<Revision> {
    f.last(filter).await.map(|entry| entry.revision)
}

pub async fn scan_is_in_order_and_shows_markers(f: Fixture) {
    for name in ["c", "a", "b"] {
        f.put(&f.key(name), 0, name, 0).await;
    }
    let a = last(&f, "a").await.expect("there");
    f.delete(&f.key("a"), a, "gone", 0).await;
    let entries = scan_all(&f.b, &f.key("*")).await;
    assert_eq!(ends(&entries), ["c", "b", "a"], "in the order of revisions, not of keys");
    assert!(entries.is_sorted_by_key(|entry| entry.revision));
    assert_eq!(entries.iter().map(|e| e.value().is_some()).collect::<Vec<_>>(), [true, true, false]);
}

pub async fn scan_starts_where_told(f: Fixture) {
    let mut revisions = Vec::new();
    for name in ["a", "b", "c"] {
        revisions.push(f.put(&f.key(name), 0, name, 0).await);
    }
    assert_eq!(ends(&scan_from(&f.a, &f.key("*"), revisions[1]).await), ["b", "c"], "that revision included");
    assert_eq!(ends(&scan_from(&f.a, &f.key("*"), revisions[1] + 1).await), ["c"]);
    assert_eq!(scan_from(&f.a, &f.key("*"), revisions[2] + 1).await, []);
    assert_eq!(ends(&scan_from(&f.a, &f.key("*"), 1).await), ["a", "b", "c"]);
}

pub async fn pages_are_complete(f: Fixture) {
    fill(&f, "k").await;
    let entries = scan_all(&f.b, &f.key("k.*")).await;
    assert_eq!(ends(&entries), (0..MANY).map(|n| n.to_string()).collect::<Vec<_>>());
    let first = patiently(async || f.a.scan(&f.key("k.*"), 0).await).await;
    assert!(first.entries.len() < MANY && first.next.is_some(), "a page is bounded");
}

pub async fn a_key_rewritten_during_a_scan_is_not_missed(f: Fixture) {
    let revisions = fill(&f, "k").await;
    let mut page = patiently(async || f.b.scan(&f.key("k.*"), 0).await).await;
    let mut seen = page.entries;
    let rewritten = [0, 255, 256, 511, 599];
    for n in rewritten {
        f.put(&f.key(&format!("k.{n}")), revisions[n], "again", 0).await;
    }
    while let Some(from) = page.next {
        page = patiently(async || f.b.scan(&f.key("k.*"), from).await).await;
        seen.append(&mut page.entries);
    }
    for n in 0..MANY {
        let key = f.key(&format!("k.{n}"));
        let newest = seen.iter().rfind(|e| e.key == key).unwrap_or_else(|| panic!("{key} was missed"));
        let again = newest.value().is_some_and(|value| value.as_ref() == b"again");
        assert_eq!(again, rewritten.contains(&n), "{key}");
    }
}

/// Keys `{stem}.0` and on; gives their revisions.
async fn fill(f: &Fixture, stem: &str) -> Vec<Revision> {
    let mut revisions = Vec::new();
    for n in 0..MANY {
        revisions.push(f.put(&f.key(&format!("{stem}.{n}")), 0, "", 0).await);
    }
    revisions
}

/// Names hold dots: the line of `a` is not that of `a.b`, though one key begins with the other.
pub async fn filters_match_token_by_token(f: Fixture) {
    for key in ["line.lock.a.1", "line.lock.a.b.2", "line.lock.ab.3", "lock.a", "lock.a.b", "lock.a.b.c"] {
        f.put(&f.key(key), 0, "", 0).await;
    }
    let table: [(&str, &[&str]); 9] = [
        ("line.lock.a.*", &["1"]),
        ("line.lock.a.b.*", &["2"]),
        ("line.lock.*.*", &["1", "3"]),
        ("line.lock.a.>", &["1", "2"]),
        ("line.>", &["1", "2", "3"]),
        ("lock.a", &["a"]),
        ("lock.a.*", &["b"]),
        ("lock.*.b", &["b"]),
        ("lock.a.>", &["b", "c"]),
    ];
    for (filter, expected) in table {
        assert_eq!(ends(&scan_all(&f.a, &f.key(filter)).await), expected, "{filter}");
        let last = f.last(filter).await;
        assert_eq!(ends(last.as_slice()), expected[expected.len() - 1..], "{filter}");
    }
}
