//! A user of the library: wants a lock, works under it, gives it back, over and over; and not always politely.

use std::sync::Arc;
use std::time::Duration;

use lease::{Attempt, Error, Lease, Loss, Space, Status};
use tokio::time::{sleep, timeout};

use crate::chance::Chance;
use crate::checks::{Waiting, notice};
use crate::clock::ProcessAmbient;
use crate::sim::{Pid, Sim};

/// How a user asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Waits as long as it takes.
    Acquire,
    /// Waits, and shows its place in line.
    Watched,
    /// Waits within the library's limit.
    Within(Duration),
    /// Drops the future after this time.
    Abandon(Duration),
    /// Does not wait.
    Try,
}

/// How a user ends its hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Release,
    Drop,
    /// Drops the release's future at once.
    ReleaseUnheard,
    /// Works on until the lease is lost.
    Never,
}

/// One contender of a process.
pub struct Contender {
    pub sim: Arc<Sim>,
    pub by: Pid,
    pub number: u64,
    pub space: Space,
    pub ambient: Arc<ProcessAmbient>,
    pub chance: Chance,
}

impl Contender {
    pub async fn run(mut self) {
        let mut serial = 0;
        loop {
            let think = self.chance.millis(0, self.sim.lock().profile.think_ms);
            sleep(think).await;
            if self.sim.lock().winding_down {
                return;
            }
            serial += 1;
            let attempt = format!("{}/c{}#{serial}", self.by, self.number);
            self.once(&attempt).await;
        }
    }

    fn note(&self, what: std::fmt::Arguments<'_>) {
        self.sim.note(self.by, what);
    }

    async fn once(&mut self, attempt: &str) {
        let (name, ttl) = {
            let profile = self.sim.lock().profile.clone();
            let name = format!("n{}", self.chance.below(profile.names));
            (name, Duration::from_millis(self.chance.pick(&profile.ttls)))
        };
        let breaks = self.sim.lock().profile.break_permille;
        if self.chance.odds(breaks) {
            return self.break_grant(&name).await;
        }
        let limit = self.chance.spread(5, 15_000);
        let wanted = [
            (10, How::Acquire),
            (2, How::Watched),
            (3, How::Within(limit)),
            (2, How::Abandon(limit)),
            (3, How::Try),
        ];
        let how = self.chance.weighted(&wanted).unwrap_or(How::Acquire);
        let renewed = !self.chance.odds(120);
        let mut lock = self.space.lock(&name).ttl(ttl).owner(attempt);
        if !renewed {
            lock = lock.renewed_by_caller();
        }
        self.note(format_args!("{attempt} wants {name}, {how:?}, ttl {ttl:?}, renewed {renewed}"));
        let since = self.sim.at();
        let waiting = Waiting { by: self.by, name, since, tries: how == How::Try };
        self.sim.lock().checks.waiting.insert(attempt.to_owned(), waiting);
        let answer = match how {
            How::Acquire => lock.acquire().await.map(Attempt::Granted),
            How::Try => lock.try_acquire().await,
            How::Within(limit) => lock.acquire_within(limit).await,
            How::Abandon(limit) => timeout(limit, lock.acquire())
                .await
                .unwrap_or(Err(Error::Unknown("the user has gone")))
                .map(Attempt::Granted),
            How::Watched => match lock.wait(None) {
                Ok(mut wait) => {
                    let place = wait.ahead();
                    let answer = wait.granted().await;
                    drop(place);
                    answer
                }
                Err(error) => Err(error),
            },
        };
        self.sim.lock().checks.waiting.remove(attempt);
        match answer {
            Ok(Attempt::Granted(lease)) => self.hold(attempt, lease, renewed).await,
            Ok(Attempt::Held(by)) => {
                let by = by.map(|by| by.owner).unwrap_or_default();
                self.note(format_args!("{attempt} is told: held by {by:?}"));
            }
            Err(Error::Unknown("the user has gone")) => self.note(format_args!("{attempt} is abandoned")),
            Err(error) => self.failed(attempt, since, &error).await,
        }
    }

    /// Breaks whoever is seen to hold.
    async fn break_grant(&mut self, name: &str) {
        let Ok(seen) = self.space.look(name).await else { return };
        let Some(holder) = seen.holder else { return };
        let now = self.chance.odds(400);
        let broken = self.space.lock(name).break_by_force(holder.token, "sim", now).await;
        self.note(format_args!("breaks {}'s grant of {name}, now {now}: {broken:?}", holder.owner));
    }

    async fn failed(&mut self, attempt: &str, since: Duration, error: &Error) {
        self.note(format_args!("{attempt} fails: {error}"));
        let at = self.sim.at();
        {
            let mut state = self.sim.lock();
            let state = &mut *state;
            let code = match error {
                Error::Unreachable(_) => "unreachable",
                Error::Unknown(_) => "unknown",
                Error::Quiet(_) => "quiet",
                Error::Regressed { .. } => "regressed",
                Error::Closing => "closing",
                _ => "other",
            };
            *state.counts.refusals.entry(code).or_default() += 1;
            let what = match error {
                Error::Unreachable(_) | Error::Unknown(_) => {
                    state.checks.causes.failed(at, self.by, since, &error.to_string())
                }
                Error::Quiet(_) if state.checks.causes.ever("recreate") => None,
                Error::Regressed { .. } if state.checks.causes.ever("regress") => None,
                Error::Closing if state.checks.causes.ever("drain") => None,
                other => Some(format!("an attempt failed: {other}")),
            };
            if let Some(what) = what {
                state.checks.violation(at, "no error without a cause", format!("{attempt}: {what}"));
            }
        }
        sleep(self.chance.millis(100, 1_000)).await;
    }

    /// Works under a lease, and gives it back.
    async fn hold(&mut self, attempt: &str, lease: Lease, renewed: bool) {
        let lease = Arc::new(lease);
        self.sim.told(self.by, attempt, &lease);
        let long = u64::try_from(lease.ttl().as_millis()).unwrap_or_default() * 2;
        let usual = self.sim.lock().profile.hold_ms;
        let hold =
            if self.chance.odds(60) { self.chance.spread(1, long) } else { self.chance.spread(1, usual) };
        let ends = [(12, Ends::Release), (5, Ends::Drop), (1, Ends::ReleaseUnheard), (1, Ends::Never)];
        let ends = self.chance.weighted(&ends).unwrap_or(Ends::Drop);
        let lost = {
            // The work is done one step at a time, so that it can be interrupted between any two.
            let work = self.work(attempt, &lease, hold, ends, renewed);
            tokio::select! {
                biased;
                loss = lease.lost() => Some(loss),
                () = work => None,
            }
        };
        match lost {
            Some(loss) => self.lost(attempt, lease, loss, renewed).await,
            None => self.give_back(attempt, lease, ends).await,
        }
    }

    fn work<'a>(
        &mut self,
        attempt: &'a str,
        lease: &'a Arc<Lease>,
        hold: Duration,
        ends: Ends,
        renewed: bool,
    ) -> impl Future<Output = ()> + Send + use<'a> {
        let (sim, mut chance) = (Arc::clone(&self.sim), self.chance.fork());
        async move {
            let end = sim.at() + hold;
            let renew_every = lease.ttl() / 5;
            let mut renew_at = sim.at() + renew_every;
            while ends == Ends::Never || sim.at() < end {
                fenced(&sim, attempt, lease);
                let step = chance.millis(5, 400);
                let left = end.saturating_sub(sim.at());
                let step = if left.is_zero() { step } else { step.min(left) };
                sleep(step).await;
                let winding_down = sim.lock().winding_down;
                if winding_down {
                    return;
                }
                if !renewed && ends != Ends::Never && sim.at() >= renew_at {
                    renew_at = sim.at() + renew_every;
                    // Lost: the other branch hears of it as well.
                    let _ = lease.renew().await;
                }
            }
        }
    }

    async fn lost(&mut self, attempt: &str, lease: Arc<Lease>, loss: Loss, renewed: bool) {
        use lease::Ambient;
        let late = lease.deadline().until(self.ambient.now());
        let at = self.sim.at();
        self.note(format_args!("{attempt} LOST {}: {}", lease.name(), loss.code()));
        {
            let mut state = self.sim.lock();
            let state = &mut *state;
            *state.counts.losses.entry(loss.code()).or_default() += 1;
            if let Some(what) = {
                let token = lease.token().get();
                state.checks.lost(at, self.by, loss.code(), token, lease.ttl(), renewed)
            } {
                let excused = state.checks.causes.ever("regress");
                if !excused {
                    state.checks.violation(at, "no loss without a cause", format!("{attempt}: {what}"));
                }
            }
            // Who was paused over its deadline, or was told of the grant after it, hears of it as soon as it can.
            let paused = state.checks.causes.troubled(Some(self.by.index), at.saturating_sub(late));
            if loss == Loss::Expired
                && let Some(what) = notice::late(late, paused)
            {
                state.checks.violation(at, "early notice", format!("{attempt}: {what}"));
            }
        }
        if matches!(lease.status(), Status::Held | Status::Jeopardy) {
            let what = format!("{attempt} was told of a loss, and its status says that it holds");
            self.sim.lock().checks.violation(at, "early notice", what);
        }
        if self.chance.odds(200) {
            // It goes on regardless; the resource refuses it once somebody else has written.
            sleep(self.chance.spread(10, 4_000)).await;
            fenced(&self.sim, attempt, &lease);
        }
        let name = lease.name().to_owned();
        drop(lease);
        self.sim.lock().checks.belief.over(&name, attempt);
    }

    async fn give_back(&mut self, attempt: &str, lease: Arc<Lease>, ends: Ends) {
        let name = lease.name().to_owned();
        self.note(format_args!("{attempt} gives {name} back, {ends:?}"));
        self.sim.lock().checks.belief.over(&name, attempt);
        let token = lease.token().get();
        let Some(lease) = Arc::into_inner(lease) else { return };
        let answer = match ends {
            Ends::Drop | Ends::Never => {
                drop(lease);
                return;
            }
            Ends::ReleaseUnheard => {
                let _ = timeout(self.chance.millis(0, 3), lease.release()).await;
                return;
            }
            Ends::Release => lease.release().await,
        };
        let at = self.sim.at();
        let mut state = self.sim.lock();
        let state = &mut *state;
        match answer {
            Ok(()) => {
                state.note(at, self.by, format_args!("{attempt} released {name}"));
                let owner =
                    state.history.current(&format!("lock.{name}")).and_then(crate::checks::records::owner);
                if owner.as_deref() == Some(attempt) && !state.checks.causes.ever("regress") {
                    let what =
                        format!("{attempt} was told that {name} is released, and its record is still there");
                    state.checks.violation(at, "unknown is never guessed", what);
                }
            }
            Err(error) => {
                state.note(at, self.by, format_args!("{attempt} releasing {name}: {error}"));
                let allowed = match &error {
                    Error::Lost(Loss::Expired | Loss::Draining) => true,
                    Error::Lost(_) => {
                        state.checks.is_broken(token)
                            || state.checks.causes.ever("recreate")
                            || state.checks.causes.ever("regress")
                    }
                    _ => true,
                };
                let calm = !state
                    .checks
                    .causes
                    .troubled(Some(self.by.index), at.saturating_sub(Duration::from_secs(30)));
                if !allowed || (calm && !state.checks.is_broken(token)) {
                    state.checks.violation(
                        at,
                        "no loss without a cause",
                        format!("{attempt}, releasing: {error}"),
                    );
                }
            }
        }
    }
}

/// Looks at the lease, and writes to what it protects.
fn fenced(sim: &Sim, attempt: &str, lease: &Lease) {
    let at = sim.at();
    let believes = matches!(lease.status(), Status::Held | Status::Jeopardy);
    let mut state = sim.lock();
    let accepted = state.checks.fenced(at, lease.name(), lease.token().get(), attempt, believes);
    if accepted {
        state.counts.fence_accepted += 1;
    } else {
        state.counts.fence_refused += 1;
        state.note(at, "fence", format_args!("refuses {attempt}"));
    }
}
