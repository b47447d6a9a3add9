//! How often each bucket of a histogram was hit, over time.

use super::paper::{Area, Paper};
use super::words::{bands, seconds, x};
use super::{Answer, Page, format};
use crate::board::Panel;

pub fn draw(paper: &mut Paper, panel: &Panel, answers: &[Answer], area: Area, page: &Page<'_>) {
    let mut buckets: Vec<(f64, Vec<(f64, f64)>)> = answers
        .iter()
        .flat_map(|answer| &answer.series)
        .filter_map(|(_, series)| Some((series.labels.get("le")?.parse().ok()?, series.points.clone())))
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Of each, what the one below does not have.
    for index in (1..buckets.len()).rev() {
        let below = buckets[index - 1].1.clone();
        for (at, value) in &mut buckets[index].1 {
            let less =
                below.iter().find(|(other, _)| (other - *at).abs() < 1e-3).map_or(0.0, |(_, value)| *value);
            *value = (*value - less).max(0.0);
        }
    }
    let used = |points: &[(f64, f64)]| points.iter().any(|(_, value)| *value > 1e-9);
    let (first, last) =
        (buckets.iter().position(|it| used(&it.1)), buckets.iter().rposition(|it| used(&it.1)));
    let (Some(first), Some(last)) = (first, last) else { return };
    let rows = &buckets[first..=last];
    let plot = Area { x: area.x + 54.0, y: area.y + 4.0, w: area.w - 64.0, h: area.h - 26.0 };
    seconds(paper, plot, page);
    let highest = rows.iter().flat_map(|row| &row.1).map(|(_, value)| *value).fold(1e-9, f64::max);
    let height = plot.h / rows.len() as f64;
    let width = plot.w * page.step / (page.story.span.1 - page.story.span.0);
    for (index, (bound, points)) in rows.iter().enumerate() {
        let y = plot.y + plot.h - height * (index + 1) as f64;
        let name = if bound.is_finite() { format::value(*bound, panel.unit(), None) } else { "more".into() };
        paper.text("mark end", plot.x - 5.0, y + height / 2.0 + 3.0, &name);
        for (at, value) in points.iter().filter(|(_, value)| *value > 1e-9) {
            let share = (value / highest).sqrt();
            let mix = |from: f64, to: f64| (from + (to - from) * share) as u8;
            let colour = format!("#{:02x}{:02x}{:02x}", mix(222.0, 8.0), mix(235.0, 48.0), mix(247.0, 107.0));
            let cell = Area { x: x(*at, plot, page) - width, y: y + 0.5, w: width, h: height - 1.0 };
            if cell.x >= plot.x - 1.0 {
                paper.rect("cell", cell, &colour);
            }
        }
    }
    bands(paper, plot, page, true);
}
