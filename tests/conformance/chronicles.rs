//! What is kept about a record's past.

use bytes::Bytes;
use lease::store::{CHRONICLE_LINES, Revision, WriteError};

use crate::kit::{Fixture, patiently, until};

/// Adds a line for certain. Its answer may be lost, and then it is added again: whoever counts looks at the texts.
async fn add(f: &Fixture, key: &str, text: &str) {
    until("a line is taken", async || f.a.chronicle(key, Bytes::copy_from_slice(text.as_bytes())).await.ok())
        .await;
}

/// The lines, through both views, which agree as long as nobody adds any.
async fn lines(f: &Fixture, key: &str) -> Vec<(Revision, Bytes)> {
    let lines = patiently(async || f.a.chronicle_of(key).await).await;
    assert_eq!(patiently(async || f.b.chronicle_of(key).await).await, lines, "the views differ on {key}");
    assert!(lines.windows(2).all(|pair| pair[0].0 < pair[1].0), "the oldest comes first: {lines:?}");
    lines
}

async fn texts(f: &Fixture, key: &str) -> Vec<String> {
    let mut texts: Vec<String> = lines(f, key)
        .await
        .into_iter()
        .map(|(_, text)| String::from_utf8(text.to_vec()).expect("what was written"))
        .collect();
    texts.dedup();
    texts
}

pub async fn a_key_without_a_past_has_no_lines(f: Fixture) {
    let key = f.key("lock.a");
    assert_eq!(lines(&f, &key).await, []);
    f.put(&key, 0, "one", 0).await;
    assert_eq!(lines(&f, &key).await, [], "its values are no lines");
}

pub async fn lines_are_kept_in_their_order(f: Fixture) {
    let (key, other) = (f.key("lock.a"), f.key("lock.a.b"));
    add(&f, &key, "one").await;
    add(&f, &other, "elsewhere").await;
    add(&f, &key, "").await;
    add(&f, &key, "three").await;
    assert_eq!(texts(&f, &key).await, ["one", "", "three"]);
    assert_eq!(texts(&f, &other).await, ["elsewhere"]);
    assert_eq!(f.read(&key).await, None, "the bucket itself knows nothing of it");
    assert_eq!(f.last(">").await, None);
}

pub async fn the_last_64_are_kept(f: Fixture) {
    let key = f.key("lock.a");
    let wanted: Vec<String> = (0..CHRONICLE_LINES + 6).map(|number| format!("line {number}")).collect();
    for (number, text) in wanted.iter().enumerate() {
        add(&f, &key, text).await;
        if number == CHRONICLE_LINES - 1 {
            assert_eq!(texts(&f, &key).await.first(), wanted.first(), "as many as are to be kept are kept");
        }
    }
    let kept = lines(&f, &key).await;
    assert_eq!(kept.len(), CHRONICLE_LINES);
    let kept = texts(&f, &key).await;
    // As many as the lines that had to be written twice may be missing; none should.
    assert_eq!(kept, wanted[wanted.len() - kept.len()..]);
    assert!(kept.len() > CHRONICLE_LINES - 6, "{kept:?}");
}

pub async fn impossible_lines_are_refused(f: Fixture) {
    for bad in ["a..b", "a b", "", "a.*", "a.>"] {
        let refused = f.a.chronicle(bad, Bytes::from_static(b"x")).await;
        assert!(
            matches!(&refused, Err(WriteError::Refused(why)) if why.contains("invalid key")),
            "{refused:?}"
        );
        assert!(f.b.chronicle_of(bad).await.is_err(), "{bad}");
    }
}
