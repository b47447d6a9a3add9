//! `lease doctor`: what is right and wrong with the deployment, and what to do about it.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use hyper::Method;
use lease::SpaceOptions;
use serde_json::json;

use super::args::Place;
use super::durations;
use super::exit::Exit;
use super::say::{plain, pretty, print, say};
use super::server::reached;
use super::source::{ANSWER, Refusal, Source, encode, parse};
use super::wanted::user;
use crate::wire::{Accepted, Examination, Severity, Span};

/// `lease doctor`.
#[derive(Clone, Debug, Args)]
pub(super) struct Doctor {
    /// The ttl to be judged
    #[arg(long, value_name = "DUR", value_parser = durations::ttl, default_value = "20s", conflicts_with = "accept_regression")]
    pub ttl: Duration,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Instead of examining: accept that the store lost acknowledged writes and that tokens may have been given twice. It is
    /// recorded in the bucket, and everybody grants again
    #[arg(long)]
    pub accept_regression: bool,
    /// Who accepts it [default: USER@HOST]
    #[arg(long, value_name = "NAME", requires = "accept_regression")]
    pub by: Option<String>,
    /// Where the locks are.
    #[command(flatten)]
    pub place: Place,
}

/// Examines, or accepts.
pub(super) async fn doctor(args: Doctor) -> Exit {
    let outcome = match args.accept_regression {
        true => accept(&args, &args.by.clone().unwrap_or_else(user)).await,
        false => examine(&args).await,
    };
    outcome.unwrap_or_else(Refusal::told)
}

async fn examine(args: &Doctor) -> Result<Exit, Refusal> {
    let examination = match &args.place.nats {
        // Without opening the bucket: whoever asks what is wrong with it must not change it.
        Some(url) => {
            let options = SpaceOptions { nats: args.place.nats_options(), ..SpaceOptions::default() };
            Examination::of(reached(lease::examine(url, options, args.ttl)).await?)
        }
        None => {
            let target = format!("/v1/doctor?ttl={}", encode(&Span(args.ttl).to_string()));
            Source::open(&args.place).await?.get(&target).await?
        }
    };
    let text = if args.json { pretty(&examination) } else { text(&examination) };
    Ok(print(&text).map_or_else(|exit| exit, |()| exit(examination.severity)))
}

async fn accept(args: &Doctor, by: &str) -> Result<Exit, Refusal> {
    let source = Source::open(&args.place).await?;
    let answer = source.ask(Method::POST, "/v1/doctor/accept-regression", Some(&json!({ "by": by }))).await?;
    let accepted: Accepted = parse(&answer.whole(ANSWER).await?)?;
    source.server.close(Duration::from_secs(1)).await;
    if args.json {
        return Ok(print(&pretty(&accepted)).map_or_else(|exit| exit, |()| Exit::OK));
    }
    say(format_args!("accepted by {}: locks are granted again", plain(&accepted.accepted_by)));
    Ok(Exit::OK)
}

/// The exit code by the gravest finding.
fn exit(severity: Severity) -> Exit {
    match severity {
        Severity::Ok | Severity::Note => Exit::OK,
        Severity::Warning => Exit::code(1),
        Severity::Critical => Exit::code(2),
    }
}

fn text(examination: &Examination) -> String {
    let mut text = String::new();
    for finding in &examination.findings {
        let (severity, code, found) =
            (finding.severity.as_str(), plain(&finding.code), plain(&finding.found));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{severity:9} {code:14} {found}");
        if let Some(advice) = &finding.advice {
            let _ = writeln!(text, "{:24} -> {}", "", plain(advice));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Finding;

    #[test]
    fn findings_and_what_to_do() {
        let finding = |severity, advice: Option<&str>| Finding {
            severity,
            code: "replicas".into(),
            found: "1 on n\x1b0".into(),
            advice: advice.map(str::to_owned),
        };
        let findings = vec![finding(Severity::Ok, None), finding(Severity::Warning, Some("keep three"))];
        assert_eq!(
            text(&Examination { severity: Severity::Warning, findings }),
            "ok        replicas       1 on n?0\n\
             warning   replicas       1 on n?0\n                         -> keep three\n"
        );
        let grades = [Severity::Ok, Severity::Note, Severity::Warning, Severity::Critical].map(exit);
        assert_eq!(grades, [Exit::OK, Exit::OK, Exit::code(1), Exit::code(2)]);
    }

    #[test]
    fn what_a_newer_daemon_calls_otherwise_is_critical() {
        assert_eq!(serde_json::from_str::<Severity>("\"fatal\"").unwrap(), Severity::Critical);
    }
}
