//! `lease ls`: the locks that are held.

use std::collections::BTreeMap;

use hyper::Method;

use super::args::Ls;
use super::exit::Exit;
use super::say::{plain, say, show};
use super::source::{Refusal, Source, encode};
use super::table::Table;
use crate::wire::{Lock, Span};

/// Lists them: a table, or one JSON object a line. That there is none is said on standard error, and is no fault.
pub(super) async fn ls(args: Ls) -> Exit {
    let locks = match list(&args).await {
        Ok(locks) => locks,
        Err(refusal) => return refusal.told(),
    };
    if locks.is_empty() {
        say(match args.filter.as_str() {
            ">" => "no lock is held".to_owned(),
            filter => format!("no lock that matches {filter} is held"),
        });
        return Exit::OK;
    }
    let text = if args.json { lines(&locks) } else { table(&locks) };
    show(&text)
}

/// The locks that are held, by name. One that is renewed while the list is read may come twice; the later line is the
/// newer one.
async fn list(args: &Ls) -> Result<Vec<Lock>, Refusal> {
    let source = Source::open(&args.place).await?;
    let target = format!("/v1/locks?filter={}", encode(args.filter.as_str()));
    let mut answer = source.ask(Method::GET, &target, None).await?;
    let mut by_name = BTreeMap::new();
    while let Some(lock) = source.line::<Lock>(&mut answer).await? {
        by_name.insert(lock.name.clone(), lock);
    }
    Ok(by_name.into_values().collect())
}

fn lines(locks: &[Lock]) -> String {
    // Strings and numbers always encode.
    locks.iter().map(|lock| serde_json::to_string(lock).unwrap_or_default() + "\n").collect()
}

fn table(locks: &[Lock]) -> String {
    let mut table = Table::new(&["NAME", "OWNER", "HOST", "TOKEN", "LEFT", "SINCE"]);
    for lock in locks {
        let holder = lock.holder.as_ref();
        let text = |text: Option<&String>| text.map_or_else(|| "-".to_owned(), |text| plain(text));
        let owner = match holder {
            None if lock.shared => "(shared)".to_owned(),
            _ => text(holder.map(|holder| &holder.owner)),
        };
        table.row(vec![
            plain(&lock.name),
            owner,
            text(holder.map(|holder| &holder.host)),
            lock.token.map_or_else(|| "-".to_owned(), |token| token.to_string()),
            left(lock.expires_in),
            text(holder.map(|holder| &holder.since)),
        ]);
    }
    table.render()
}

/// What is left of a lease, in tenths of a second: the rest is noise.
pub(super) fn left(expires_in: Option<Span>) -> String {
    match expires_in {
        Some(Span(left)) => format!("{:.1}s", left.as_secs_f64()),
        None => "-".to_owned(),
    }
}
