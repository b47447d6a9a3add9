//! `lease show`: one name, who holds it, and its line.

use std::fmt::{Display, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::args::{Kind, Look};
use super::exit::Exit;
use super::ls::left;
use super::say::{self, plain, pretty};
use super::source::{Refusal, Source, encode};
use crate::wire::{Election, Holder, Lock, Semaphore, Waiter};

/// Shows it: text, or a JSON object. What nobody holds is shown as free, and is no fault.
pub(super) async fn show(args: Look) -> Exit {
    let shown = match args.kind {
        Kind::Lock => look(&args, lock).await,
        Kind::Semaphore => look(&args, semaphore).await,
        Kind::Election => look(&args, election).await,
    };
    match shown {
        Ok(text) => say::show(&text),
        Err(refusal) => refusal.told(),
    }
}

async fn look<T: DeserializeOwned + Serialize>(
    args: &Look,
    text: fn(&T) -> String,
) -> Result<String, Refusal> {
    let target = format!("/v1/{}/{}", args.kind.path(), encode(args.name.as_str()));
    let seen: T = Source::open(&args.place).await?.get(&target).await?;
    Ok(if args.json { pretty(&seen) } else { text(&seen) })
}

/// Titles and values, one a line.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, title: impl Display, value: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{:10}{}", title.to_string(), plain(&value.to_string()));
    }

    fn waiters(&mut self, waiters: &[Waiter]) {
        self.line("waiting", waiters.len());
        for (place, waiter) in waiters.iter().enumerate() {
            let ready = if waiter.ready { "" } else { ", not ready" };
            let Waiter { owner, host, pid, since, .. } = waiter;
            self.line(
                format_args!("  {}.", place + 1),
                format_args!("{owner} on {host}, process {pid}, since {since}{ready}"),
            );
        }
    }

    /// Several holders, one a line.
    fn holders(&mut self, title: &str, holders: &[Holder]) {
        self.line(title, holders.len());
        for Holder { owner, host, pid, token, since, .. } in holders {
            self.line("  token", format_args!("{token}, {owner} on {host}, process {pid}, since {since}"));
        }
    }
}

fn lock(lock: &Lock) -> String {
    let mut text = Lines::default();
    text.line("name", &lock.name);
    text.line("state", if lock.held { "held" } else { "free" });
    if let Some(holder) = &lock.holder {
        text.line("owner", &holder.owner);
        text.line("host", format_args!("{}, process {}", holder.host, holder.pid));
        text.line("token", holder.token);
        text.line("since", &holder.since);
        text.line("left", format_args!("{} without a renewal (ttl {})", left(lock.expires_in), holder.ttl));
        for (key, value) in &holder.metadata {
            text.line("meta", format_args!("{key}={value}"));
        }
    }
    if lock.shared {
        text.holders("shared by", &lock.readers);
    }
    if let Some(previous) = &lock.previous {
        let (token, holder, why) = (previous.token, &previous.holder, &previous.why);
        text.line("before", format_args!("{holder}, token {token}, {why} {}", previous.ended));
    }
    text.waiters(lock.waiters.as_deref().unwrap_or_default());
    text.0
}

fn semaphore(semaphore: &Semaphore) -> String {
    let mut text = Lines::default();
    text.line("name", &semaphore.name);
    text.line(
        "limit",
        semaphore.limit.map_or_else(|| "not agreed on yet".to_owned(), |limit| limit.to_string()),
    );
    text.holders("held", &semaphore.holders);
    text.waiters(&semaphore.waiters);
    text.0
}

fn election(election: &Election) -> String {
    let mut text = Lines::default();
    text.line("name", &election.name);
    match &election.leader {
        None => text.line("leader", "nobody"),
        Some(leader) => {
            text.line("leader", &leader.owner);
            text.line("host", format_args!("{}, process {}", leader.host, leader.pid));
            text.line("token", leader.token);
            text.line("since", &leader.since);
            text.line("known", format_args!("for another {}", left(Some(leader.valid_for))));
            if let Some(value) = &leader.value {
                text.line("value", value);
            }
        }
    }
    text.waiters(&election.candidates);
    text.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Waiter;

    #[test]
    fn a_free_lock_and_its_line() {
        let waiter = |owner: &str| {
            let (owner, host, since) = (owner.into(), "h".into(), "now".into());
            Waiter { owner, host, pid: 7, since, priority: 0, ready: true, value: None }
        };
        let lock = Lock {
            shared: false,
            readers: Vec::new(),
            name: "a".into(),
            held: false,
            token: None,
            holder: None,
            expires_in: None,
            revision: 0,
            waiters: Some(vec![waiter("ann"), waiter("b\x1bob")]),
            previous: None,
        };
        assert_eq!(
            super::lock(&lock),
            "name      a\nstate     free\nwaiting   2\n  1.      ann on h, process 7, since now\n  2.      b?ob on h, process 7, since now\n"
        );
    }
}
