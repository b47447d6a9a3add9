//! How long an acquire took, and how many were granted and written, over the time of the run.

use super::axis::{LEFT, RIGHT, Time, WIDTH, figure, nice};
use super::svg::Svg;
use crate::checkers::{Run, length};

const HEIGHT: f64 = 190.0;
const TOP: f64 = 14.0;
/// How many points are drawn: of more, each so many-th, and every one of the slowest.
const POINTS: usize = 2_000;

/// Acquire time over time, on a log scale.
pub(super) fn latency(run: &Run) -> String {
    let time = Time::of(run);
    let mut taken: Vec<(u64, u64)> = run
        .operations
        .iter()
        .filter_map(|it| Some((it.granted.as_ref()?.at.at_ns, it.asks.at_ns)))
        .map(|(at, asks)| (at, at.saturating_sub(asks).max(1_000)))
        .collect();
    taken.sort_unstable();
    let mut svg = Svg::new(WIDTH, "acquire time");
    let bottom = TOP + HEIGHT;
    let (least, most) = (taken.iter().map(|it| it.1).min(), taken.iter().map(|it| it.1).max());
    let decade = |ns: u64| (ns.max(1) as f64).log10();
    let low = least.map_or(5.0, |ns| decade(ns).floor());
    let high = most.map_or(9.0, |ns| decade(ns).ceil()).max(low + 1.0);
    let y = |ns: u64| bottom - (decade(ns) - low) / (high - low) * HEIGHT;
    time.marks(&mut svg, TOP, bottom);
    time.bands(&mut svg, run, TOP, bottom);
    for power in low as u32..=high as u32 {
        let ns = 10_u64.saturating_pow(power);
        svg.line("grid", (LEFT, y(ns)), (WIDTH - RIGHT, y(ns)), "");
        svg.words("mark", (LEFT - 10.0, y(ns) + 4.0), "end", &round(power));
    }
    let mut slowest: Vec<u64> = taken.iter().map(|it| it.1).collect();
    slowest.sort_unstable();
    let always = slowest.len().checked_sub(POINTS / 4).and_then(|index| slowest.get(index)).copied();
    let every = taken.len() / POINTS + 1;
    for (index, (at, ns)) in taken.iter().enumerate() {
        if index % every == 0 || always.is_some_and(|always| *ns > always) {
            svg.dot("point", (time.x(*at), y(*ns)), 1.8, &length(*ns));
        }
    }
    for (class, share) in [("p50", 0.5), ("p99", 0.99)] {
        let points: Vec<_> = buckets(&time, &taken)
            .into_iter()
            .filter(|(_, all)| all.len() > 1)
            .map(|(seconds, all)| (time.x(time.at_seconds(seconds)), y(quantile(all, share))))
            .collect();
        svg.path(class, &points);
    }
    let of = |share| length(quantile(slowest.clone(), share));
    let about = if slowest.is_empty() {
        "Nothing was granted.".to_owned()
    } else {
        format!(
            "From before it was asked for to when it was granted, log scale: half within {}, 99 % within {}, the longest {}. \
             Lines: half (lower) and 99 % (upper) of what was granted around then.",
            of(0.5),
            of(0.99),
            of(1.0)
        )
    };
    figure("How long an acquire took", &about, &svg.finish(bottom + 24.0))
}

/// Grants and store writes for each second.
pub(super) fn availability(run: &Run) -> String {
    let time = Time::of(run);
    let grants: Vec<u64> =
        run.operations.iter().filter_map(|it| Some(it.granted.as_ref()?.at.at_ns)).collect();
    let writes: Vec<u64> = run.audit.revisions.iter().map(|it| it.at.at_ns).collect();
    let mut text = rate(
        run,
        &time,
        "bar",
        &grants,
        "Grants per second",
        "A gap is a time in which nobody was granted anything.",
    );
    text += &rate(
        run,
        &time,
        "bar other",
        &writes,
        "Store writes per second",
        "Every revision, when the auditor read it.",
    );
    text
}

fn rate(run: &Run, time: &Time, class: &str, at: &[u64], title: &str, about: &str) -> String {
    const LOW: f64 = 110.0;
    let step = (time.span_seconds() / 240.0).ceil().clamp(1.0, 3_600.0);
    let many = (time.span_seconds() / step).ceil().clamp(1.0, 10_000.0) as usize;
    let mut counts = vec![0_u64; many];
    for at in at {
        let index = (time.seconds(*at) / step) as usize;
        if let Some(count) = counts.get_mut(index.min(many - 1)) {
            *count += 1;
        }
    }
    let mut svg = Svg::new(WIDTH, title);
    let bottom = TOP + LOW;
    let highest = counts.iter().max().copied().unwrap_or_default() as f64 / step;
    let mark = nice(highest.max(1.0) / 4.0).max(1.0);
    let top_value = (highest / mark).ceil().max(1.0) * mark;
    time.marks(&mut svg, TOP, bottom);
    time.bands(&mut svg, run, TOP, bottom);
    let y = |value: f64| bottom - value / top_value * LOW;
    let mut value = 0.0;
    while value <= top_value {
        svg.line("grid", (LEFT, y(value)), (WIDTH - RIGHT, y(value)), "");
        svg.words("mark", (LEFT - 10.0, y(value) + 4.0), "end", &format!("{value:.0} /s"));
        value += mark;
    }
    for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let from = time.x(time.at_seconds(index as f64 * step));
        let to = time.x(time.at_seconds((index + 1) as f64 * step));
        let value = *count as f64 / step;
        let hint = format!("{value:.1} /s from {:.0} s", index as f64 * step);
        svg.rect(class, (from, y(value)), ((to - from - 0.6).max(0.6), bottom - y(value)), &hint);
    }
    figure(title, &format!("{} in all. {about}", at.len()), &svg.finish(bottom + 24.0))
}

/// What was granted in each sixtieth of the time, with the middle of that.
fn buckets(time: &Time, taken: &[(u64, u64)]) -> Vec<(f64, Vec<u64>)> {
    let step = (time.span_seconds() / 60.0).max(1e-9);
    let mut all: Vec<(f64, Vec<u64>)> =
        (0..60).map(|it| ((f64::from(it) + 0.5) * step, Vec::new())).collect();
    for (at, ns) in taken {
        let index = (time.seconds(*at) / step) as usize;
        if let Some((_, bucket)) = all.get_mut(index.min(59)) {
            bucket.push(*ns);
        }
    }
    all
}

fn quantile(mut all: Vec<u64>, share: f64) -> u64 {
    all.sort_unstable();
    let index = (all.len() as f64 * share).ceil() as usize;
    all.get(index.saturating_sub(1)).copied().unwrap_or_default()
}

fn round(power: u32) -> String {
    let value = 10_u64.saturating_pow(power % 3);
    let unit = ["ns", "µs", "ms", "s"].get(power as usize / 3).copied();
    unit.map_or_else(
        || format!("{} s", 10_u64.saturating_pow(power.saturating_sub(9))),
        |unit| format!("{value} {unit}"),
    )
}
