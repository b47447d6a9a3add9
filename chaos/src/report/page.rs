//! The page.

use std::collections::BTreeMap;

use super::svg::escape;
use super::{closeup, mutants, plots, timeline};
use crate::availability::{Availability, Cost};
use crate::checkers::{Evidence, Finding, Run, Status, length};
use crate::verdict::{Verdict, word};

const STYLE: &str = include_str!("style.css");

/// What the page shows beside what follows from the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// The names of the files that lie beside it.
    pub files: Vec<String>,
    /// The lines of the history that findings point at.
    pub lines: BTreeMap<usize, String>,
}

/// The whole page.
pub fn page(run: &Run, verdict: &Verdict, beside: &Beside) -> String {
    let title = escape(&format!("chaos: {}, seed {}: {}", verdict.scenario, verdict.seed, verdict.word()));
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main>\n"
    );
    let spots = closeup::spots(verdict, beside);
    text += &header(run, verdict);
    text += &closeup::section(run, verdict, &spots);
    text += &findings(verdict, beside);
    text += &untried(verdict);
    text += &timeline::timeline(run, &spots);
    text += &plots::latency(run);
    text += &plots::availability(run);
    text += &costs(&verdict.availability);
    text += &mutants::section();
    text += &files(&beside.files);
    text + "</main></body></html>\n"
}

fn header(run: &Run, verdict: &Verdict) -> String {
    let granted = run.operations.iter().filter(|it| it.granted.is_some()).count();
    let uses: usize = run.operations.iter().map(|it| it.uses.len()).sum();
    let violated: Vec<_> = verdict.findings.iter().filter(|it| it.status == Status::Violated).collect();
    let promised = violated.iter().filter(|it| !it.is_assumed).count();
    let class = verdict.word().to_lowercase();
    let fact = |name: &str, value: String| format!("<div><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
    let facts = [
        fact("Seed", verdict.seed.to_string()),
        fact("nats-server", verdict.release.clone()),
        fact("Lasted", length(run.span.1.saturating_sub(run.span.0))),
        fact(
            "Workers",
            run.lives
                .iter()
                .map(|it| &it.worker)
                .collect::<std::collections::BTreeSet<_>>()
                .len()
                .to_string(),
        ),
        fact("Faults", run.faults.len().to_string()),
        fact("Asked", run.operations.len().to_string()),
        fact("Granted", granted.to_string()),
        fact("Protected writes", uses.to_string()),
        fact("Revisions read", run.audit.revisions.len().to_string()),
    ];
    let machine = verdict.machine();
    let sentence = match (promised, verdict.untested.len()) {
        (0, _) if !violated.is_empty() => {
            "Nothing that is promised was violated, but the store did not do what is assumed of it."
                .to_owned()
        }
        (0, 0) => "Every property was tested and held.".to_owned(),
        (0, 1) => "Nothing was violated; one property was not tested.".to_owned(),
        (0, untested) => format!("Nothing was violated; {untested} properties were not tested."),
        (1, _) => "One property was violated.".to_owned(),
        (many, _) => format!("{many} properties were violated."),
    };
    format!(
        "<header><h1>{} <span class=\"pill {class}\" id=\"verdict\">{}</span></h1><p>{sentence} And {machine}.</p><dl>{}</dl>\
         <p class=\"again\">Again: <code>{}</code></p></header>\n",
        escape(if verdict.scenario.is_empty() {
            "a run that does not say what it is"
        } else {
            &verdict.scenario
        }),
        verdict.word(),
        facts.concat(),
        escape(&verdict.command)
    )
}

fn findings(verdict: &Verdict, beside: &Beside) -> String {
    let rows: String = verdict.findings.iter().map(|finding| row(finding, beside)).collect();
    format!(
        "<section class=\"card\"><h2>Properties</h2><table id=\"findings\"><thead><tr><th>Property</th><th>Verdict</th>\
         <th class=\"number\">Examined</th><th class=\"number\">Violations</th><th>Source</th></tr></thead>\
         <tbody>{rows}</tbody></table></section>\n"
    )
}

fn row(finding: &Finding, beside: &Beside) -> String {
    let status = word(finding.status);
    let mut text = format!(
        "<tr><td>{}</td><td><span class=\"pill {}\">{status}</span></td><td class=\"number\">{}</td>\
         <td class=\"number\">{}</td><td class=\"source\">{}</td></tr>\n",
        escape(finding.property),
        status.to_lowercase(),
        finding.examined,
        finding.violated,
        escape(finding.source)
    );
    let why = finding.why.as_ref().map(|why| format!("<p>{}</p>", escape(why))).unwrap_or_default();
    let violations = list("", &finding.violations, finding.violated, beside);
    let notes = list("Shown, no violation:", &finding.notes, finding.shown, beside);
    if !(why.is_empty() && violations.is_empty() && notes.is_empty()) {
        text += &format!("<tr class=\"more\"><td colspan=\"5\">{why}{violations}{notes}</td></tr>\n");
    }
    text
}

fn list(title: &str, all: &[Evidence], count: usize, beside: &Beside) -> String {
    if all.is_empty() {
        return String::new();
    }
    let one = |it: &Evidence| {
        let lines: Vec<String> = it.lines.iter().map(usize::to_string).collect();
        let title = format!("history.jsonl: {}", lines.join(", "));
        let texts = it.lines.iter().filter_map(|at| Some((at, beside.lines.get(at)?)));
        let texts: Vec<String> = texts.map(|(at, text)| format!("{at}  {}", escape(text))).collect();
        let (sentence, texts) = (escape(&it.sentence), texts.join("\n"));
        if texts.is_empty() {
            return format!("<li>{sentence} <span class=\"lines\">{title}</span></li>");
        }
        format!("<li>{sentence}<details><summary>{title}</summary><pre>{texts}</pre></details></li>")
    };
    let items: String = all.iter().map(one).collect();
    let more = count.saturating_sub(all.len());
    let more = if more > 0 { format!("<li>and {more} more</li>") } else { String::new() };
    let title = if title.is_empty() { String::new() } else { format!("<p>{title}</p>") };
    format!("{title}<ul>{items}{more}</ul>")
}

/// What this machine could not do, before anything that it did.
fn untried(verdict: &Verdict) -> String {
    if verdict.untried.is_empty() && verdict.not_struck.is_empty() {
        return String::new();
    }
    let one = |(nemesis, why): &(String, String)| format!("<li>{}: {}</li>", escape(nemesis), escape(why));
    let mut items: String = verdict.untried.iter().map(one).collect();
    if !verdict.not_struck.is_empty() {
        items += &format!("<li>Did not strike in this run: {}</li>", verdict.not_struck.join(", "));
    }
    format!("<section class=\"card\"><h2>Not tried</h2><ul id=\"untried\">{items}</ul></section>\n")
}

fn costs(availability: &Availability) -> String {
    let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1_000.0);
    let row = |it: &Cost| {
        let number = |text: String| format!("<td class=\"number\">{text}</td>");
        let cells = [
            it.times.to_string(),
            seconds(it.standstill_ms),
            it.expired.to_string(),
            it.needless.to_string(),
        ];
        format!("<tr><td>{}</td>{}</tr>", escape(&it.nemesis), cells.map(number).concat())
    };
    let rows: String = availability.costs.iter().map(row).collect();
    let one = |why: &String| format!("<li>{}</li>", escape(why));
    let needless: String = availability.needless.iter().map(one).collect();
    format!(
        "<section class=\"card\"><h2>What faults cost</h2><p>While nothing was broken, there was a grant, a renewal or a release every {} \
         at least. A lease ran out without need if nothing befell its holder, and something was broken for less than is to be \
         borne (ttl - ttl/5 - 2 s) of its last ttl.</p><table id=\"costs\"><thead><tr><th>Nemesis</th>\
         <th class=\"number\">Times</th><th class=\"number\">Nothing granted, renewed or given back for up to</th>\
         <th class=\"number\">Leases that ran out</th><th class=\"number\">Without need</th></tr></thead>\
         <tbody>{rows}</tbody></table><ul>{needless}</ul></section>\n",
        seconds(availability.calm_ms)
    )
}

fn files(files: &[String]) -> String {
    let link = |name: &String| {
        let href: String = name
            .bytes()
            .map(|it| match it {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => {
                    char::from(it).to_string()
                }
                it => format!("%{it:02X}"),
            })
            .collect();
        format!("<li><a href=\"./{href}\">{}</a></li>", escape(name))
    };
    let links: String = files.iter().map(link).collect();
    format!("<section class=\"card\"><h2>Beside this page</h2><ul class=\"files\">{links}</ul></section>\n")
}
