//! The pages as pictures: the panels' own queries, asked of a real Prometheus, drawn as SVG.

mod chart;
mod format;
mod heat;
mod paper;
mod states;
mod words;

use std::fs;

use serde_json::Value;
use support::Prometheus;
use support::prometheus::Series;

use crate::board::{self, Board, Panel};
use crate::fault::Story;
use crate::pace::Pace;
use paper::{Area, Paper};

/// A page is this wide; one of the 24 columns is a 24th of it, and a row this high.
const WIDTH: f64 = 1_200.0;
const ROW: f64 = 26.0;
/// Room for the page's title and what happened.
const HEAD: f64 = 64.0;
/// Moments that are looked at.
const STEPS: f64 = 160.0;

/// What a query gave, and how its series are called.
pub(super) struct Answer {
    pub series: Vec<(String, Series)>,
}

/// What all drawings of a page share.
pub(super) struct Page<'a> {
    pub story: &'a Story,
    pub step: f64,
}

/// Draws every page into its file.
pub async fn draw_all(prometheus: &Prometheus, story: &Story, pace: Pace) {
    for board in board::all() {
        let picture = draw(prometheus, story, pace, &board).await;
        let path = board::folder().join("pictures").join(format!("{}.svg", board.name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        println!("{}: {} bytes", path.display(), picture.len());
        fs::write(path, picture).unwrap();
    }
}

async fn draw(prometheus: &Prometheus, story: &Story, pace: Pace, board: &Board) -> String {
    let step = ((story.span.1 - story.span.0) / STEPS).max(pace.scrape().as_secs_f64());
    let page = Page { story, step };
    let bottom = board.panels.iter().map(|panel| panel.place()[1] + panel.place()[3]).max().unwrap_or(1);
    let mut paper = Paper::new(WIDTH, HEAD + bottom as f64 * ROW + 6.0);
    words::head(&mut paper, board.json["title"].as_str().unwrap_or_default(), story);
    for panel in &board.panels {
        let [x, y, w, h] = panel.place().map(|it| it as f64);
        let column = WIDTH / 24.0;
        let area =
            Area { x: x * column + 3.0, y: HEAD + y * ROW + 3.0, w: w * column - 6.0, h: h * ROW - 6.0 };
        if panel.is_row() {
            paper.text("row", area.x + 2.0, area.y + 15.0, panel.title());
            continue;
        }
        let answers = ask(prometheus, panel, &page, pace).await;
        paper.rect("card", area, "");
        paper.text("title", area.x + 8.0, area.y + 16.0, panel.title());
        let inner = Area { x: area.x, y: area.y + 22.0, w: area.w, h: area.h - 22.0 };
        let empty = answers.iter().all(|answer| answer.series.is_empty());
        match panel.kind() {
            _ if empty => words::empty(&mut paper, panel, inner),
            "stat" => words::stat(&mut paper, panel, &answers, inner),
            "table" => words::table(&mut paper, panel, &answers, inner),
            "state-timeline" => states::draw(&mut paper, panel, &answers, inner, &page),
            "heatmap" => heat::draw(&mut paper, panel, &answers, inner, &page),
            _ => chart::draw(&mut paper, panel, &answers, inner, &page),
        }
    }
    paper.finish()
}

async fn ask(prometheus: &Prometheus, panel: &Panel, page: &Page<'_>, pace: Pace) -> Vec<Answer> {
    let span = page.story.span;
    let mut answers = Vec::new();
    for query in &panel.queries {
        let expression = pace.fill(&query.expression, span.1 - span.0);
        let series = match query.instant {
            true => prometheus.at(&expression, span.1).await,
            false => prometheus.over(&expression, span, page.step).await,
        };
        let mut series: Vec<(String, Series)> =
            series.into_iter().map(|series| (name(&query.legend, &series), series)).collect();
        series.sort_by(|a, b| a.0.cmp(&b.0));
        answers.push(Answer { series });
    }
    answers
}

/// What a series is called.
fn name(legend: &str, series: &Series) -> String {
    let mut name = legend.to_owned();
    for (label, value) in &series.labels {
        name = name.replace(&format!("{{{{{label}}}}}"), value);
    }
    name
}

/// A number somewhere in a panel.
fn number(value: &Value) -> Option<f64> {
    value.as_f64()
}
