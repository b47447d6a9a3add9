//! Answers word for word as releases 2.12.8 and 2.15.1 gave them.

use super::*;

fn answer(body: &str) -> Result<BatchAck, WriteError> {
    batch_answer(body.as_bytes(), "KV_b", "try", 3)
}

fn refused(code: u16, err_code: u16, description: &str) -> Result<BatchAck, WriteError> {
    answer(&format!(
        r#"{{"error":{{"code":{code},"err_code":{err_code},"description":"{description}"}},"stream":"KV_b","seq":0}}"#
    ))
}

#[test]
fn an_ack_names_the_last_revision_and_the_count() {
    let ack = answer(r#"{"stream":"KV_b","seq":1002,"batch":"try","count":3}"#);
    assert_eq!(ack, Ok(BatchAck::Applied { first: 1000, last: 1002 }));
    for strange in [
        "",
        "{}",
        "+OK",
        r#"{"stream":"KV_b","seq":1002}"#,
        r#"{"stream":"KV_b","seq":1002,"duplicate": true}"#,
        r#"{"stream":"KV_b","seq":1002,"batch":"another","count":3}"#,
        r#"{"stream":"KV_b","seq":1002,"batch":"try","count":2}"#,
        r#"{"stream":"KV_b","seq":2,"batch":"try","count":3}"#,
        r#"{"stream":"KV_c","seq":1002,"batch":"try","count":3}"#,
    ] {
        assert!(matches!(answer(strange), Err(WriteError::Unknown(_))), "{strange}");
    }
}

#[test]
fn every_refusal_has_its_class() {
    use WriteError::{Conflict, InFlight, NotTaken, Refused, Unknown};
    let duplicate = "atomic publish batch contains duplicate message id";
    assert_eq!(refused(400, 10201, duplicate), Ok(BatchAck::Duplicate));
    assert_eq!(refused(400, 10071, "wrong last sequence: 1001"), Err(Conflict { current: Some(1001) }));
    assert_eq!(refused(400, 10164, "wrong last sequence"), Err(InFlight));
    for (code, err_code, text) in [
        (400, 10176, "atomic publish batch is incomplete"),
        (429, 10210, "atomic publish too many inflight"),
        (503, 10008, "JetStream system temporarily unavailable"),
    ] {
        assert_eq!(refused(code, err_code, text), Err(NotTaken), "{err_code}");
    }
    for (code, err_code, text) in [
        (409, 10158, "duplicate message id is in process"),
        (503, 10023, "insufficient resources"),
        (400, 10002, "resource limits exceeded for account"),
        (500, 10028, "insufficient memory resources available"),
        (500, 10047, "insufficient storage resources available"),
        (503, 10063, "expected stream sequence does not match"),
        (503, 10077, "store is closed"),
    ] {
        assert!(matches!(refused(code, err_code, text), Err(Unknown(_))), "{err_code}");
    }
    for (code, err_code, text) in [
        (400, 10174, "atomic publish is disabled"),
        (400, 10175, "atomic publish sequence is missing"),
        (400, 10177, "atomic publish unsupported header used: Nats-Expected-Last-Msg-Id"),
        (400, 10179, "atomic publish batch ID is invalid"),
        (412, 10185, "JetStream minimum api level required"),
        (400, 10193, "missing sequence for expected last sequence per subject"),
        (400, 10199, "atomic publish batch is too large: 1000"),
        (400, 10200, "atomic publish batch commit is invalid"),
        (400, 10054, "message size exceeds maximum allowed"),
        (400, 10060, "expected stream does not match"),
        (400, 10165, "invalid per-message TTL"),
    ] {
        let Err(Refused(why)) = refused(code, err_code, text) else { panic!("{err_code} {text}") };
        assert!(why.contains(text), "{why}");
    }
}

#[test]
fn messages_in_a_row() {
    let write = |key: &str, only_if, body, ttl_secs| BatchWrite { key: key.into(), only_if, body, ttl_secs };
    let guard = Condition::Other { key: "limit".into(), revision: 7 };
    let batch = Batch {
        id: "id".into(),
        writes: vec![
            write("a", Condition::Own(5), Body::Put("x".into()), 3),
            write("b", guard, Body::Delete("note".into()), 0),
            write("c", Condition::Own(0), Body::Put(vec![0; LEAST_MESSAGE].into()), 0),
            write("d", Condition::Own(0), Body::Put("".into()), 0),
        ],
    };
    let sent = messages(&Names::new("b", Some("hub")), &batch, "try");
    let get = |index: usize, name: &str| {
        let mut headers = sent[index].headers.iter();
        headers.find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    };
    let all = |name: &str| [0, 1, 2, 3].map(|index| get(index, name));
    assert_eq!(sent[0].subject, "$JS.hub.API.$KV.b.a");
    assert_eq!(sent.iter().map(|message| message.answered).collect::<Vec<_>>(), [false, false, true, true]);
    assert_eq!(all("Nats-Batch-Id"), [Some("try"); 4]);
    assert_eq!(all("Nats-Batch-Sequence"), ["1", "2", "3", "4"].map(Some));
    assert_eq!(all("Nats-Batch-Commit"), [None, None, None, Some("1")]);
    assert_eq!(all("Nats-Msg-Id"), [Some("id"), None, None, None]);
    assert_eq!(all("Nats-TTL"), [Some("3"), None, None, None]);
    assert_eq!(all("KV-Operation"), [None, Some("DEL"), None, None]);
    assert_eq!(all("Nats-Expected-Last-Subject-Sequence"), ["5", "7", "0", "0"].map(Some));
    let guards = [None, Some("$KV.b.limit"), None, None];
    assert_eq!(all("Nats-Expected-Last-Subject-Sequence-Subject"), guards);
}
