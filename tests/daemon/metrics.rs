//! `/metrics` after a known course of events.

use std::time::Duration;

use support::http::get_tcp;
use support::{Api, Daemon, eventually};

use crate::SOON;
use crate::turns::together;

async fn value(api: &Api, series: &str) -> Option<f64> {
    let answer = api.get("/metrics").await;
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let text = answer.expect(200).text();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
    line.map(|value| value.parse().unwrap())
}

#[tokio::test]
async fn they_tell_what_happened() {
    let _cores = together().await;
    let daemon = Daemon::start([""; 0]).await;
    let api = daemon.api();
    let is = async |series: &str, wanted: f64| {
        eventually(format!("{series} {wanted}"), SOON, async || {
            (value(&api, series).await == Some(wanted)).then_some(())
        })
        .await;
    };
    is(r#"lease_held{kind="lock"}"#, 0.0).await;
    is("lease_client_gone_total", 0.0).await;
    is("lease_store_connected", 1.0).await;
    is(&format!(r#"lease_build_info{{version="{}"}}"#, env!("CARGO_PKG_VERSION")), 1.0).await;
    assert_eq!(value(&api, "lease_expiry_margin_seconds").await, None, "there is no lease");

    // Held, waited for, handed over, and given back by hanging up twice.
    let mut first = api.open("POST", "/v1/locks/a/hold", r#"{"ttl":"10s"}"#).await;
    first.event("held", SOON).await;
    is(r#"lease_held{kind="lock"}"#, 1.0).await;
    let margin = value(&api, "lease_expiry_margin_seconds").await.unwrap();
    assert!(margin > 7.0 && margin < 10.0, "{margin}");
    let share = value(&api, "lease_expiry_margin_ratio").await.unwrap();
    assert!(share > 0.7 && share < 1.0, "{share}");
    let mut second = api.open("POST", "/v1/locks/a/hold", "{}").await;
    second.event("waiting", SOON).await;
    is(r#"lease_waiters{kind="lock"}"#, 1.0).await;
    first.close();
    second.event("held", SOON).await;
    is(r#"lease_waiters{kind="lock"}"#, 0.0).await;
    is("lease_client_gone_total", 1.0).await;
    is("lease_handover_seconds_count", 1.0).await;
    is(r#"lease_hold_seconds_count{kind="lock"}"#, 1.0).await;
    second.close();
    is("lease_client_gone_total", 2.0).await;
    is(r#"lease_hold_seconds_count{kind="lock"}"#, 2.0).await;
    is(r#"lease_acquire_seconds_count{kind="lock",outcome="granted"}"#, 2.0).await;
    is(r#"lease_held{kind="lock"}"#, 0.0).await;

    // Acquired, refused, timed out, renewed, and lost.
    let lease = api.post("/v1/locks/b/acquire", r#"{"ttl":"2s"}"#).await.expect(200).json();
    api.post("/v1/locks/b/acquire", r#"{"wait":"0s"}"#).await.expect(409);
    api.post("/v1/locks/b/acquire", r#"{"wait":"100ms"}"#).await.expect(409);
    api.post(&format!("/v1/leases/{}/renew", lease["lease"].as_str().unwrap()), "").await.expect(200);
    is(r#"lease_acquire_seconds_count{kind="lock",outcome="held"}"#, 1.0).await;
    is(r#"lease_acquire_seconds_count{kind="lock",outcome="timeout"}"#, 1.0).await;
    is(r#"lease_lost_total{reason="expired"}"#, 0.0).await;
    assert!(value(&api, r#"lease_renew_seconds_count{outcome="ok"}"#).await.unwrap() >= 1.0);
    is(r#"lease_lost_total{reason="expired"}"#, 1.0).await;
    assert!(
        value(&api, r#"lease_store_request_seconds_count{op="write",outcome="ok"}"#).await.unwrap() >= 4.0
    );
}

#[tokio::test]
async fn they_are_served_over_tcp_alone() {
    let _cores = together().await;
    let daemon = Daemon::start(["--metrics", "0"]).await;
    let mut daemon = daemon;
    let line = daemon.process().line("metrics address=", SOON).await;
    let address = line.rsplit("address=").next().unwrap().trim().to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let limit = Duration::from_secs(5);
    let answer = get_tcp(&address, "/metrics", limit).await.unwrap();
    assert!(answer.expect(200).text().contains("lease_build_info{"));
    assert_eq!(get_tcp(&address, "/v1/locks", limit).await.unwrap().status, 404);
}
