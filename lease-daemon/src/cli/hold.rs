//! The client's side of the streams that hold something.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use hyper::Method;
use lease::{Ambient, Loss, Moment, System};
use serde_json::json;

use super::exit::Exit;
use super::http::{Answer, Cut, send, silent};
use super::server::Server;
use super::source::{ANSWER, Refusal, Source, encode, exit_for, refusal};
use super::wanted::Wanted;
use crate::wire::{Code, Event, Grant, Lease, Span};

/// A place in line.
pub(super) struct Line {
    server: Server,
    wanted: Wanted,
    /// When a daemon that was given a limit has overstepped it by too much to be alive.
    until: Option<Moment>,
    state: State,
}

type Opening = Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send>>;

enum State {
    Opening(Opening),
    Open(Answer),
    Over,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("server", &self.server)
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

impl Line {
    /// Gets in line. Dropping the line leaves it.
    pub(super) fn join(server: Server, wanted: Wanted) -> Line {
        let (target, body) = wanted.request(&server);
        let at = server.clone();
        let opening = async move { send(&at, Method::POST, &target, body).await };
        let until = wanted.wait.map(|limit| System.now() + limit + ANSWER);
        Line { server, wanted, until, state: State::Opening(Box::pin(opening)) }
    }

    /// Waits for the next thing to happen. Cancel-safe.
    pub(super) async fn next(&mut self) -> Step {
        let silence = match self.until {
            Some(until) => futures_util::future::Either::Left(lease::sleep_until(&System, until)),
            None => futures_util::future::Either::Right(std::future::pending()),
        };
        let server = self.server.clone();
        tokio::select! {
            biased;
            step = self.step() => step,
            () = silence => Step::Refused(silent(&server, ANSWER)),
        }
    }

    async fn step(&mut self) -> Step {
        loop {
            let refused = match &mut self.state {
                State::Opening(opening) => match opening.await {
                    Ok(answer) if answer.status().is_success() => {
                        self.state = State::Open(answer);
                        continue;
                    }
                    Ok(answer) => refusal(answer, Some(&self.wanted)).await,
                    Err(refusal) => refusal,
                },
                State::Open(answer) => match next_event(answer).await {
                    Ok(Event::Waiting { ahead } | Event::Candidate { ahead, .. }) => {
                        return Step::Ahead(ahead);
                    }
                    Ok(Event::Held(lease) | Event::Elected(lease) | Event::Joined(lease)) => {
                        return self.held(lease);
                    }
                    Ok(Event::Timeout { holder }) => self.wanted.busy(holder.as_ref()),
                    Ok(Event::Lost { reason, detail }) => {
                        let text = detail.unwrap_or_else(|| reason.clone());
                        let code = Code::ALL.iter().find(|code| code.as_str() == reason);
                        Refusal::new(code.map_or(Exit::UNAVAILABLE, |code| exit_for(*code)), text)
                    }
                    Ok(_) => continue,
                    Err(Cut(why)) => Refusal::unavailable(format!("lost the place in line: {why}")),
                },
                State::Over => return std::future::pending().await,
            };
            self.state = State::Over;
            return Step::Refused(refused);
        }
    }

    fn held(&mut self, lease: Lease) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Open(answer) => {
                let deadline = believable(lease.deadline_boottime_ns, lease.expires_in);
                let server = self.server.clone();
                Step::Held(Hold {
                    server,
                    id: lease.lease,
                    what: lease.what,
                    deadline,
                    answer,
                    over: false,
                    kept: false,
                })
            }
            State::Opening(_) | State::Over => {
                Step::Refused(Refusal::unavailable("the daemon granted too late"))
            }
        }
    }
}

/// A lease that is held, and renewed by somebody else than its user.
#[derive(Debug)]
pub(super) struct Hold {
    server: Server,
    /// The lease's id in the daemon.
    id: String,
    what: Grant,
    deadline: Moment,
    /// Its end tells the daemon that we have gone, so it is kept until nothing works under the lease any more.
    answer: Answer,
    /// There will be no more news.
    over: bool,
    /// It is lost because the daemon stops, which keeps it from others until it is given back.
    kept: bool,
}

impl Hold {
    /// What is held, with its tokens.
    pub(super) fn what(&self) -> &Grant {
        &self.what
    }

    /// The lease's id in the daemon.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Until when the grant itself holds.
    pub(super) fn deadline(&self) -> Moment {
        self.deadline
    }

    /// The socket of the daemon that holds it.
    pub(super) fn socket(&self) -> Option<&Path> {
        self.server.socket()
    }

    /// Whether it is lost, or nobody is left who would say so.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Waits for news. Cancel-safe.
    pub(super) async fn news(&mut self) -> News {
        while !self.over {
            match next_event(&mut self.answer).await {
                Ok(Event::Alive { expires_in, deadline_boottime_ns }) => {
                    return News::Alive(believable(deadline_boottime_ns, expires_in));
                }
                Ok(Event::Lost { reason, detail }) => {
                    self.over = true;
                    self.kept = reason == Loss::Draining.code();
                    return News::Lost(detail.unwrap_or(reason));
                }
                Ok(_) => {}
                Err(Cut(why)) => {
                    self.over = true;
                    return News::Silence(why);
                }
            }
        }
        std::future::pending().await
    }

    /// Gives the lease back, now that nothing works under it any more, and waits until the daemon says that it has been,
    /// so that whoever runs next finds it free. Without that word, closing the connection gives it back as well, a little
    /// later.
    ///
    /// # Errors
    /// With a message, if it is not known to be free: then its TTL frees it.
    pub(super) async fn release(self, within: Duration) -> Result<(), String> {
        if self.over && !self.kept {
            // Lost, or the daemon has gone: nothing to give back.
            return Ok(());
        }
        let target = format!("/v1/leases/{}", encode(&self.id));
        let stopped = json!({ "why": "stopped" });
        let source = Source { server: self.server.clone() };
        match tokio::time::timeout(within, source.ask(Method::DELETE, &target, Some(&stopped))).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(refusal)) => Err(refusal.text),
            Err(_) => Err(format!("no answer for {within:?}")),
        }
    }
}

/// The daemon's deadline, on the clock that it shares with us. Bounded by how much time it says is left, in case it
/// runs in a time namespace of its own, whose clock is another.
fn believable(deadline_boottime_ns: u64, expires_in: Span) -> Moment {
    Moment::from_nanos(deadline_boottime_ns).min(System.now() + expires_in.0)
}

async fn next_event(answer: &mut Answer) -> Result<Event, Cut> {
    match answer.line().await? {
        Some(line) => serde_json::from_slice(&line)
            .map_err(|error| Cut(format!("the daemon says what makes no sense: {error}"))),
        None => Err(Cut("the daemon closed the connection".into())),
    }
}

/// What happens in line.
#[derive(Debug)]
pub(super) enum Step {
    /// So many are ahead.
    Ahead(usize),
    /// Granted.
    Held(Hold),
    /// Not granted, and the line is over.
    Refused(Refusal),
}

/// What becomes known of a lease while it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A renewal was confirmed: it holds until then.
    Alive(Moment),
    /// It is lost, for this reason.
    Lost(String),
    /// There will be no more news, for this reason: it holds until the last deadline that was told.
    Silence(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_on_another_clock_is_bounded() {
        let far = believable(u64::MAX, Span(Duration::from_secs(5)));
        assert!(System.now().until(far) <= Duration::from_secs(5));
    }
}
