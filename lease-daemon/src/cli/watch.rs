//! `lease watch`: what happens to locks.

use hyper::Method;

use super::args::Watch;
use super::exit::Exit;
use super::say::{plain, print, say};
use super::source::{Refusal, Source, encode, parse, who};
use crate::wire::{Change, Changed};

/// Tells it, one line for each, until it is stopped or the daemon goes. What to go on with is said then.
pub(super) async fn watch(args: Watch) -> Exit {
    let mut last = None;
    let ended = follow(&args, &mut last).await;
    let (exit, text) = match ended {
        Ok(exit) => return exit,
        Err(Refusal { exit, text }) => (exit, text),
    };
    match last {
        Some(revision) => say(format_args!("{text}\nto go on where this ends: --from {revision}")),
        None => say(text),
    }
    exit
}

async fn follow(args: &Watch, last: &mut Option<u64>) -> Result<Exit, Refusal> {
    let source = Source::open(&args.place).await?;
    let from = args.from.as_ref().map(|from| format!("&from={from}")).unwrap_or_default();
    let target =
        format!("/v1/watch?filter={}{from}&renewals={}", encode(args.filter.as_str()), args.renewals);
    let mut answer = source.ask(Method::GET, &target, None).await?;
    loop {
        let line = source.next(&mut answer).await?;
        let change: Change = parse(&line)?;
        if let Change::Failed { detail, .. } = change {
            return Err(Refusal::unavailable(detail));
        }
        *last = (*last).max(revision(&change));
        let shown = if args.json { Some(String::from_utf8_lossy(&line).into_owned()) } else { text(&change) };
        if let Some(shown) = shown
            && let Err(exit) = print(&(shown.trim_end().to_owned() + "\n"))
        {
            return Ok(exit);
        }
    }
}

fn revision(change: &Change) -> Option<u64> {
    match change {
        Change::Granted(changed)
        | Change::Renewed(changed)
        | Change::Changed(changed)
        | Change::Broken { changed, .. }
        | Change::Expired(changed) => Some(changed.revision),
        Change::Released { revision, .. } => Some(*revision),
        Change::Resync | Change::Gap { .. } | Change::Failed { .. } | Change::Unknown => None,
    }
}

/// One line for people; `None` for what a newer daemon tells.
fn text(change: &Change) -> Option<String> {
    let line = |word: &str, Changed { name, revision, holder, .. }: &Changed, more: &str| {
        format!("{revision}  {word:8}  {}  {}{more}", plain(name), who(holder))
    };
    Some(match change {
        Change::Granted(changed) => line("granted", changed, ""),
        Change::Renewed(changed) => line("renewed", changed, ""),
        Change::Changed(changed) => line("changed", changed, ""),
        Change::Broken { changed, reason } => line("broken", changed, &format!(": {}", plain(reason))),
        Change::Expired(changed) => line("expired", changed, ""),
        Change::Released { name, revision, token, holder, ended, why } => {
            let (name, holder, ended) = (plain(name), plain(holder), plain(ended));
            format!("{revision}  released  {name}  {holder} (token {token}) at {ended}: {}", plain(why))
        }
        Change::Resync => {
            "-  resync    what happened meanwhile, as far as the store has it, has been told".into()
        }
        Change::Gap { after, to } => {
            format!(
                "-  gap       between {after} and {to} something may be missing that the store has no trace of"
            )
        }
        Change::Failed { .. } | Change::Unknown => return None,
    })
}
