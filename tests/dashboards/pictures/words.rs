//! What is mostly words: the page's head, single numbers, tables.

use support::prometheus::Series;

use super::format;
use super::paper::{Area, Paper};
use super::{Answer, Page, number};
use crate::board::Panel;
use crate::fault::Story;

/// The page's title, and what happened; a letter stands for it on every drawing over time.
pub fn head(paper: &mut Paper, title: &str, story: &Story) {
    paper.text("page", 10.0, 26.0, title);
    let mut faults: Vec<_> = story.faults.iter().collect();
    faults.sort_by(|a, b| a.from.total_cmp(&b.from));
    let at = |moment: f64| format!("{:.0} s", moment - story.span.0);
    let told: Vec<String> = faults
        .iter()
        .zip('A'..)
        .map(|(fault, letter)| format!("{letter}: {} ({} to {})", fault.what, at(fault.from), at(fault.to)))
        .collect();
    paper.text("fault", 10.0, 48.0, &told.join("   ·   "));
}

/// Bands for the faults, with their letters.
pub fn bands(paper: &mut Paper, area: Area, page: &Page<'_>, letters: bool) {
    let mut faults: Vec<_> = page.story.faults.iter().collect();
    faults.sort_by(|a, b| a.from.total_cmp(&b.from));
    for (fault, letter) in faults.into_iter().zip('A'..) {
        let (from, to) = (x(fault.from, area, page), x(fault.to, area, page));
        paper.rect("band", Area { x: from, w: to - from, ..area }, "");
        if letters {
            paper.text("fault", from + 2.0, area.y + 9.0, &letter.to_string());
        }
    }
}

/// Where a moment is.
pub fn x(moment: f64, area: Area, page: &Page<'_>) -> f64 {
    let (from, to) = page.story.span;
    area.x + area.w * ((moment - from) / (to - from).max(1e-9)).clamp(0.0, 1.0)
}

/// Seconds since the begin, below a drawing.
pub fn seconds(paper: &mut Paper, area: Area, page: &Page<'_>) {
    let length = page.story.span.1 - page.story.span.0;
    let step = format::nice(length / (area.w / 70.0));
    let mut second = 0.0;
    while second <= length {
        let x = x(page.story.span.0 + second, area, page);
        paper.line("grid", (x, area.y), (x, area.y + area.h));
        paper.text("mark mid", x, area.y + area.h + 11.0, &format!("{second:.0} s"));
        second += step;
    }
}

/// What is there instead of data.
pub fn empty(paper: &mut Paper, panel: &Panel, area: Area) {
    let words = panel.json["fieldConfig"]["defaults"]["noValue"].as_str().unwrap_or_default();
    paper.text("empty", area.x + area.w / 2.0, area.y + area.h / 2.0, words);
}

/// One number on a coloured ground.
pub fn stat(paper: &mut Paper, panel: &Panel, answers: &[Answer], area: Area) {
    let last = |series: &Series| series.points.last().map(|(_, value)| *value);
    let Some(value) = answers.iter().flat_map(|it| &it.series).find_map(|(_, series)| last(series)) else {
        return;
    };
    let defaults = &panel.json["fieldConfig"]["defaults"];
    let mut colour = "blue";
    for step in defaults["thresholds"]["steps"].as_array().into_iter().flatten() {
        if number(&step["value"]).is_none_or(|from| value >= from) {
            colour = step["color"].as_str().unwrap_or("blue");
        }
    }
    let ground = Area { x: area.x + 1.0, w: area.w - 2.0, h: area.h - 1.0, ..area };
    paper.rect("ground", ground, named(colour));
    let decimals = defaults["decimals"].as_u64().and_then(|digits| usize::try_from(digits).ok());
    let words = format::value(value, panel.unit(), decimals);
    paper.text("big", area.x + area.w / 2.0, area.y + area.h / 2.0 + 9.0, &words);
}

/// A colour by Grafana's name for it.
pub fn named(colour: &str) -> &str {
    match colour {
        "green" => "#3d9a5b",
        "red" => "#cf3f3f",
        "orange" => "#df8a2e",
        "blue" => "#3b78c8",
        "transparent" => "none",
        other => other,
    }
}

/// The answers side by side, a line for each instance.
pub fn table(paper: &mut Paper, panel: &Panel, answers: &[Answer], area: Area) {
    let mut columns = vec!["job".to_owned(), "instance".to_owned(), "version".to_owned()];
    let mut units = Vec::new();
    for (index, letter) in (1..answers.len()).zip('B'..) {
        let overrides = panel.json["fieldConfig"]["overrides"].as_array().into_iter().flatten();
        let own = overrides.into_iter().find(|it| it["matcher"]["options"] == format!("Value #{letter}"));
        let property = |id: &str| {
            let properties = own.and_then(|own| own["properties"].as_array());
            properties.into_iter().flatten().find(|it| it["id"] == id).and_then(|it| it["value"].as_str())
        };
        columns.push(property("displayName").unwrap_or("value").to_owned());
        units.push((index, property("unit").unwrap_or("none").to_owned()));
    }
    let width = area.w / columns.len() as f64;
    let at = |column: usize| area.x + 10.0 + width * column as f64;
    for (index, column) in columns.iter().enumerate() {
        paper.text("title", at(index), area.y + 14.0, column);
    }
    for (line, (_, row)) in answers.first().into_iter().flat_map(|it| &it.series).enumerate() {
        let y = area.y + 34.0 + 20.0 * line as f64;
        let label = |name: &str| row.labels.get(name).map(String::as_str).unwrap_or_default();
        for (index, name) in ["job", "instance", "version"].into_iter().enumerate() {
            paper.text("cell", at(index), y, label(name));
        }
        for (index, unit) in &units {
            let same = answers[*index]
                .series
                .iter()
                .find(|(_, it)| it.labels.get("instance") == row.labels.get("instance"));
            let value = same
                .and_then(|(_, it)| it.points.last())
                .map(|(_, value)| format::value(*value, unit, Some(0)));
            paper.text("cell", at(index + 2), y, &value.unwrap_or_default());
        }
    }
}
