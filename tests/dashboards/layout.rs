//! What a person sees of a page before any data: places, names, words, links.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::board::{self, Panel};

/// The pages' addresses. Bookmarks and links of alerts go there, so they do not change.
const UIDS: [(&str, &str); 5] = [
    ("elections", "lease-elections"),
    ("locks", "lease-locks"),
    ("overview", "lease-overview"),
    ("shared", "lease-shared"),
    ("store", "lease-store"),
];

#[test]
fn pages_keep_their_addresses() {
    let boards = board::all();
    let uids: Vec<(&str, &str)> =
        boards.iter().map(|board| (board.name.as_str(), board.json["uid"].as_str().unwrap())).collect();
    assert_eq!(uids, UIDS);
    let titles: BTreeSet<&str> = boards.iter().map(|board| board.json["title"].as_str().unwrap()).collect();
    assert_eq!(titles.len(), boards.len());
}

#[test]
fn panels_have_numbers_of_their_own_and_do_not_overlap() {
    for board in board::all() {
        let mut ids = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for panel in &board.panels {
            let what = format!("{}: {}", board.name, panel.title());
            assert!(ids.insert(panel.json["id"].as_u64().unwrap()), "{what}: its id is another's");
            let [x, y, w, h] = panel.place();
            assert!(w > 0 && h > 0 && x + w <= 24, "{what}: {:?}", panel.place());
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{what}: overlaps at {cell:?}");
            }
        }
        // Without a hole above anything, since Grafana would close it and move what is below.
        for (x, y) in &taken {
            assert!(
                *y == 0 || taken.iter().any(|(_, row)| row + 1 == *y),
                "{}: a gap at {x},{y}",
                board.name
            );
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_and_what_nothing_means() {
    for board in board::all() {
        for panel in board.panels.iter().filter(|panel| !panel.is_row()) {
            let what = format!("{}: {}", board.name, panel.title());
            let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            assert!(panel.title().len() >= 3, "{what}");
            assert!(words(&panel.json["description"]).ends_with(['.', '?']), "{what}: no description");
            assert!(!panel.unit().is_empty(), "{what}: no unit");
            assert!(
                words(&panel.json["fieldConfig"]["defaults"]["noValue"]).len() >= 5,
                "{what}: no noValue"
            );
            assert!(!panel.queries.is_empty(), "{what}: no query");
            assert_eq!(panel.json["datasource"]["uid"], "${datasource}", "{what}");
            for query in &panel.queries {
                // It shows the last two samples only, and hides what happened between two looks.
                assert!(!query.expression.contains("irate"), "{what}");
                assert!(query.expression.contains("$job") || query.expression.contains("ALERTS"), "{what}");
            }
        }
    }
}

#[test]
fn pages_can_be_turned_to_one_daemon() {
    for board in board::all() {
        let variables = board.json["templating"]["list"].as_array().unwrap();
        let names: Vec<&str> = variables.iter().map(|it| it["name"].as_str().unwrap()).collect();
        for name in ["datasource", "job", "instance", "runbooks"] {
            assert!(names.contains(&name), "{}: no variable {name} in {names:?}", board.name);
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let boards = board::all();
    let uids: BTreeSet<&str> = boards.iter().map(|board| board.json["uid"].as_str().unwrap()).collect();
    let runbooks = board::folder().join("runbooks");
    let mut to_runbooks = 0;
    for board in &boards {
        let panels = board.panels.iter().map(|panel: &Panel| &panel.json["links"]);
        let links = panels.chain([&board.json["links"]]).filter_map(Value::as_array).flatten();
        let mut pages = BTreeSet::new();
        for link in links {
            let url = link["url"].as_str().unwrap();
            if let Some(page) = url.strip_prefix("${runbooks}/") {
                assert!(runbooks.join(page).is_file(), "{}: {url}", board.name);
                to_runbooks += 1;
            } else {
                let uid = url.strip_prefix("/d/").map(|rest| rest.split('?').next().unwrap());
                assert!(uid.is_some_and(|uid| uids.contains(uid)), "{}: {url}", board.name);
                pages.insert(uid.unwrap().to_owned());
            }
        }
        assert!(pages.len() + 1 >= uids.len(), "{} leads to {pages:?} only", board.name);
    }
    assert!(to_runbooks > 10, "{to_runbooks}");
}

#[test]
fn every_page_has_its_picture() {
    for board in board::all() {
        let path = board::folder().join("pictures").join(format!("{}.svg", board.name));
        let size = std::fs::metadata(&path).map_or(0, |it| it.len());
        assert!((1_000..200_000).contains(&size), "{}: {size} bytes", path.display());
        let readme = std::fs::read_to_string(board::folder().join("README.md")).unwrap();
        let name = Path::new("pictures").join(path.file_name().unwrap());
        assert!(readme.contains(&name.display().to_string()), "README.md does not show {}", name.display());
    }
}
