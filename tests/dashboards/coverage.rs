//! That pages and rules name what the daemon exports, and that everything that it exports is on some page.

use std::collections::BTreeSet;

use serde_json::Value;
use support::Prometheus;

use crate::board;
use crate::promql::names;
use crate::rules::{RULES, loaded};
use crate::scrape::{self, Families, family};

/// What comes with a scrape rather than from it.
const TARGET: [&str; 2] = ["job", "instance"];

/// An expression, where it stands, and how its series are called.
struct Said {
    place: String,
    expression: String,
    legend: String,
}

fn on_pages() -> Vec<Said> {
    let mut all = Vec::new();
    for board in board::all() {
        for panel in &board.panels {
            all.extend(panel.queries.iter().map(|query| Said {
                place: format!("{}: {}", board.name, panel.title()),
                expression: query.expression.clone(),
                legend: query.legend.clone(),
            }));
        }
        let place = |what: &Value| format!("{}: {}", board.name, what["name"]);
        for note in board.json["annotations"]["list"].as_array().unwrap() {
            let legend = format!("{} {}", note["titleFormat"], note["textFormat"]);
            let expression = note["target"]["expr"].as_str().unwrap().to_owned();
            all.push(Said { place: place(note), expression, legend });
        }
        for variable in board.json["templating"]["list"].as_array().unwrap() {
            if let Some(query) = variable["query"]["query"].as_str() {
                let inner = query.strip_prefix("label_values(").and_then(|it| it.strip_suffix(')'));
                let (expression, label) = inner.and_then(|it| it.rsplit_once(", ")).expect(query);
                let legend = format!("{{{{{label}}}}}");
                all.push(Said { place: place(variable), expression: expression.to_owned(), legend });
            }
        }
    }
    all
}

fn in_legend(legend: &str) -> impl Iterator<Item = &str> {
    legend.split("{{").skip(1).filter_map(|part| Some(part.split_once("}}")?.0.trim()))
}

/// What is wrong with what an expression names.
fn wrong(said: &Said, exported: &Families, recorded: &BTreeSet<String>) -> Vec<String> {
    let named = names(&said.expression);
    let mut wrong = Vec::new();
    let mut known: BTreeSet<&str> = TARGET.into();
    for (metric, selected) in &named.metrics {
        let labels: Option<BTreeSet<&str>> = match metric.as_str() {
            "up" => Some(BTreeSet::new()),
            "ALERTS" => Some(["alertname", "alertstate", "reason", "election", "kind"].into()),
            it if recorded.contains(it) => Some(["reason", "election"].into()),
            it => exported
                .get(family(it))
                .or(exported.get(it))
                .map(|(_, labels)| labels.iter().map(String::as_str).collect()),
        };
        let Some(labels) = labels else {
            wrong.push(format!("{}: nobody exports {metric}", said.place));
            continue;
        };
        known.extend(labels);
        for label in selected.iter().filter(|label| !known.contains(label.as_str())) {
            wrong.push(format!("{}: {metric} has no label {label}", said.place));
        }
    }
    let others = named.groups.iter().map(String::as_str).chain(in_legend(&said.legend));
    wrong.extend(
        others
            .filter(|it| !known.contains(it))
            .map(|it| format!("{}: there is no label {it} in {}", said.place, said.expression)),
    );
    wrong
}

#[tokio::test]
async fn pages_and_rules_name_what_is_exported_and_all_of_it_is_on_a_page() {
    let exported = scrape::families(&scrape::text().await);
    let prometheus = Prometheus::start(RULES, &[]).await;
    let mut all = on_pages();
    let pages = all.len();
    assert!(pages > 80, "{pages}");
    let rules = loaded(&prometheus).await;
    let recorded: BTreeSet<String> = rules
        .iter()
        .filter(|rule| rule["type"] == "recording")
        .map(|rule| rule["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(recorded.len() >= 5, "{recorded:?}");
    all.extend(rules.iter().map(|rule| Said {
        place: rule["name"].as_str().unwrap().to_owned(),
        expression: rule["query"].as_str().unwrap().to_owned(),
        legend: String::new(),
    }));
    let problems: Vec<String> = all.iter().flat_map(|said| wrong(said, &exported, &recorded)).collect();
    assert!(problems.is_empty(), "{problems:#?}");

    // Each is parsed by the real thing; an error there says which.
    let pace = crate::pace::Pace { speed: 1, calm: std::time::Duration::ZERO };
    for said in &all {
        prometheus.now(&pace.fill(&said.expression, 3600.0)).await;
    }

    let named: BTreeSet<String> =
        all[..pages].iter().flat_map(|said| names(&said.expression).metrics.into_keys()).collect();
    let shown: BTreeSet<&str> = named.iter().flat_map(|name| [name.as_str(), family(name)]).collect();
    let readme = std::fs::read_to_string(board::folder().join("README.md")).unwrap();
    for name in exported.keys() {
        let excused = readme.lines().any(|line| line.starts_with(&format!("| `{name}` | ")));
        assert!(
            shown.contains(name.as_str()) != excused,
            "{name} must be on a page, or in README.md with the reason why not, and not both"
        );
    }
}

#[test]
fn what_is_wrong_is_found() {
    let exported =
        scrape::families("# TYPE a histogram\na_bucket{kind=\"x\",le=\"1\"} 2\na_sum{kind=\"x\"} 1\n");
    let find = |expression: &str, legend: &str| {
        let said = Said { place: "p".into(), expression: expression.into(), legend: legend.into() };
        wrong(&said, &exported, &["r:e:c".to_owned()].into())
    };
    let none: [&str; 0] = [];
    assert_eq!(
        find("sum by (le, kind) (rate(a_bucket{job=\"x\", kind=\"y\"}[5m])) > r:e:c", "{{kind}}"),
        none
    );
    assert_eq!(find("b_total", ""), ["p: nobody exports b_total"]);
    assert_eq!(find("a_sum{king=\"x\"}", ""), ["p: a_sum has no label king"]);
    assert_eq!(find("sum by (king) (a_sum)", ""), ["p: there is no label king in sum by (king) (a_sum)"]);
    assert_eq!(find("a_sum", "{{op}}"), ["p: there is no label op in a_sum"]);
}
