//! Recording rules, alerts, their tests and their runbooks.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use support::prometheus::tool;
use support::{Launch, Prometheus};

use crate::board;

/// A Prometheus that scrapes nobody, and has the rules.
pub const RULES: &str = concat!(
    "rule_files:\n  - ",
    env!("CARGO_MANIFEST_DIR"),
    "/../dashboards/rules/recording.yml\n  - ",
    env!("CARGO_MANIFEST_DIR"),
    "/../dashboards/rules/alerts.yml\n"
);

/// All rules, as Prometheus has read them.
pub async fn loaded(prometheus: &Prometheus) -> Vec<Value> {
    let data = prometheus.ask("/api/v1/rules").await;
    let groups = data["groups"].as_array().expect("groups");
    groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

async fn promtool(args: &[&str], folder: &Path) -> (bool, String) {
    let promtool = tool("promtool").unwrap_or_else(|error| panic!("{error}"));
    let args = args
        .iter()
        .map(|arg| if arg.ends_with(".yml") { folder.join(arg).into_os_string() } else { (*arg).into() });
    let output = Launch::program(promtool).args(args).output(Duration::from_secs(60)).await;
    (output.exit.code == Some(0), output.stdout + &output.stderr)
}

#[tokio::test]
async fn promtool_accepts_rules_and_configuration_and_their_tests_pass() {
    let folder = board::folder();
    for args in [
        &["check", "rules", "rules/recording.yml", "rules/alerts.yml"][..],
        &["check", "config", "--syntax-only", "prometheus.yml"],
        &["test", "rules", "rules/alerts.test.yml"],
    ] {
        let (passed, said) = promtool(args, &folder).await;
        assert!(passed, "{args:?}: {said}");
    }
}

#[tokio::test]
async fn every_alert_has_both_tests_and_a_runbook() {
    let prometheus = Prometheus::start(RULES, &[]).await;
    let tests = fs::read_to_string(board::folder().join("rules/alerts.test.yml")).unwrap();
    let list = fs::read_to_string(board::folder().join("runbooks/README.md")).unwrap();
    let mut pages = BTreeSet::new();
    for rule in loaded(&prometheus).await {
        assert_ne!(rule["health"], "err", "{rule}");
        if rule["type"] != "alerting" {
            continue;
        }
        let name = rule["name"].as_str().unwrap();
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["critical", "warning"].contains(&severity), "{name}: severity {severity:?}");
        for words in ["summary", "description"] {
            assert!(rule["annotations"][words].as_str().is_some_and(|it| it.len() > 20), "{name}: {words}");
        }
        let fires = format!("ALERTS{{alertname=\"{name}\", alertstate=\"firing\", ");
        let asked = format!("expr: 'ALERTS{{alertname=\"{name}\", alertstate=\"firing\"}}'");
        assert_eq!(tests.matches(&fires).count(), 1, "{name}: a test that fires it");
        assert_eq!(tests.matches(&asked).count(), 2, "{name}: a test that fires it, and one that does not");

        let url = rule["annotations"]["runbook_url"].as_str().unwrap();
        let page = url.rsplit_once("/runbooks/").unwrap().1;
        let text = fs::read_to_string(board::folder().join("runbooks").join(page))
            .unwrap_or_else(|error| panic!("{name}: {page}: {error}"));
        assert!(text.starts_with(&format!("# {name}\n")), "{page} is not about {name}");
        let sections: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(sections, ["Look at first", "What it does to users", "Mend"], "{page}");
        assert!(list.contains(&format!("[{name}]({page})")), "runbooks/README.md does not list {name}");
        assert!(pages.insert(page.to_owned()), "{page} is of two alerts");
    }
    assert!(pages.len() >= 13, "{pages:?}");
    // And no page is left over.
    let files = fs::read_dir(board::folder().join("runbooks")).unwrap();
    let files = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = files.filter(|name| name != "README.md").collect();
    assert_eq!(files, pages);
}
