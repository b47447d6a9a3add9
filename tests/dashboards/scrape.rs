//! What a live daemon exports.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use support::prometheus::tool;
use support::{Daemon, Launch, eventually};

const SOON: Duration = Duration::from_secs(20);

/// Each family's type, and the labels that its series have.
pub type Families = BTreeMap<String, (String, BTreeSet<String>)>;

/// The text of `/metrics` of a daemon that has something of everything to tell.
pub async fn text() -> String {
    let daemon = Daemon::start(["--metrics-election", "scheduler", "--metrics-lock", "nightly"]).await;
    let api = daemon.api();
    let mut leader = api.open("POST", "/v1/elections/scheduler/campaign", "{}").await;
    leader.event("elected", SOON).await;
    let mut first = api.open("POST", "/v1/locks/nightly/hold", "{}").await;
    first.event("held", SOON).await;
    let mut next = api.open("POST", "/v1/locks/nightly/hold", "{}").await;
    next.event("waiting", SOON).await;
    first.close();
    next.event("held", SOON).await;
    eventually("a whole scrape", SOON, async || {
        let text = api.get("/metrics").await.expect(200).text();
        let all = [
            "lease_expiry_margin_ratio ",
            "lease_handover_seconds_count 1",
            r#"lease_leader{election="scheduler"} 1"#,
        ];
        all.iter().all(|line| text.contains(line)).then_some(text)
    })
    .await
}

/// The families in a scrape.
pub fn families(text: &str) -> Families {
    let mut families = Families::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            families.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let (_, known) = families.get_mut(family(name)).unwrap_or_else(|| panic!("no type of {line}"));
            let labels = labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
            known.extend(labels.map(|(label, _)| label.to_owned()));
        }
    }
    families
}

/// The family that a series belongs to.
pub fn family(name: &str) -> &str {
    let histogram =
        name.strip_suffix("_bucket").or(name.strip_suffix("_sum")).or(name.strip_suffix("_count"));
    histogram.unwrap_or(name)
}

#[tokio::test]
async fn promtool_finds_nothing_to_say_about_a_live_scrape() {
    let text = text().await;
    let promtool = tool("promtool").unwrap_or_else(|error| panic!("{error}"));
    let output = Launch::program(promtool).args(["check", "metrics"]).input(text.clone()).output(SOON).await;
    assert!(output.exit.code == Some(0), "{}{}\n{text}", output.stdout, output.stderr);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
}
