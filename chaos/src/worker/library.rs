//! A worker that uses the library in its own process.

use std::pin::Pin;
use std::time::Duration;

use lease::{Space, SpaceOptions};
use tokio::time::{Instant, sleep, sleep_until};

use super::held::Held;
use super::plan::{LIMIT, Plan};
use super::usage::Use;
use super::voice::Voice;
use super::{Settings, Stop, Workload, stopped};
use crate::history::{Kind, Op, What};
use crate::random::Random;
use crate::register::Client;

/// How often a renewal is looked for.
const LOOK: Duration = Duration::from_millis(50);

type Using<'a> = Pin<Box<dyn Future<Output = Option<What>> + 'a>>;

/// Works until it is to stop.
pub async fn work(settings: &Settings, mut stop: Stop) {
    let Some(space) = connect(settings, &mut stop).await else { return };
    let mut random = Random::new(settings.seed, &settings.name);
    let voice = Voice::new(&settings.name);
    let mut client = Client::new(&settings.register);
    let mut op = settings.first_op;
    while !*stop.borrow() {
        let plan = Plan::next(settings, &mut random);
        let limit = (plan.kind == Kind::Semaphore).then_some(LIMIT);
        let (names, ttl_ms) = (plan.names.clone(), settings.ttl_ms);
        voice.say(What::Asks { op, kind: plan.kind, names, limit, ttl_ms });
        let answer = tokio::select! {
            answer = Held::acquire(&space, settings, &plan) => answer,
            // It leaves the line; whether it was granted meanwhile it does not learn, and says nothing of it.
            () = stopped(&mut stop) => break,
        };
        match answer {
            Err((outcome, detail)) => voice.say(What::Refused { op, outcome, detail }),
            Ok(held) => {
                let (tokens, deadline_ns) = (held.tokens(&plan), held.deadline_ns());
                voice.say(What::Granted { op, tokens, deadline_ns });
                hold(op, settings, &plan, held, deadline_ns, &voice, &mut client, &mut random, &mut stop)
                    .await;
            }
        }
        op += 1;
        tokio::select! {
            () = sleep(plan.think) => {}
            () = stopped(&mut stop) => {}
        }
    }
    space.close(Duration::from_secs(5)).await;
}

async fn connect(settings: &Settings, stop: &mut Stop) -> Option<Space> {
    loop {
        let tried = tokio::select! {
            tried = Space::connect(&settings.url, SpaceOptions::default()) => tried,
            () = stopped(stop) => return None,
        };
        match tried {
            Ok(space) => return Some(space),
            Err(error) => eprintln!("{}: {error}", settings.name),
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// From the grant to its end.
#[expect(clippy::too_many_arguments, reason = "all that a worker has")]
async fn hold(
    op: Op,
    settings: &Settings,
    plan: &Plan,
    held: Held,
    granted_ns: u64,
    voice: &Voice,
    client: &mut Client,
    random: &mut Random,
    stop: &mut Stop,
) {
    let is_guarded = settings.workload == Workload::Guarded;
    let tokens = held.tokens(plan);
    let (mut known, mut written) = (granted_ns, 0);
    let ends = Instant::now() + plan.hold;
    let mut next = Instant::now();
    let mut is_lost = false;
    // In turns: one use at a time, and the news of the lease meanwhile.
    while !is_lost && Instant::now() < ends && !*stop.borrow() {
        let mut using: Option<Using<'_>> = None;
        if Instant::now() >= next {
            next = Instant::now() + plan.pace;
            // Nothing may come between these two.
            if held.is_held() {
                // Unique in the run: the worker, its operation, the write in it.
                let value = number_of(&settings.name) * 1_000_000_000_000 + op * 1_000 + written % 1_000;
                written += 1;
                let it = Use::begin(op, plan.kind, &tokens, is_guarded, value, random, voice);
                using = it.map(|it| Box::pin(it.carry_out(Some(&held), client)) as Using<'_>);
            }
        }
        loop {
            let deadline_ns = held.deadline_ns();
            if !is_lost && deadline_ns > known {
                known = deadline_ns;
                voice.say(What::Renewed { op, deadline_ns });
            }
            let is_using = using.is_some();
            if !is_using && (is_lost || Instant::now() >= next.min(ends) || *stop.borrow()) {
                break;
            }
            tokio::select! {
                biased;
                reason = held.lost(), if !is_lost => {
                    is_lost = true;
                    voice.say(What::Lost { op, reason });
                }
                said = finish(&mut using), if is_using => {
                    using = None;
                    if let Some(what) = said {
                        voice.say(what);
                    }
                }
                () = sleep_until(next.min(ends).min(Instant::now() + LOOK)), if !is_using => {}
                () = sleep(LOOK), if is_using => {}
                () = stopped(stop), if !is_using => {}
            }
        }
    }
    if !is_lost {
        voice.say(What::Releases { op });
        let outcome = held.release().await;
        voice.say(What::Released { op, outcome });
    }
}

async fn finish(using: &mut Option<Using<'_>>) -> Option<What> {
    match using {
        Some(using) => using.await,
        None => None,
    }
}

/// 3 for `w3`.
pub(super) fn number_of(name: &str) -> u64 {
    name.trim_start_matches(|letter: char| !letter.is_ascii_digit()).parse().unwrap_or_default()
}
