//! A worker that uses a daemon through its socket: it holds as long as its connection lives.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use support::Api;
use tokio::time::{Instant, sleep};

use super::library::number_of;
use super::plan::Plan;
use super::usage::Use;
use super::voice::Voice;
use super::{Settings, Stop, stopped};
use crate::clock::now_ns;
use crate::history::{Op, Outcome, What};
use crate::random::Random;
use crate::register::Client;

/// Works until it is to stop.
pub async fn work(settings: &Settings, mut stop: Stop) {
    let mut random = Random::new(settings.seed, &settings.name);
    let voice = Voice::new(&settings.name);
    let mut client = Client::new(&settings.register);
    let api = Api::new(&settings.socket);
    let mut op = settings.first_op;
    while !*stop.borrow() {
        let plan = Plan::next(settings, &mut random);
        let (kind, names, ttl_ms) = (plan.kind, plan.names.clone(), settings.ttl_ms);
        voice.say(What::Asks { op, kind, names, limit: None, ttl_ms });
        tokio::select! {
            () = one(op, settings, &plan, &api, &voice, &mut client, &mut random) => {}
            () = stopped(&mut stop) => {
                // Closing the connection gives back what may be held.
                break;
            }
        }
        op += 1;
        sleep(plan.think).await;
    }
}

async fn one(
    op: Op,
    settings: &Settings,
    plan: &Plan,
    api: &Api,
    voice: &Voice,
    client: &mut Client,
    random: &mut Random,
) {
    let name = plan.names.first().map_or("", String::as_str);
    let wait = format!("{}ms", plan.wait.as_millis());
    let body = json!({ "ttl": format!("{}ms", settings.ttl_ms), "wait": wait, "owner": settings.name });
    // A daemon that stands still answers nothing: whoever has waited so long does not know.
    let patience = plan.wait + Duration::from_millis(settings.ttl_ms) + Duration::from_secs(8);
    let refuse = |outcome, detail: String| voice.say(What::Refused { op, outcome, detail });
    let (target, body) = (format!("/v1/locks/{name}/hold"), body.to_string());
    let open = api.try_open("POST", &target, &body);
    let begun = Instant::now();
    let mut lines = match tokio::time::timeout(patience, open).await {
        Err(_) => return refuse(Outcome::Unknown, format!("no answer within {patience:?}")),
        Ok(Err(error)) => return refuse(Outcome::Failed, error.to_string()),
        Ok(Ok(lines)) => lines,
    };
    let held = loop {
        let left = patience.saturating_sub(begun.elapsed());
        match tokio::time::timeout(left, lines.try_line()).await {
            Err(_) => return refuse(Outcome::Unknown, format!("no answer within {patience:?}")),
            Ok(Err(error)) => return refuse(Outcome::Unknown, error.to_string()),
            Ok(Ok(None)) => return refuse(Outcome::Unknown, "the answer ended".into()),
            Ok(Ok(Some(text))) => {
                let event: Value = serde_json::from_str(&text).unwrap_or_default();
                match event["event"].as_str() {
                    Some("held") => break event,
                    Some("waiting") => {}
                    Some("timeout") => return refuse(Outcome::Held, text),
                    _ if lines.status() == 409 => return refuse(Outcome::Held, text),
                    _ => return refuse(Outcome::Failed, text),
                }
            }
        }
    };
    let token = held["token"].as_u64().unwrap_or_default();
    let mut deadline_ns = held["deadline_boottime_ns"].as_u64().unwrap_or_default();
    let tokens = BTreeMap::from([(name.to_owned(), token)]);
    voice.say(What::Granted { op, tokens: tokens.clone(), deadline_ns });

    let ends = Instant::now() + plan.hold;
    let (mut next, mut written) = (Instant::now(), 0);
    let lost = loop {
        let now = now_ns();
        if now >= deadline_ns {
            break Some("deadline".to_owned());
        }
        if Instant::now() >= ends {
            break None;
        }
        if Instant::now() >= next {
            next = Instant::now() + plan.pace;
            let value = number_of(&settings.name) * 1_000_000_000_000 + op * 1_000 + written % 1_000;
            written += 1;
            // The look at the clock is a few lines above, on the only thread.
            if let Some(it) = Use::begin(op, plan.kind, &tokens, false, value, random, voice) {
                let left = Duration::from_nanos(deadline_ns.saturating_sub(now));
                let done = tokio::time::timeout(left, it.carry_out(None, client)).await;
                // Whoever was not told by the deadline does not know; a line for that is not needed.
                if let Ok(Some(what)) = done {
                    voice.say(what);
                }
            }
            continue;
        }
        let wake = next.min(ends).min(Instant::now() + Duration::from_nanos(deadline_ns.saturating_sub(now)));
        tokio::select! {
            line = lines.try_line() => {
                let Ok(Some(text)) = line else { break Some("connection".to_owned()) };
                let event: Value = serde_json::from_str(&text).unwrap_or_default();
                match event["event"].as_str() {
                    Some("alive") => {
                        let until = event["deadline_boottime_ns"].as_u64().unwrap_or_default();
                        // News that come after the deadline come too late.
                        if until > deadline_ns && now_ns() < deadline_ns {
                            deadline_ns = until;
                            voice.say(What::Renewed { op, deadline_ns });
                        }
                    }
                    Some("lost") => break Some(event["reason"].as_str().unwrap_or("lost").to_owned()),
                    _ => {}
                }
            }
            () = tokio::time::sleep_until(wake) => {}
        }
    };
    match lost {
        Some(reason) => voice.say(What::Lost { op, reason }),
        // Nobody answers a connection that closes, so nothing is said of what became of it.
        None => voice.say(What::Releases { op }),
    }
}
