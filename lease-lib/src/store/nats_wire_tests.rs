//! Answers word for word as releases 2.12.8 and 2.15.1 gave them.

use super::*;

fn names() -> Names {
    Names::new("b", None)
}

fn refused(code: u16, err_code: u16, description: &str) -> WriteError {
    let body = format!(
        r#"{{"error":{{"code":{code},"err_code":{err_code},"description":"{description}"}},"stream":"KV_b","seq":0}}"#
    );
    write_answer(body.as_bytes(), "KV_b").unwrap_err()
}

#[test]
fn acks() {
    let ack = |body: &str| write_answer(body.as_bytes(), "KV_b");
    assert_eq!(ack(r#"{"stream":"KV_b","seq":1790}"#), Ok(Ack { revision: 1790, duplicate: false }));
    assert_eq!(
        ack(r#"{"stream":"KV_b","domain":"hub","seq":1790,"duplicate": true}"#),
        Ok(Ack { revision: 1790, duplicate: true })
    );
    for strange in
        ["", "+OK", "{}", "null", r#"{"stream":"KV_b"}"#, r#"{"stream":"KV_b","seq":0}"#, r#"{"seq":7}"#]
    {
        assert!(matches!(ack(strange), Err(WriteError::Unknown(_))), "{strange}");
    }
    assert!(
        matches!(ack(r#"{"stream":"KV_c","seq":7}"#), Err(WriteError::Refused(why)) if why.contains("KV_c"))
    );
}

#[test]
fn every_refusal_has_its_class() {
    use WriteError::{Conflict, InFlight, NotTaken, Refused, Unknown};
    assert_eq!(
        refused(400, 10071, "wrong last sequence: 1790000000000000"),
        Conflict { current: Some(1790000000000000) }
    );
    assert_eq!(refused(400, 10071, "wrong last sequence: 0"), Conflict { current: Some(0) });
    assert_eq!(refused(400, 10071, "wrong last sequence"), Conflict { current: None });
    assert_eq!(refused(400, 10164, "wrong last sequence"), InFlight);
    assert_eq!(refused(503, 10163, "expected last sequence per subject temporarily unavailable"), InFlight);

    let open = [
        (409, 10158, "duplicate message id is in process"),
        (503, 10063, "expected stream sequence does not match"),
        (503, 10077, "store is closed"),
        (500, 10051, "whatever"),
        (0, 0, ""),
    ];
    for (code, err_code, text) in open {
        assert!(matches!(refused(code, err_code, text), Unknown(_)), "{err_code} {text}");
    }
    let passing = [
        (503, 10008, "JetStream system temporarily unavailable"),
        (503, 10023, "insufficient resources"),
        (500, 10028, "insufficient memory resources available"),
        (500, 10047, "insufficient storage resources available"),
        (400, 10002, "resource limits exceeded for account"),
        (429, 10167, "too many requests"),
        (503, 10039, "JetStream not enabled for account"),
    ];
    for (code, err_code, text) in passing {
        assert_eq!(refused(code, err_code, text), NotTaken, "{err_code} {text}");
    }
    let lasting = [
        (400, 10165, "invalid per-message TTL"),
        (400, 10166, "per-message TTL is disabled"),
        (400, 10054, "message size exceeds maximum allowed"),
        (400, 10060, "expected stream does not match"),
        (400, 10109, "invalid operation on sealed stream"),
        (503, 10077, "maximum messages exceeded"),
        (503, 10077, "message to large"),
    ];
    for (code, err_code, text) in lasting {
        let Refused(why) = refused(code, err_code, text) else { panic!("{err_code} {text}") };
        assert!(why.contains(text) && why.contains(&err_code.to_string()), "{why}");
    }
}

#[test]
fn stored_messages() {
    let body =
        br#"{"type":"io.nats.jetstream.api.v1.stream_msg_get_response","message":{"subject":"$KV.b.line.x.1",
        "seq":1790000000000002,"hdrs":"TkFUUy8xLjANCk5hdHMtVFRMOiAxMDANCk5hdHMtTXNnLUlkOiBsaW5lLnguMQ0KDQo=",
        "data":"dmxpbmUueC4x","time":"2026-11-23T06:26:49.429655862Z"}}"#;
    let entry = get_answer(body, &names()).unwrap().unwrap();
    assert_eq!((entry.key.as_str(), entry.revision, entry.ttl_secs), ("line.x.1", 1790000000000002, 100));
    assert_eq!((entry.body, entry.written_micros), (Body::Put("vline.x.1".into()), 1_795_415_209_429_655));

    let marker = br#"{"message":{"subject":"$KV.b.k","seq":7,"time":"2026-11-23T06:26:49Z",
        "hdrs":"TkFUUy8xLjANCktWLU9wZXJhdGlvbjogREVMDQoNCg=="}}"#;
    assert_eq!(get_answer(marker, &names()).unwrap().unwrap().body, Body::Delete(Bytes::new()));

    let none = br#"{"error":{"code":404,"err_code":10037,"description":"no message found"}}"#;
    assert_eq!(get_answer(none, &names()), Ok(None));
    let gone = br#"{"error":{"code":404,"err_code":10059,"description":"stream not found"}}"#;
    assert!(get_answer(gone, &names()).unwrap_err().contains("stream not found"));
    let foreign = br#"{"message":{"subject":"orders.7","seq":7,"time":"2026-11-23T06:26:49Z"}}"#;
    assert!(get_answer(foreign, &names()).unwrap_err().contains("not of this bucket"));
    for broken in
        [&b""[..], b"{}", b"[]", br#"{"message":{"subject":"$KV.b.k","seq":7,"data":"?","time":"x"}}"#]
    {
        assert!(get_answer(broken, &names()).is_err());
    }
}

#[test]
fn a_writer_cannot_pass_off_its_own_headers() {
    let block = HeaderBlock(
        "NATS/1.0\r\nNats-Sequence: 9\r\nNats-Sequence: 5\r\nNats-Time-Stamp: 2026-11-23T06:26:49Z\r\n\r\n"
            .into(),
    );
    assert_eq!(carried_entry("k", &block, Bytes::new()).map(|entry| entry.revision), Some(5));
}

#[test]
fn subjects() {
    let (plain, leaf) = (names(), Names::new("b", Some("hub")));
    assert_eq!((plain.stream(), plain.subject("k.*")), ("KV_b".into(), "$KV.b.k.*".into()));
    assert_eq!((plain.publish("k"), leaf.publish("k")), ("$KV.b.k".into(), "$JS.hub.API.$KV.b.k".into()));
    assert_eq!(plain.api("STREAM.INFO"), "$JS.API.STREAM.INFO.KV_b");
    assert_eq!(leaf.history().api("STREAM.INFO"), "$JS.hub.API.STREAM.INFO.KV_b_history");
    assert_eq!(leaf.history().publish("k"), "$JS.hub.API.$KV.b_history.k");
    assert_eq!(plain.key("$KV.b.lock.a"), Some("lock.a"));
    for foreign in ["$KV.bb.k", "$KV.b", "$KV.b_history.k", "KV.b.k", "b.k"] {
        assert_eq!(plain.key(foreign), None, "{foreign}");
    }
    assert_eq!(plain.event_key(&plain.event("lock.a")), Some("lock.a"));
    assert_eq!(plain.event_key("_lease.bb.ev.k"), None);
    assert_eq!(plain.note("p1"), "_lease.b.to.p1");
}

#[test]
fn times_and_numbers() {
    for (text, secs) in
        [("7", 7), ("90s", 90), ("1h2m3s", 3723), ("2m0s", 120), ("never", 0), ("", 0), ("1.5s", 0), ("s", 0)]
    {
        assert_eq!(ttl_secs(text), secs, "{text}");
    }
    assert_eq!(micros("1970-01-01T00:00:01.5Z"), Some(1_500_000));
    assert_eq!(micros("0001-01-01T00:00:00Z"), None, "Go's zero time");
    for (text, bytes) in
        [("", &b""[..]), ("Zg==", b"f"), ("Zm8=", b"fo"), ("Zm9v", b"foo"), ("+/8=", &[0xfb, 0xff])]
    {
        assert_eq!(base64(text).as_deref(), Some(bytes), "{text}");
    }
    assert_eq!(base64("Zm9 v"), None);
}

#[test]
fn versions() {
    for good in ["2.12.0", "v2.12.1", "2.12.0-RC.3", "2.12.0-preview.1", "2.15.0-dev", "2.100.0", "3.0.0"] {
        assert!(new_enough(good), "{good}");
    }
    for bad in ["2.11.11", "2.11.99", "2.9.25", "1.99.0", "", "2", "two.twelve", "2.x"] {
        assert!(!new_enough(bad), "{bad}");
    }
}
