//! States over time, a row for each series.

use std::collections::BTreeMap;

use super::paper::{Area, Paper};
use super::words::{bands, named, seconds, x};
use super::{Answer, Page};
use crate::board::Panel;

pub fn draw(paper: &mut Paper, panel: &Panel, answers: &[Answer], area: Area, page: &Page<'_>) {
    let mappings = &panel.json["fieldConfig"]["defaults"]["mappings"][0]["options"];
    let mut rows: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for (name, series) in answers.iter().flat_map(|answer| &answer.series) {
        rows.entry(name).or_default().extend(&series.points);
    }
    let longest = rows.keys().map(|name| name.chars().count()).max().unwrap_or(0) as f64;
    let left = (longest * 6.0 + 16.0).min(area.w / 3.0);
    let plot = Area { x: area.x + left, y: area.y + 2.0, w: area.w - left - 10.0, h: area.h - 22.0 };
    bands(paper, plot, page, false);
    seconds(paper, plot, page);
    let height = (plot.h / rows.len().max(1) as f64).min(34.0);
    for (index, (name, points)) in rows.iter_mut().enumerate() {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let y = plot.y + height * index as f64;
        paper.text("legend end", plot.x - 6.0, y + height / 2.0 + 3.0, name);
        let mut from = 0;
        for at in 1..=points.len() {
            let goes_on = at < points.len()
                && points[at].1 == points[from].1
                && points[at].0 - points[at - 1].0 < page.step * 1.5;
            if goes_on {
                continue;
            }
            let state = &mappings[format!("{:.0}", points[from].1)];
            let (begin, end) = (x(points[from].0, plot, page), x(points[at - 1].0 + page.step, plot, page));
            let colour = named(state["color"].as_str().unwrap_or("green"));
            let bar = Area { x: begin, y: y + 2.0, w: end - begin, h: height - 4.0 };
            paper.rect("state", bar, colour);
            let text = state["text"].as_str().unwrap_or_default();
            if colour != "none" && bar.w > text.chars().count() as f64 * 6.5 + 6.0 {
                paper.text("on", bar.x + 4.0, y + height / 2.0 + 4.0, text);
            }
            from = at;
        }
    }
}
