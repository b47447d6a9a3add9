//! The dashboards' files, as far as tests look into them.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use support::programs::workspace;

/// One page.
pub struct Board {
    /// Its file, without `.json`.
    pub name: String,
    /// All of it.
    pub json: Value,
    /// Its panels, rows included.
    pub panels: Vec<Panel>,
}

/// One panel.
pub struct Panel {
    /// All of it.
    pub json: Value,
    /// What it asks for.
    pub queries: Vec<Query>,
}

/// One query of a panel's.
pub struct Query {
    /// The expression.
    pub expression: String,
    /// How its series are called.
    pub legend: String,
    /// Whether it asks for one moment alone.
    pub instant: bool,
}

impl Panel {
    fn new(json: &Value) -> Panel {
        let targets = json["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let queries = targets.iter().map(|target| Query {
            expression: text(&target["expr"]),
            legend: text(&target["legendFormat"]),
            instant: target["instant"] == true,
        });
        Panel { queries: queries.collect(), json: json.clone() }
    }

    pub fn title(&self) -> &str {
        self.json["title"].as_str().unwrap_or_default()
    }

    pub fn kind(&self) -> &str {
        self.json["type"].as_str().unwrap_or_default()
    }

    pub fn unit(&self) -> &str {
        self.json["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default()
    }

    pub fn is_row(&self) -> bool {
        self.kind() == "row"
    }

    /// Where it is on the grid of 24 columns: x, y, width, height.
    pub fn place(&self) -> [u64; 4] {
        ["x", "y", "w", "h"].map(|side| self.json["gridPos"][side].as_u64().expect("a place on the grid"))
    }
}

/// Where dashboards, rules and runbooks are.
pub fn folder() -> PathBuf {
    workspace().join("dashboards")
}

/// All pages.
pub fn all() -> Vec<Board> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "json"));
    paths.sort();
    assert!(paths.len() >= 4, "{paths:?}");
    let board = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let json: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let panels = json["panels"].as_array().expect("panels").iter().map(Panel::new).collect();
        Board { name: path.file_stem().unwrap().to_string_lossy().into_owned(), panels, json }
    };
    paths.into_iter().map(board).collect()
}
