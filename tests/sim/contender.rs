//! A user of the library: wants a lock, works under it, gives it back, over and over; and not always politely.

use std::sync::Arc;
use std::time::Duration;

use lease::{Attempt, Error, Lease, Loss, MultiAttempt, Space};
use tokio::time::{sleep, timeout};

use crate::checks::{Waiting, notice};
use crate::clock::ProcessAmbient;
use crate::grant::Grant;
use crate::profile::{Kind, permits};
use crate::sim::{Pid, Sim};
use support::chance::Chance;

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

/// What a user asks for.
#[derive(Clone, Debug)]
enum Wanted {
    Alone(String),
    Shared(String),
    Semaphore(String),
    Together(Vec<String>),
    Office(String, i32),
    Member(String),
}

impl Wanted {
    /// What a record of such a grant is called before the name.
    fn space(&self) -> &'static str {
        match self {
            Wanted::Alone(_) | Wanted::Together(_) => "lock",
            Wanted::Shared(_) => "read",
            Wanted::Semaphore(_) => "sem",
            Wanted::Office(..) => "elect",
            Wanted::Member(_) => "group",
        }
    }
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
        let wanted = self.wanted(name.clone());
        self.note(format_args!("{attempt} wants {wanted:?}, {how:?}, ttl {ttl:?}, renewed {renewed}"));
        let since = self.sim.at();
        let waiting = Waiting { by: self.by, name, since, tries: how == How::Try };
        self.sim.lock().checks.waiting.insert(attempt.to_owned(), waiting);
        let answer = match &wanted {
            Wanted::Semaphore(name) => {
                let permit = self.space.semaphore(name, permits(name)).ttl(ttl).owner(attempt);
                let permit = if renewed { permit } else { permit.renewed_by_caller() };
                one(match how {
                    How::Acquire => permit.acquire().await.map(Attempt::Granted),
                    How::Try => permit.try_acquire().await,
                    How::Within(limit) => permit.acquire_within(limit).await,
                    How::Abandon(limit) => abandoned(limit, permit.acquire()).await.map(Attempt::Granted),
                    How::Watched => watched(permit.wait(None)).await,
                })
            }
            Wanted::Alone(name) | Wanted::Shared(name) => {
                let lock = self.space.lock(name).ttl(ttl).owner(attempt);
                let lock = if renewed { lock } else { lock.renewed_by_caller() };
                let lock = if matches!(wanted, Wanted::Shared(_)) { lock.shared() } else { lock };
                one(match how {
                    How::Acquire => lock.acquire().await.map(Attempt::Granted),
                    How::Try => lock.try_acquire().await,
                    How::Within(limit) => lock.acquire_within(limit).await,
                    How::Abandon(limit) => abandoned(limit, lock.acquire()).await.map(Attempt::Granted),
                    How::Watched => watched(lock.wait(None)).await,
                })
            }
            Wanted::Member(name) => {
                let group = self.space.group(name).ttl(ttl).owner(attempt);
                let group = if renewed { group } else { group.renewed_by_caller() };
                let member = match how {
                    How::Acquire | How::Watched | How::Try => group.join(attempt).await,
                    How::Within(limit) | How::Abandon(limit) => abandoned(limit, group.join(attempt)).await,
                };
                member.map(|member| Ok(Grant::One(member.into_lease())))
            }
            Wanted::Office(name, priority) => {
                let election = self.space.election(name).ttl(ttl).owner(attempt).priority(*priority);
                let term = match how {
                    How::Acquire | How::Watched => election.campaign(&attempt).await.map(Some),
                    How::Try => election.campaign_within(&attempt, Duration::ZERO).await,
                    How::Within(limit) => election.campaign_within(&attempt, limit).await,
                    How::Abandon(limit) => abandoned(limit, election.campaign(&attempt)).await.map(Some),
                };
                term.map(|term| term.map(Grant::Office).ok_or_else(|| name.clone()))
            }
            Wanted::Together(names) => {
                let locks = self.space.lock_all(names.clone()).ttl(ttl).owner(attempt);
                let answer = match how {
                    How::Acquire | How::Watched => locks.acquire().await.map(MultiAttempt::Granted),
                    How::Try => locks.try_acquire().await,
                    How::Within(limit) => locks.acquire_within(limit).await,
                    How::Abandon(limit) => abandoned(limit, locks.acquire()).await.map(MultiAttempt::Granted),
                };
                answer.map(|answer| match answer {
                    MultiAttempt::Granted(leases) => Ok(Grant::Many(leases)),
                    MultiAttempt::Held(name, by) => Err(by.map_or(name, |by| by.owner)),
                })
            }
        };
        self.sim.lock().checks.waiting.remove(attempt);
        let renewed = renewed || matches!(wanted, Wanted::Together(_) | Wanted::Office(..));
        match answer {
            Ok(Ok(grant)) => self.hold(attempt, grant, renewed, wanted.space()).await,
            Ok(Err(by)) => self.note(format_args!("{attempt} is told: held by {by:?}")),
            Err(Error::Unknown("the user has gone")) => self.note(format_args!("{attempt} is abandoned")),
            Err(error) => self.failed(attempt, since, &error).await,
        }
    }

    fn wanted(&mut self, name: String) -> Wanted {
        let (kind, names) = {
            let state = self.sim.lock();
            (state.profile.kind, state.profile.names)
        };
        match kind {
            Kind::Mutex => Wanted::Alone(name),
            Kind::Semaphore => Wanted::Semaphore(name),
            Kind::Group => Wanted::Member(name),
            Kind::Election => Wanted::Office(name, self.chance.pick(&[0, 0, 0, 1, 2])),
            Kind::ReadWrite if self.chance.odds(650) => Wanted::Shared(name),
            Kind::ReadWrite => Wanted::Alone(name),
            Kind::Together if self.chance.odds(400) => Wanted::Alone(name),
            Kind::Together => {
                let mut set = vec![name];
                set.extend((0..names).map(|n| format!("n{n}")).filter(|_| self.chance.odds(500)));
                Wanted::Together(set)
            }
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
    async fn hold(&mut self, attempt: &str, lease: Grant, renewed: bool, space: &str) {
        let lease = Arc::new(lease);
        self.sim.told(self.by, attempt, &lease, space);
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

    /// Resigns, or hands over to whoever stands last.
    async fn leave_office(&mut self, attempt: &str, term: lease::Term, ends: Ends) {
        let name = term.lease().name().to_owned();
        let others = match ends {
            Ends::Release if self.chance.odds(500) => {
                self.space.election(&name).candidates().await.unwrap_or_default()
            }
            _ => Vec::new(),
        };
        let Some(last) = others.into_iter().next_back() else {
            // Any outcome will do: what may be wrong with it the store shows.
            let resigned = term.resign().await;
            self.note(format_args!("{attempt} resigned from {name}: {resigned:?}"));
            return;
        };
        let handed = term.hand_over(&last.owner).await.map_err(|(error, _)| error);
        self.note(format_args!("{attempt} handed {name} over to {}: {handed:?}", last.owner));
    }

    fn work<'a>(
        &mut self,
        attempt: &'a str,
        lease: &'a Arc<Grant>,
        hold: Duration,
        ends: Ends,
        renewed: bool,
    ) -> impl Future<Output = ()> + Send + use<'a> {
        let (sim, mut chance) = (Arc::clone(&self.sim), self.chance.fork());
        async move {
            let end = sim.at() + hold;
            let renew_every = lease.ttl() / 5;
            let mut renew_at = sim.at() + renew_every;
            // The lock's own runs stay as they are.
            let writes = sim.lock().profile.kind != Kind::Mutex;
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
                if writes
                    && chance.odds(150)
                    && let Some(lease) = lease.lease()
                {
                    say(&sim, attempt, lease, chance.odds(500)).await;
                }
            }
        }
    }

    async fn lost(&mut self, attempt: &str, lease: Arc<Grant>, loss: Loss, renewed: bool) {
        use lease::Ambient;
        let late = lease.deadline().until(self.ambient.now());
        let at = self.sim.at();
        self.note(format_args!("{attempt} LOST {}: {}", lease.shown(), loss.code()));
        {
            let mut state = self.sim.lock();
            let state = &mut *state;
            *state.counts.losses.entry(loss.code()).or_default() += 1;
            if let Some(what) = {
                let tokens: Vec<u64> = lease.parts().into_iter().map(|(_, token)| token).collect();
                state.checks.lost(at, self.by, loss.code(), &tokens, lease.ttl(), renewed)
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
        if lease.believes() {
            let what = format!("{attempt} was told of a loss, and its status says that it holds");
            self.sim.lock().checks.violation(at, "early notice", what);
        }
        if self.chance.odds(200) {
            // It goes on regardless; the resource refuses it once somebody else has written.
            sleep(self.chance.spread(10, 4_000)).await;
            fenced(&self.sim, attempt, &lease);
        }
        drop(lease);
        self.sim.lock().checks.belief.over(attempt);
    }

    async fn give_back(&mut self, attempt: &str, lease: Arc<Grant>, ends: Ends) {
        let name = lease.shown();
        self.note(format_args!("{attempt} gives {name} back, {ends:?}"));
        self.sim.lock().checks.belief.over(attempt);
        let tokens: Vec<u64> = lease.parts().into_iter().map(|(_, token)| token).collect();
        let Some(lease) = Arc::into_inner(lease) else { return };
        if let Grant::Office(term) = lease {
            return self.leave_office(attempt, term, ends).await;
        }
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
                // Of this grant: one of an earlier claim that was given up as unknown is left to its TTL.
                let is_own = |entry| {
                    crate::checks::records::grant(entry)
                        .is_some_and(|(owner, token)| owner == attempt && tokens.contains(&token))
                };
                if state.history.all().any(is_own) && !state.checks.causes.ever("regress") {
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
                        tokens.iter().any(|token| state.checks.is_broken(*token))
                            || state.checks.causes.ever("recreate")
                            || state.checks.causes.ever("regress")
                    }
                    _ => true,
                };
                let calm = !state
                    .checks
                    .causes
                    .troubled(Some(self.by.index), at.saturating_sub(Duration::from_secs(30)));
                if !allowed || (calm && !tokens.iter().any(|token| state.checks.is_broken(*token))) {
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
fn fenced(sim: &Sim, attempt: &str, lease: &Grant) {
    let at = sim.at();
    let believes = lease.believes();
    let mut state = sim.lock();
    let accepted = state.checks.fenced(at, attempt, believes);
    if accepted {
        state.counts.fence_accepted += 1;
    } else {
        state.counts.fence_refused += 1;
        state.note(at, "fence", format_args!("refuses {attempt}"));
    }
}

/// Says or writes something under the lease. That it was refused is no fault: it may be lost by now.
async fn say(sim: &Sim, attempt: &str, lease: &Lease, aloud: bool) {
    let (at, name) = (sim.at(), lease.name().to_owned());
    let outcome = match aloud {
        true => lease.set_value(&format!("{attempt} at {at:?}")).await,
        false => lease.put(&name, format!("{attempt} at {at:?}")).await,
    };
    sim.note("user", format_args!("{attempt} says or writes something: {outcome:?}"));
    // Readers and permits are held by many at once, who write over each other's values.
    let kind = sim.lock().profile.kind;
    if !aloud && outcome.is_ok() && matches!(kind, Kind::Together | Kind::Election) {
        let read = lease.get(&name).await;
        if let Ok(Some(read)) = &read {
            let text = String::from_utf8_lossy(&read.value).into_owned();
            let mut state = sim.lock();
            if !text.starts_with(&format!("{attempt} at")) && lease.token() >= read.token {
                let now = at;
                let what = format!("{attempt} wrote {name} and reads {text:?} of an earlier grant");
                if !state.checks.causes.ever("regress") && !state.checks.causes.ever("recreate") {
                    state.checks.violation(now, "guarded write", what);
                }
            }
        }
    }
}

fn one(answer: Result<Attempt, Error>) -> Result<Result<Grant, String>, Error> {
    answer.map(|answer| match answer {
        Attempt::Granted(lease) => Ok(Grant::One(lease)),
        Attempt::Held(by) => Err(by.map(|by| by.owner).unwrap_or_default()),
    })
}

async fn abandoned<T>(limit: Duration, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(limit, asked).await.unwrap_or(Err(Error::Unknown("the user has gone")))
}

async fn watched(wait: Result<lease::Waiting, Error>) -> Result<Attempt, Error> {
    let mut wait = wait?;
    let place = wait.ahead();
    let answer = wait.granted().await;
    drop(place);
    answer
}
