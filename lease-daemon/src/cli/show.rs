//! `lease show`: one lock, its holder and its line.

use std::fmt::Write;

use super::args::Show;
use super::exit::Exit;
use super::ls::left;
use super::say::{plain, print, say};
use super::source::{Refusal, Source};
use crate::wire::Lock;

/// Shows it: text, or a JSON object. A lock that nobody holds is shown as free, and is no fault.
pub(super) async fn show(args: Show) -> Exit {
    let lock = async { Source::open(&args.place).await?.look(&args.name).await };
    match lock.await {
        Ok(lock) => {
            // Strings and numbers always encode.
            let json = |lock| serde_json::to_string_pretty(lock).unwrap_or_default() + "\n";
            let text = if args.json { json(&lock) } else { text(&lock) };
            print(&text).map_or_else(|exit| exit, |()| Exit::OK)
        }
        Err(Refusal { exit, text }) => {
            say(text);
            exit
        }
    }
}

fn text(lock: &Lock) -> String {
    let mut text = String::new();
    let mut line = |title: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{title:10}{}", plain(value));
    };
    line("name", &lock.name);
    line("state", if lock.held { "held" } else { "free" });
    if let Some(holder) = &lock.holder {
        line("owner", &holder.owner);
        line("host", &format!("{}, process {}", holder.host, holder.pid));
        line("token", &holder.token.to_string());
        line("since", &holder.since);
        line("left", &format!("{} without a renewal (ttl {})", left(lock.expires_in), holder.ttl));
        for (key, value) in &holder.metadata {
            line("meta", &format!("{key}={value}"));
        }
    }
    if let Some(previous) = &lock.previous {
        line(
            "before",
            &format!("{}, token {}, {} {}", previous.holder, previous.token, previous.why, previous.ended),
        );
    }
    let waiters = lock.waiters.as_deref().unwrap_or_default();
    line("waiting", &waiters.len().to_string());
    for (place, waiter) in waiters.iter().enumerate() {
        let who =
            format!("{} on {}, process {}, since {}", waiter.owner, waiter.host, waiter.pid, waiter.since);
        line(&format!("  {}.", place + 1), &who);
    }
    text
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
            text(&lock),
            "name      a\nstate     free\nwaiting   2\n  1.      ann on h, process 7, since now\n  2.      b?ob on h, process 7, since now\n"
        );
    }
}
