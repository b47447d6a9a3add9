//! `lease observe`: who leads.

use hyper::Method;

use super::args::Observe;
use super::exit::Exit;
use super::say::{plain, print};
use super::source::{Refusal, Source, encode, parse};
use crate::wire::{Leader, Leading};

/// Tells it, one line for each change, until it is stopped or the daemon goes.
pub(super) async fn observe(args: Observe) -> Exit {
    follow(&args).await.unwrap_or_else(Refusal::told)
}

async fn follow(args: &Observe) -> Result<Exit, Refusal> {
    let source = Source::open(&args.place).await?;
    let target = format!("/v1/elections/{}/watch", encode(args.name.as_str()));
    let mut answer = source.ask(Method::GET, &target, None).await?;
    loop {
        let line = source.next(&mut answer).await?;
        let shown = match parse::<Leading>(&line)? {
            _ if args.json => String::from_utf8_lossy(&line).trim_end().to_owned(),
            Leading::Leader(leader) => format!("leads        {}", who(&leader)),
            Leading::Unconfirmed(leader) => format!("unconfirmed  {}", who(&leader)),
            Leading::Vacant => "vacant".to_owned(),
            Leading::Unknown => continue,
        };
        if let Err(exit) = print(&(shown + "\n")) {
            return Ok(exit);
        }
    }
}

fn who(leader: &Leader) -> String {
    let says = leader.value.as_ref().map(|value| format!(": {}", plain(&value.to_string())));
    format!(
        "{} on {} since {} (token {}){}",
        plain(&leader.owner),
        plain(&leader.host),
        plain(&leader.since),
        leader.token,
        says.unwrap_or_default()
    )
}
