//! Violations, before anything else: which property, whose, when; and each from near, with all that concerns the same names.

use std::collections::{BTreeMap, BTreeSet};

use super::axis::{LEFT, RIGHT, Time, WIDTH, short};
use super::page::Beside;
use super::svg::{Svg, escape};
use super::timeline;
use crate::checkers::audit::Revision;
use crate::checkers::operation::Operation;
use crate::checkers::{Evidence, Run, Status, length};
use crate::history::Line;
use crate::verdict::Verdict;

/// How many violations are drawn from near; all are listed further below.
const DRAWN: usize = 12;
/// How many of one property.
const OF_ONE: usize = 3;
/// How many operations one drawing has room for.
const ROWS: usize = 16;
/// How tall a row is.
const ROW: f64 = 20.0;
/// What is shown before and after, at least and at most.
const AROUND_NS: (u64, u64) = (500_000_000, 4_000_000_000);

/// A violation that is drawn.
pub(super) struct Spot<'a> {
    /// Its number on the page, from 1.
    pub(super) number: usize,
    /// The property.
    pub(super) property: &'static str,
    /// What was found.
    pub(super) evidence: &'a Evidence,
    /// From when to when, by the lines that show it.
    pub(super) from: u64,
    /// See `from`.
    pub(super) to: u64,
}

/// The first violations of each property that can be placed in time.
pub(super) fn spots<'a>(verdict: &'a Verdict, beside: &Beside) -> Vec<Spot<'a>> {
    let violated = verdict.findings.iter().filter(|finding| finding.status == Status::Violated);
    let first = violated.flat_map(|it| it.violations.iter().take(OF_ONE).map(|one| (it.property, one)));
    let placed = first.filter_map(|(property, evidence)| {
        let moments: Vec<u64> = evidence.lines.iter().filter_map(|line| moment(beside, *line)).collect();
        Some((property, evidence, *moments.iter().min()?, *moments.iter().max()?))
    });
    let numbered = placed.take(DRAWN).zip(1..);
    numbered
        .map(|((property, evidence, from, to), number)| Spot { number, property, evidence, from, to })
        .collect()
}

/// When a line happened. A line that is quoted may be cut, so only its begin is read.
fn moment(beside: &Beside, line: usize) -> Option<u64> {
    let text = beside.lines.get(&line)?;
    if let Ok(line) = serde_json::from_str::<Line>(text) {
        return Some(line.at_ns);
    }
    text.strip_prefix("{\"at_ns\":")?.split(',').next()?.parse().ok()
}

/// The section at the head of the page; empty if nothing was violated.
pub(super) fn section(run: &Run, verdict: &Verdict, spots: &[Spot<'_>]) -> String {
    let mut text = String::new();
    for finding in verdict.findings.iter().filter(|finding| finding.status == Status::Violated) {
        let of_it: Vec<&Spot<'_>> = spots.iter().filter(|spot| spot.property == finding.property).collect();
        let more = finding.violated.saturating_sub(of_it.len());
        let items: String = of_it.iter().map(|spot| item(run, spot)).collect();
        let more =
            if more > 0 { format!("<p class=\"about\">and {more} more, below</p>") } else { String::new() };
        let property = escape(finding.property);
        text += &format!(
            "<h3>{property}<span class=\"source\">{}</span></h3><ul>{items}</ul>{more}",
            escape(finding.source)
        );
    }
    if text.is_empty() {
        return text;
    }
    let near: String = spots.iter().map(|spot| near(run, spot)).collect();
    format!(
        "<section class=\"card violations\" id=\"violations\"><h2>What was violated</h2>{text}</section>\n{near}"
    )
}

fn item(run: &Run, spot: &Spot<'_>) -> String {
    let number = spot.number;
    let at = seconds(run, spot.to);
    format!(
        "<li><b>{at}</b> {} <a href=\"#near-{number}\">from near</a> <a href=\"#flag-{number}\">in the timeline</a></li>",
        escape(&spot.evidence.sentence)
    )
}

fn seconds(run: &Run, at_ns: u64) -> String {
    format!("{:.3} s", at_ns.saturating_sub(run.span.0) as f64 / 1e9)
}

/// What a violation is about: the names of the operations whose lines show it, and the keys of the revisions.
struct Subject<'a> {
    operations: BTreeSet<usize>,
    names: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Subject<'a> {
    fn of(run: &'a Run, lines: &[usize]) -> Subject<'a> {
        let mut subject = Subject { operations: BTreeSet::new(), names: BTreeSet::new() };
        for (index, operation) in run.operations.iter().enumerate() {
            if lines_of(operation).any(|line| lines.contains(&line)) {
                subject.operations.insert(index);
                subject.names.extend(operation.names.iter().map(|name| (operation.space(), name.as_str())));
            }
        }
        let revisions = run.audit.revisions.iter().filter(|it| lines.contains(&it.at.line));
        subject.names.extend(revisions.filter_map(|revision| name_of(&revision.key)));
        subject
    }

    fn concerns(&self, index: usize, operation: &Operation) -> bool {
        let is_of = |name: &String| self.names.contains(&(operation.space(), name.as_str()));
        self.operations.contains(&index) || operation.names.iter().any(is_of)
    }
}

fn lines_of(operation: &Operation) -> impl Iterator<Item = usize> {
    let marks = [
        Some(operation.asks),
        operation.granted.as_ref().map(|it| it.at),
        operation.refused.map(|it| it.0),
        operation.lost.as_ref().map(|it| it.0),
        operation.releases,
        operation.released.map(|it| it.0),
    ];
    let renewed = operation.renewed.iter().map(|(at, _)| at.line);
    let uses = operation.uses.iter().flat_map(|it| [Some(it.at.line), it.used.map(|used| used.at.line)]);
    marks.into_iter().flatten().map(|it| it.line).chain(renewed).chain(uses.flatten())
}

/// The name space and the name that a key is about.
fn name_of(key: &str) -> Option<(&str, &str)> {
    let (kind, rest) = key.split_once('.')?;
    let without_id = |rest: &'_ str| rest.rsplit_once('.').map(|it| it.0.len()).map(|end| (0, end));
    match kind {
        "lock" => Some(("lock", rest)),
        "elect" => Some(("elect", rest)),
        "read" | "sem" | "group" => {
            let (_, end) = without_id(rest)?;
            let space = if kind == "read" { "lock" } else { kind };
            Some((space, rest.get(..end)?))
        }
        "line" => {
            let (_, end) = without_id(rest)?;
            let (space, name) = rest.get(..end)?.split_once('.')?;
            Some((space, name))
        }
        _ => None,
    }
}

/// One violation from near.
fn near(run: &Run, spot: &Spot<'_>) -> String {
    let subject = Subject::of(run, &spot.evidence.lines);
    let around = (spot.to - spot.from).clamp(AROUND_NS.0, AROUND_NS.1);
    let (from, to) =
        (spot.from.saturating_sub(around).max(run.span.0), spot.to.saturating_add(around).min(run.span.1));
    let time = Time::between(run, from, to);
    let mut rows: Vec<(usize, &Operation)> = run
        .operations
        .iter()
        .enumerate()
        .filter(|(index, it)| {
            subject.concerns(*index, it) && it.asks.at_ns <= to && timeline::until(run, it) >= from
        })
        // Of those that got nothing, only what the violation itself is about.
        .filter(|(index, it)| it.granted.is_some() || subject.operations.contains(index))
        .collect();
    // What it is about first of all, if there is more than there is room for.
    rows.sort_by_key(|(index, it)| (!subject.operations.contains(index), it.asks));
    let left_out = rows.len().saturating_sub(ROWS);
    rows.truncate(ROWS);
    rows.sort_by_key(|(_, it)| it.granted.as_ref().map_or(it.asks, |it| it.at));
    let mut svg = Svg::new(WIDTH, &format!("violation {} from near", spot.number));
    let top = timeline::faults(&mut svg, run, &time);
    let bottom = top + (rows.len() + 1) as f64 * ROW + 6.0;
    time.marks(&mut svg, top, bottom);
    time.bands(&mut svg, run, top, bottom);
    let (x, width) = (time.x(spot.from), (time.x(spot.to) - time.x(spot.from)).max(2.0));
    svg.rect("spot", (x, top), (width, bottom - top), &spot.evidence.sentence);
    let names = timeline::names(run);
    for (row, (index, operation)) in rows.iter().enumerate() {
        let y = top + 4.0 + row as f64 * ROW;
        let class = if subject.operations.contains(index) { "label cited" } else { "label" };
        let label = format!("{} op {}", operation.worker, operation.op);
        svg.words(class, (LEFT - 10.0, y + 12.0), "end", &short(&label, 14));
        timeline::draw(&mut svg, &time, run, operation, &names, y, f64::MIN);
    }
    store(&mut svg, &time, run, &subject, spot, (from, to), bottom - ROW / 2.0 - 2.0);
    let names: Vec<String> = subject.names.iter().map(|(space, name)| format!("{space} {name}")).collect();
    let mut about = format!(
        "{} to {}, about {}. Shaded: from the first to the last line that shows it. Bars are holds with the end of their \
         token; the lowest row is what the store wrote, dark where it is cited.",
        seconds(run, spot.from),
        seconds(run, spot.to),
        if names.is_empty() { "the whole run".to_owned() } else { short(&names.join(", "), 120) },
    );
    if left_out > 0 {
        about += &format!(" {left_out} more operations on these names are left out.");
    }
    format!(
        "<section class=\"card near\" id=\"near-{number}\"><h2><span class=\"flag-number\">{number}</span> {}</h2>\
         <p>{} It took {}. <a href=\"#flag-{number}\">In the timeline</a></p><p class=\"about\">{}</p>{}</section>\n",
        escape(spot.property),
        escape(&spot.evidence.sentence),
        length(spot.to - spot.from),
        escape(&about),
        svg.finish(bottom + 24.0),
        number = spot.number,
    )
}

/// What was written to the keys that it is about.
fn store(
    svg: &mut Svg,
    time: &Time,
    run: &Run,
    subject: &Subject<'_>,
    spot: &Spot<'_>,
    (from, to): (u64, u64),
    y: f64,
) {
    svg.words("label", (LEFT - 10.0, y + 4.0), "end", "the store");
    svg.line("row", (LEFT, y), (WIDTH - RIGHT, y), "");
    let is_of_it = |it: &&Revision| name_of(&it.key).is_some_and(|name| subject.names.contains(&name));
    let mut drawn: BTreeMap<bool, f64> = BTreeMap::new();
    for it in run.audit.revisions.iter().filter(is_of_it).filter(|it| (from..=to).contains(&it.at.at_ns)) {
        let is_cited = spot.evidence.lines.contains(&it.at.line);
        let x = time.x(it.at.at_ns);
        let last = drawn.entry(is_cited).or_insert(f64::MIN);
        if x < *last + 2.0 && !is_cited {
            continue;
        }
        *last = x;
        let what = match (it.is_deletion, it.record()) {
            (true, _) => "deleted".to_owned(),
            (_, Some(record)) if record.is_reserved => format!("kept free for {}", record.attempt),
            (_, Some(record)) => format!(
                "{} of {}",
                if record.token.is_some() { "renewed, token" } else { "granted to attempt" },
                record.attempt
            ),
            _ => "written".to_owned(),
        };
        let class = if is_cited { "revision cited" } else { "revision" };
        svg.dot(
            class,
            (x, y),
            if is_cited { 5.0 } else { 3.0 },
            &format!("{} {}: {what}", it.revision, it.key),
        );
    }
}
