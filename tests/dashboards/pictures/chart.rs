//! Lines and stacked areas over time.

use support::prometheus::Series;

use super::paper::{Area, COLOURS, Paper};
use super::words::{bands, seconds, x};
use super::{Answer, Page, format, number};
use crate::board::Panel;

pub fn draw(paper: &mut Paper, panel: &Panel, answers: &[Answer], area: Area, page: &Page<'_>) {
    let series: Vec<&(String, Series)> = answers.iter().flat_map(|answer| &answer.series).collect();
    let defaults = &panel.json["fieldConfig"]["defaults"];
    let stacked = defaults["custom"]["stacking"]["mode"] == "normal";
    let plot = Area { x: area.x + 54.0, y: area.y + 4.0, w: area.w - 64.0, h: area.h - 42.0 };

    let lines: Vec<Vec<(f64, f64)>> = if stacked { stack(&series, page) } else { plain(&series) };
    let highest = lines.iter().flatten().map(|(_, value)| *value).fold(0.0, f64::max);
    let top = number(&defaults["max"]).unwrap_or(if highest > 0.0 { highest * 1.05 } else { 1.0 });
    let step = format::nice(top / (plot.h / 26.0));
    let y = |value: f64| plot.y + plot.h * (1.0 - (value / top).clamp(0.0, 1.0));

    bands(paper, plot, page, true);
    seconds(paper, plot, page);
    let mut mark = 0.0;
    while mark <= top * 1.001 {
        paper.line("grid", (plot.x, y(mark)), (plot.x + plot.w, y(mark)));
        paper.text("mark end", plot.x - 5.0, y(mark) + 3.0, &format::value(mark, panel.unit(), None));
        mark += step;
    }
    if defaults["custom"]["thresholdsStyle"]["mode"] == "line" {
        for step in defaults["thresholds"]["steps"].as_array().into_iter().flatten() {
            if let Some(limit) = number(&step["value"]) {
                paper.line("limit", (plot.x, y(limit)), (plot.x + plot.w, y(limit)));
            }
        }
    }
    for (index, line) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let points: Vec<(f64, f64)> =
            line.iter().map(|(at, value)| (x(*at, plot, page), y(*value))).collect();
        if stacked {
            let below = index.checked_sub(1).map(|below| &lines[below]);
            let back: Vec<(f64, f64)> = line
                .iter()
                .enumerate()
                .rev()
                .map(|(at, (moment, _))| (x(*moment, plot, page), y(below.map_or(0.0, |below| below[at].1))))
                .collect();
            paper.path(&slim(&points), Some(&slim(&back)), colour);
        } else {
            for part in parts(line, page.step) {
                paper.path(&slim(&points[part]), None, colour);
            }
        }
    }
    legend(paper, &series, area);
}

fn plain(series: &[&(String, Series)]) -> Vec<Vec<(f64, f64)>> {
    series
        .iter()
        .map(|(_, series)| series.points.iter().copied().filter(|(_, it)| it.is_finite()).collect())
        .collect()
}

/// Each on top of the one before, at every moment; what has no value counts as nought.
fn stack(series: &[&(String, Series)], page: &Page<'_>) -> Vec<Vec<(f64, f64)>> {
    let (from, to) = page.story.span;
    let moments = ((to - from) / page.step) as usize + 1;
    let mut sums = vec![0.0; moments];
    series
        .iter()
        .map(|(_, series)| {
            for (at, value) in series.points.iter().filter(|(_, value)| value.is_finite()) {
                let index = ((at - from) / page.step).round() as usize;
                if let Some(sum) = sums.get_mut(index) {
                    *sum += value;
                }
            }
            sums.iter().enumerate().map(|(index, sum)| (from + index as f64 * page.step, *sum)).collect()
        })
        .collect()
}

/// The stretches without a gap.
fn parts(line: &[(f64, f64)], step: f64) -> Vec<std::ops::Range<usize>> {
    let mut parts = Vec::new();
    let mut from = 0;
    for index in 1..=line.len() {
        if index == line.len() || line[index].0 - line[index - 1].0 > step * 1.5 {
            parts.push(from..index);
            from = index;
        }
    }
    parts
}

/// Without the points in the middle of a level stretch.
fn slim(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let level = |index: usize| {
        index > 0
            && index + 1 < points.len()
            && (points[index - 1].1 - points[index].1).abs() < 0.05
            && (points[index + 1].1 - points[index].1).abs() < 0.05
    };
    let mut slim: Vec<(f64, f64)> =
        (0..points.len()).filter(|index| !level(*index)).map(|index| points[index]).collect();
    // A single sample would be no line.
    if let [only] = slim[..] {
        slim.push((only.0 + 1.0, only.1));
    }
    slim
}

fn legend(paper: &mut Paper, series: &[&(String, Series)], area: Area) {
    let (mut at, y) = (area.x + 54.0, area.y + area.h - 8.0);
    for (index, (name, _)) in series.iter().enumerate() {
        let width = 18.0 + name.chars().count() as f64 * 5.6;
        if at + width > area.x + area.w {
            paper.text("legend", at, y, "…");
            return;
        }
        paper.rect("swatch", Area { x: at, y: y - 7.0, w: 8.0, h: 8.0 }, COLOURS[index % COLOURS.len()]);
        paper.text("legend", at + 11.0, y, name);
        at += width;
    }
}
