//! What the library writes is what the checkers read: should a field be named otherwise one day, it is seen here.

use chaos::history::Kind;
use lease::Token;
use lease::protocol::line::{Left, Waiter};
use lease::protocol::{Record, key};
use serde_json::{Value, json};

use super::story::Story;

fn mine() -> Record {
    Record { holder: "p1".into(), owner: "w1".into(), attempt: "x".into(), ..Record::nobodys(String::new()) }
}

fn stored(record: &Record) -> Value {
    serde_json::from_slice(&record.encode()).unwrap()
}

#[test]
fn records_and_their_keys() {
    let mut story = Story::new();
    let token = story.writes(10, &key::lock("a"), 6, stored(&mine()));
    story.starts(1, "w1", "library");
    story.starts(1, "w2", "library");
    story.holds("w1", 1, Kind::Lock, "a", token, (11, 900));
    let renewed = Record { token: Some(Token::new(token)), ..mine() };
    story.writes(500, &key::lock("a"), 6, stored(&renewed));
    let reader = story.writes(600, &key::reader("b", "i"), 6, stored(&mine()));
    story.holds("w1", 2, Kind::Shared, "b", reader, (601, 900));
    let permit = story.writes(700, &key::slot("s", 0), 6, stored(&mine()));
    story.holds("w1", 3, Kind::Semaphore, "s", permit, (701, 900));
    let property = "a token is its granting revision";
    assert_eq!(story.holds_for(property).examined, 4);
    let another = story.writes(800, &key::elect("e"), 6, stored(&mine()));
    story.holds("w2", 1, Kind::Election, "e", another, (801, 900));
    story.violates(property, "was written for w1");
    let kept = story.writes(850, &key::lock("c"), 3, stored(&Record { reserved: true, ..mine() }));
    story.holds("w1", 4, Kind::Lock, "c", kept, (851, 900));
    story.violates(property, "only kept lock.c free");
}

#[test]
fn lists_of_readers() {
    let list = Record { readers: vec!["i".into()], ..Record::nobodys(String::new()) };
    let mut story = Story::new();
    story.writes(10, &key::lock("a"), 0, stored(&list));
    story.writes(11, &key::reader("a", "i"), 6, stored(&mine()));
    story.holds_for("nothing is leaked");
    story.writes(20, &key::lock("a"), 6, stored(&mine()));
    story.violates("no grant is written over while it stands", "while its reader i stood");
}

#[test]
fn places_in_line() {
    let place = |attempt: &str| {
        json!(Waiter {
            place: attempt.into(),
            attempt: attempt.into(),
            process: "p".into(),
            owner: "o".into(),
            host: "h".into(),
            pid: 1,
            since: String::new(),
            priority: 0,
            is_ready: true,
            value: None,
        })
    };
    let mut story = Story::new();
    let line = key::lock("a");
    story.writes(10, &key::place(&line, "1"), 86_400, place("waits"));
    for turn in 0..5 {
        let attempt = format!("t{turn}");
        story.writes(20 + turn, &key::place(&line, "2"), 86_400, place(&attempt));
        story.writes(20 + turn, &line, 6, stored(&Record { attempt, ..mine() }));
        story.deletes(20 + turn, &line);
    }
    story.violates("nobody is overtaken again and again", "5 times in a row");
    assert_eq!(json!(Left { granted: true }), json!({ "granted": true }));
}
