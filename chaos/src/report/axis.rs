//! Where on the page a moment is, and the marks along it: the same for all drawings, so that they can be compared.

use super::svg::{Svg, escape};
use crate::checkers::Run;
use crate::checkers::fault::Band;

pub(super) const WIDTH: f64 = 1_200.0;
pub(super) const LEFT: f64 = 96.0;
pub(super) const RIGHT: f64 = 16.0;

/// Seconds from the run's begin, left to right.
pub(super) struct Time {
    begun: u64,
    from: u64,
    ns: f64,
}

impl Time {
    pub(super) fn of(run: &Run) -> Time {
        let (from, to) = run.span;
        Time { begun: from, from, ns: (to.saturating_sub(from)).max(1) as f64 }
    }

    /// A part of the run; moments are still said from the run's begin.
    pub(super) fn between(run: &Run, from: u64, to: u64) -> Time {
        Time { begun: run.span.0, from, ns: (to.saturating_sub(from)).max(1) as f64 }
    }

    pub(super) fn x(&self, at_ns: u64) -> f64 {
        let share = at_ns.saturating_sub(self.from) as f64 / self.ns;
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    /// Whether any of it is in what is drawn.
    pub(super) fn shows(&self, band: &Band) -> bool {
        band.touches(self.from, self.from.saturating_add(self.ns as u64), 0)
    }

    /// Seconds since the begin.
    pub(super) fn seconds(&self, at_ns: u64) -> f64 {
        at_ns.saturating_sub(self.begun) as f64 / 1e9
    }

    pub(super) fn span_seconds(&self) -> f64 {
        self.ns / 1e9
    }

    pub(super) fn at_seconds(&self, seconds: f64) -> u64 {
        self.begun.saturating_add((seconds * 1e9) as u64)
    }

    /// Marks and grid lines from `top` to `bottom`, and the unit.
    pub(super) fn marks(&self, svg: &mut Svg, top: f64, bottom: f64) {
        let step = nice(self.span_seconds() / 12.0);
        let digits = if step < 1.0 { 3 } else { 0 };
        let first = self.seconds(self.from);
        let mut mark = (first / step).ceil();
        while mark * step <= (first + self.span_seconds()) * 1.000_1 {
            let second = mark * step;
            let x = self.x(self.at_seconds(second));
            svg.line("grid", (x, top), (x, bottom), "");
            let words = format!("{second:.digits$}");
            // The unit stands at the left.
            if mark == 0.0 || x > LEFT + 4.0 * words.len() as f64 {
                svg.words("mark", (x, bottom + 14.0), "middle", &words);
            }
            mark += 1.0;
        }
        svg.words("mark", (LEFT - 10.0, bottom + 19.0), "end", "seconds");
    }

    /// The faults, as bands from `top` to `bottom`.
    pub(super) fn bands(&self, svg: &mut Svg, run: &Run, top: f64, bottom: f64) {
        for band in run.faults.iter().filter(|band| self.shows(band)).take(500) {
            let (from, to) = (self.x(band.from.at_ns), self.x(band.to.map_or(run.span.1, |to| to.at_ns)));
            let hint = format!("{} {}", band.nemesis, band.target);
            svg.rect("band", (from, top), ((to - from).max(1.0), bottom - top), &hint);
        }
        if let Some(healed) =
            run.healed.filter(|it| it.at_ns >= self.from && self.x(it.at_ns) < WIDTH - RIGHT)
        {
            let x = self.x(healed.at_ns);
            svg.line("healed", (x, top), (x, bottom), "healed: from here on progress is owed");
        }
    }
}

/// A round step that is at least this long.
pub(super) fn nice(least: f64) -> f64 {
    let least = least.max(1e-6);
    let power = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|it| it * power).find(|it| *it >= least * 0.999);
    step.unwrap_or(10.0 * power)
}

/// At most `most` letters of something, the end cut.
pub(super) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A drawing with its heading and what it shows.
pub(super) fn figure(title: &str, about: &str, drawing: &str) -> String {
    let (title, about) = (escape(title), escape(about));
    format!("<section class=\"card\"><h2>{title}</h2><p class=\"about\">{about}</p>{drawing}</section>\n")
}
