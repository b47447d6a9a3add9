//! Each worker's holds and waits, with the faults across.

use std::collections::BTreeMap;

use super::axis::{LEFT, RIGHT, Time, WIDTH, figure, short};
use super::closeup::Spot;
use super::svg::{Svg, escape};
use crate::checkers::operation::Operation;
use crate::checkers::{Run, length};
use crate::history::{Answer, Outcome};

/// How tall what one worker does at a time is.
const LANE: f64 = 18.0;
/// How much one worker may do at a time before it is drawn over each other.
const LANES: usize = 6;
/// How many rows the faults may take.
const FAULT_ROWS: usize = 12;
/// How large the drawing may become: 8 MiB.
const LARGEST: usize = 8 << 20;
/// How many colours there are for names.
const COLOURS: usize = 8;

/// The section with the timeline.
pub(super) fn timeline(run: &Run, spots: &[Spot<'_>]) -> String {
    let time = Time::of(run);
    let mut svg = Svg::new(WIDTH, "timeline of all workers");
    let mut y = faults(&mut svg, run, &time);
    let workers = workers(run);
    let names = names(run);
    let top = y;
    let heights: Vec<f64> = workers.iter().map(|(_, lanes)| lanes.len() as f64 * LANE + 6.0).collect();
    let bottom = top + heights.iter().sum::<f64>();
    time.marks(&mut svg, top, bottom);
    time.bands(&mut svg, run, top, bottom);
    let mut left_out = 0;
    for ((worker, lanes), height) in workers.iter().zip(&heights) {
        svg.line("row", (LEFT, y), (WIDTH - RIGHT, y), "");
        svg.words("label", (LEFT - 10.0, y + height / 2.0 + 4.0), "end", &short(worker, 12));
        for life in run.lives.iter().filter(|life| life.worker == *worker) {
            if let Some(gone) = life.gone {
                let x = time.x(gone.at_ns);
                svg.line(
                    "gone",
                    (x, y + 1.0),
                    (x, y + height - 1.0),
                    &format!("{worker}'s process had gone"),
                );
            }
        }
        for (lane, operations) in lanes.iter().enumerate() {
            let at = y + 3.0 + lane as f64 * LANE;
            // What is narrower than a hair beside what is drawn already is not drawn: it could not be seen.
            let mut drawn = f64::MIN;
            for operation in operations {
                if svg.len() > LARGEST {
                    left_out += 1;
                    continue;
                }
                drawn = draw(&mut svg, &time, run, operation, &names, at, drawn);
            }
        }
        y += height;
    }
    flags(&mut svg, &time, spots, top, bottom);
    let drawing = svg.finish(bottom + 24.0);
    let mut about = "Bars are holds with the end of their token, by name; thin lines are waits; ticks below are writes to \
                     what is protected; a cross is a loss, a ring is no grant. Point at anything for more."
        .to_owned();
    if left_out > 0 {
        about += &format!(" {left_out} operations are left out, as the drawing would be too large.");
    }
    figure("Who held what", &about, &(legend(&names) + &drawing))
}

/// Where the violations are, by their numbers.
fn flags(svg: &mut Svg, time: &Time, spots: &[Spot<'_>], top: f64, bottom: f64) {
    let mut last = f64::MIN;
    let mut row = 0;
    for spot in spots {
        let x = time.x(spot.to);
        // Numbers that would stand over each other go below each other.
        row = if (x - last).abs() < 20.0 { row + 1 } else { 0 };
        last = x;
        let y = top + 10.0 + f64::from(row) * 20.0;
        let hint = format!("{}: {}", spot.property, spot.evidence.sentence);
        let (target, to) = (format!("flag-{}", spot.number), format!("#near-{}", spot.number));
        svg.link(&target, &to, |svg| {
            svg.line("flag", (x, top), (x, bottom), &hint);
            svg.dot("flag", (x, y), 9.0, &hint);
            svg.words("flag", (x, y + 4.0), "middle", &spot.number.to_string());
        });
    }
}

/// The faults by row, each with its name where it fits; returns where they end.
pub(super) fn faults(svg: &mut Svg, run: &Run, time: &Time) -> f64 {
    let mut rows: Vec<f64> = Vec::new();
    for band in run.faults.iter().filter(|band| time.shows(band)) {
        let (from, to) = (time.x(band.from.at_ns), time.x(band.to.map_or(run.span.1, |to| to.at_ns)));
        let label = short(&format!("{} {}", band.nemesis, band.target), 40);
        let room = 6.5 * label.chars().count() as f64 + 8.0;
        // To the right of it, or to the left, or, if it is that long, within.
        let has_no_room = to.max(from + 3.0) + room > WIDTH - RIGHT;
        let is_left = has_no_room && from - room > LEFT;
        let is_within = has_no_room && !is_left;
        let (low, high) = match (is_left, is_within) {
            (true, _) => (from - room, to),
            (_, true) => (from, to.max(from + room)),
            _ => (from, to.max(from + 3.0) + room),
        };
        let row = rows.iter().position(|end| *end <= low).unwrap_or(rows.len());
        if row >= FAULT_ROWS {
            continue;
        }
        if row == rows.len() {
            rows.push(0.0);
        }
        if let Some(end) = rows.get_mut(row) {
            *end = high;
        }
        let y = 4.0 + row as f64 * 16.0;
        let lasted =
            band.to.map_or("to the end".to_owned(), |to| length(to.at_ns.saturating_sub(band.from.at_ns)));
        let hint = format!("fault {}: {} {}, {lasted}", band.fault, band.nemesis, band.target);
        svg.rect("fault", (from, y), ((to - from).max(3.0), 12.0), &hint);
        let (x, anchor) = match (is_left, is_within) {
            (true, _) => (from - 4.0, "end"),
            (_, true) => (from + 4.0, "start"),
            _ => (to.max(from + 3.0) + 4.0, "start"),
        };
        svg.words("fault-label", (x, y + 10.0), anchor, &label);
    }
    if !rows.is_empty() {
        svg.words("label", (LEFT - 10.0, 14.0), "end", "faults");
    }
    rows.len() as f64 * 16.0 + 10.0
}

/// The operations of each worker, in lanes without overlaps.
fn workers(run: &Run) -> Vec<(&str, Vec<Vec<&Operation>>)> {
    let mut workers: BTreeMap<&str, Vec<Vec<&Operation>>> = BTreeMap::new();
    let mut ends: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for life in &run.lives {
        workers.entry(&life.worker).or_default();
    }
    let mut operations: Vec<&Operation> = run.operations.iter().collect();
    operations.sort_by_key(|operation| operation.asks);
    for operation in operations {
        let ends = ends.entry(&operation.worker).or_default();
        let free = ends.iter().position(|end| *end <= operation.asks.at_ns);
        let lane = free.unwrap_or(ends.len()).min(LANES - 1);
        let lanes = workers.entry(&operation.worker).or_default();
        if lane >= ends.len() {
            ends.push(0);
        }
        if lane >= lanes.len() {
            lanes.push(Vec::new());
        }
        if let (Some(end), Some(lane)) = (ends.get_mut(lane), lanes.get_mut(lane)) {
            *end = until(run, operation);
            lane.push(operation);
        }
    }
    for lanes in workers.values_mut().filter(|lanes| lanes.is_empty()) {
        lanes.push(Vec::new());
    }
    // w2 before w10.
    let mut workers: Vec<_> = workers.into_iter().collect();
    workers.sort_by_key(|(name, _)| (name.chars().count(), *name));
    workers
}

/// When it was over.
pub(super) fn until(run: &Run, operation: &Operation) -> u64 {
    let refused = operation.refused.map(|(at, _)| at.at_ns);
    let held = operation.belief().map(|(_, to)| to.max(operation.let_go().map_or(0, |mark| mark.at_ns)));
    let gone = operation.gone.map(|at| at.at_ns);
    held.or(refused).or(gone).unwrap_or(run.span.1)
}

/// Each name's colour: the most used have their own.
pub(super) fn names(run: &Run) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for operation in &run.operations {
        *counts.entry(title(operation)).or_default() += 1;
    }
    let mut names: Vec<_> = counts.into_iter().collect();
    names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    names.into_iter().enumerate().map(|(index, (name, _))| (name, index.min(COLOURS - 1))).collect()
}

fn title(operation: &Operation) -> String {
    format!("{} {}", operation.space(), operation.names.join(" + "))
}

fn legend(names: &BTreeMap<String, usize>) -> String {
    let mut shown: Vec<_> = names.iter().collect();
    shown.sort_by_key(|(name, colour)| (**colour, name.as_str()));
    let one = |(name, colour): &(&String, &usize)| {
        format!("<span><i class=\"key c{colour}\"></i>{}</span>", escape(&short(name, 40)))
    };
    let mut text: String = shown.iter().take(COLOURS).map(one).collect();
    if shown.len() > COLOURS {
        text += &format!("<span>and {} more, in the last colour</span>", shown.len() - COLOURS);
    }
    format!("<div class=\"legend\">{text}</div>")
}

/// Draws one operation unless it is hidden behind what is drawn up to `drawn`; returns up to where that is now.
pub(super) fn draw(
    svg: &mut Svg,
    time: &Time,
    run: &Run,
    operation: &Operation,
    names: &BTreeMap<String, usize>,
    y: f64,
    drawn: f64,
) -> f64 {
    let asks = time.x(operation.asks.at_ns);
    let (what, who) = (title(operation), operation.title());
    let answered = operation.granted.as_ref().map(|it| it.at).or(operation.refused.map(|it| it.0));
    let x = time.x(answered.or(operation.gone).map_or(run.span.1, |at| at.at_ns));
    let waited = answered.map_or(run.span.1, |at| at.at_ns).saturating_sub(operation.asks.at_ns);
    let middle = y + LANE / 2.0 - 2.0;
    if x - asks > 1.0 {
        svg.line("wait", (asks, middle), (x, middle), &format!("{who} waited {} for {what}", length(waited)));
    }
    if let Some((_, outcome)) = operation.refused {
        let (class, word) = match outcome {
            Outcome::Held => ("ring", "held by another"),
            Outcome::Unknown => ("ring unsure", "unknown"),
            Outcome::Failed => ("ring bad", "the store was not to be reached"),
        };
        if x > drawn + 2.0 {
            svg.dot(class, (x, middle), 2.5, &format!("{who}, {what}: {word}"));
            return x;
        }
        return drawn;
    }
    let Some(grant) = &operation.granted else { return drawn };
    let to_ns = operation.belief().map_or(grant.at.at_ns, |(_, to)| to);
    let (from, to) = (time.x(grant.at.at_ns), time.x(to_ns));
    let important = operation.lost.is_some();
    if to < drawn + 0.4 && !important {
        return drawn;
    }
    let tokens: Vec<String> = grant.tokens.iter().map(|(name, token)| format!("{name} {token}")).collect();
    let held = to_ns.saturating_sub(grant.at.at_ns);
    let hint = format!(
        "{who} held {what} for {}, from {:.3} s\ntoken {}\nwaited {}",
        length(held),
        time.seconds(grant.at.at_ns),
        tokens.join(", "),
        length(waited)
    );
    let colour = names.get(&what).copied().unwrap_or(COLOURS - 1);
    svg.rect(&format!("hold c{colour}"), (from, y), ((to - from).max(0.8), LANE - 4.0), &hint);
    if let Some(token) = grant.tokens.values().next() {
        let token = token.to_string();
        let tail: String = token.chars().skip(token.len().saturating_sub(4)).collect();
        let tail = if tail.len() < token.len() { format!("…{tail}") } else { tail };
        if to - from > 6.2 * tail.chars().count() as f64 + 6.0 {
            svg.words("token", (from + 4.0, y + LANE - 7.5), "start", &tail);
        }
    }
    let mut last_tick = f64::MIN;
    for it in &operation.uses {
        let at = time.x(it.at.at_ns);
        if at < last_tick + 1.5 {
            continue;
        }
        let (class, word) = match it.used.map(|used| used.answer) {
            Some(Answer::Accepted) => ("use", "accepted"),
            Some(Answer::Refused) => ("use refused", "refused"),
            _ => ("use unsure", "unknown"),
        };
        let hint = format!("{who} wrote {} to {}: {word}", it.value, it.resource);
        svg.line(class, (at, y + LANE - 4.0), (at, y + LANE), &hint);
        last_tick = at;
    }
    if let Some((at, reason)) = &operation.lost {
        let late = time.x(at.at_ns);
        if late > to + 1.0 {
            svg.line("late", (to, middle), (late, middle), &format!("{who} had not been told yet"));
        }
        let (x, hint) = (time.x(at.at_ns), format!("{who} lost {what}: {reason}"));
        svg.line("lost", (x - 4.0, middle - 4.0), (x + 4.0, middle + 4.0), &hint);
        svg.line("lost", (x - 4.0, middle + 4.0), (x + 4.0, middle - 4.0), &hint);
    }
    to.max(from + 0.8)
}
