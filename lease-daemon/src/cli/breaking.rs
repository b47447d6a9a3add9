//! `lease break`: ends a grant by force.

use hyper::Method;

use super::args::Break;
use super::exit::Exit;
use super::say::say;
use super::source::{Source, encode};

/// Breaks it, and says what that means.
pub(super) async fn break_by_force(args: Break) -> Exit {
    let Break { name, token, reason, now, kind, place } = args;
    let target = format!(
        "/v1/{}/{}?token={token}&reason={}&now={now}",
        kind.path(),
        encode(name.as_str()),
        encode(&reason)
    );
    let broken = async { Source::open(&place).await?.ask(Method::DELETE, &target, None).await };
    match broken.await {
        Ok(_) if now => {
            say(format_args!("{name} is free; whoever held it under token {token} may not know that yet"));
            Exit::OK
        }
        Ok(_) => {
            say(format_args!(
                "the holder of {name} under token {token} is told to stop; it gives it back, or it expires"
            ));
            Exit::OK
        }
        Err(refusal) => refusal.told(),
    }
}
