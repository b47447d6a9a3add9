//! Locks through a daemon: the client's side of the socket API.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use hyper::Method;
use lease::{Ambient, Loss, Moment, Name, System};

use super::exit::Exit;
use super::http::{Answer, Cut, send, silent};
use super::source::{Hold, News, Refusal, Step, Wanted};
use crate::keeper::GRACE;
use crate::wire::{Code, Event, HoldRequest, Lease, Lock, Problem, Span};

/// How long a daemon may take for what needs no waiting: longer than its own patience with a store that is silent.
const ANSWER: Duration = Duration::from_secs(20);

/// How long a daemon that is stopping keeps the lease for a client at work; less what the way of that news took.
const KEPT: Duration = GRACE.saturating_sub(Duration::from_secs(1));

/// A daemon, behind its socket.
#[derive(Clone, Debug)]
pub(super) struct Daemon {
    socket: PathBuf,
}

impl Daemon {
    /// The daemon behind `socket`; nothing is sent yet.
    pub(super) fn at(socket: PathBuf) -> Daemon {
        // Absolute, because the command that is told of it may change its directory.
        Daemon { socket: std::path::absolute(&socket).unwrap_or(socket) }
    }

    /// Asks for a lock.
    pub(super) fn queue(&self, wanted: Wanted) -> DaemonLine {
        let socket = self.socket.clone();
        let target = format!("/v1/locks/{}/hold", encode(wanted.name.as_str()));
        let request = HoldRequest {
            ttl: Some(Span(wanted.ttl)),
            wait: wanted.wait.map(Span),
            metadata: Some(wanted.metadata.clone()).filter(|metadata| !metadata.is_empty()),
            ..HoldRequest::default()
        };
        // Strings and numbers always encode.
        let body = serde_json::to_string(&request).unwrap_or_default();
        let opening = async move { send(&socket, Method::POST, &target, body).await };
        let until = wanted.wait.map(|limit| System.now() + limit + ANSWER);
        DaemonLine { socket: self.socket.clone(), wanted, until, state: State::Opening(Box::pin(opening)) }
    }

    /// Looks at one lock.
    pub(super) async fn look(&self, name: &Name) -> Result<Lock, Refusal> {
        let answer = self.ask(Method::GET, &format!("/v1/locks/{}", encode(name.as_str()))).await?;
        parse(&answer.whole(ANSWER).await?)
    }

    /// The locks that are held.
    pub(super) async fn list(&self, filter: &str) -> Result<Vec<Lock>, Refusal> {
        let mut answer = self.ask(Method::GET, &format!("/v1/locks?filter={}", encode(filter))).await?;
        let mut locks = Vec::new();
        loop {
            match tokio::time::timeout(ANSWER, answer.line()).await {
                Ok(Ok(Some(line))) => locks.push(parse(&line)?),
                Ok(Ok(None)) => return Ok(locks),
                Ok(Err(Cut(why))) => return Err(Refusal::unavailable(why)),
                Err(_) => return Err(silent(&self.socket, ANSWER)),
            }
        }
    }

    /// One request that is answered without waiting for anybody.
    async fn ask(&self, method: Method, target: &str) -> Result<Answer, Refusal> {
        let answer = tokio::time::timeout(ANSWER, send(&self.socket, method, target, String::new())).await;
        let answer = answer.unwrap_or_else(|_| Err(silent(&self.socket, ANSWER)))?;
        if answer.status().is_success() { Ok(answer) } else { Err(refusal(answer, None).await) }
    }
}

/// A place in line behind a daemon.
pub(super) struct DaemonLine {
    socket: PathBuf,
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

impl fmt::Debug for DaemonLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DaemonLine")
            .field("socket", &self.socket)
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

impl DaemonLine {
    /// Waits for the next thing to happen. Cancel-safe.
    pub(super) async fn next(&mut self) -> Step {
        let silence = match self.until {
            Some(until) => futures_util::future::Either::Left(lease::sleep_until(&System, until)),
            None => futures_util::future::Either::Right(std::future::pending()),
        };
        let socket = self.socket.clone();
        tokio::select! {
            biased;
            step = self.step() => step,
            () = silence => Step::Refused(silent(&socket, ANSWER)),
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
                    Ok(Event::Waiting { ahead }) => return Step::Ahead(ahead),
                    Ok(Event::Held(lease)) => return self.held(lease),
                    Ok(Event::Timeout { holder }) => Refusal::busy(&self.wanted, holder.as_ref()),
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
                let socket = self.socket.clone();
                Step::Held(Hold::Daemon(DaemonHold {
                    socket,
                    id: lease.lease,
                    token: lease.what.token().unwrap_or_default(),
                    deadline,
                    answer,
                    over: false,
                }))
            }
            State::Opening(_) | State::Over => {
                Step::Refused(Refusal::unavailable("the daemon granted too late"))
            }
        }
    }
}

/// A lease behind a daemon.
#[derive(Debug)]
pub(super) struct DaemonHold {
    socket: PathBuf,
    /// The lease's id in the daemon.
    id: String,
    token: u64,
    deadline: Moment,
    /// Its end tells the daemon that we have gone, so it is kept until nothing works under the lease any more.
    answer: Answer,
    over: bool,
}

impl DaemonHold {
    /// The fencing token.
    pub(super) fn token(&self) -> u64 {
        self.token
    }

    /// Until when the grant itself holds.
    pub(super) fn deadline(&self) -> Moment {
        self.deadline
    }

    /// The daemon's socket.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
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
                    let kept = (reason == Loss::Draining.code()).then_some(KEPT);
                    return News::Lost { why: detail.unwrap_or(reason), kept };
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

    /// Gives the lease back and waits until the daemon says that it has been, so that whoever runs next finds it free.
    /// Without that word, closing the connection gives it back as well, a little later.
    pub(super) async fn release(self, within: Duration) -> Result<(), String> {
        if self.over {
            // Lost, or the daemon has gone: nothing to give back.
            return Ok(());
        }
        let daemon = Daemon { socket: self.socket.clone() };
        let target = format!("/v1/leases/{}", encode(&self.id));
        match tokio::time::timeout(within, daemon.ask(Method::DELETE, &target)).await {
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

/// What a refusal says, whatever form it has.
async fn refusal(answer: Answer, wanted: Option<&Wanted>) -> Refusal {
    let status = answer.status();
    let body = match answer.whole(ANSWER).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    match (serde_json::from_slice::<Problem>(&body), wanted) {
        (Ok(problem), Some(wanted)) if matches!(problem.code, Code::Held | Code::WaitElapsed) => {
            Refusal::busy(wanted, problem.holder.as_deref())
        }
        // A policy's refusal, by whatever code.
        (Ok(problem), _) if problem.status == 403 => Refusal::new(Exit::DENIED, problem.detail),
        (Ok(problem), _) => Refusal::new(exit_for(problem.code), problem.detail),
        (Err(_), _) => Refusal::unavailable(format!("the daemon answers {status}")),
    }
}

fn exit_for(code: Code) -> Exit {
    match code {
        Code::Held | Code::WaitElapsed => Exit::BUSY,
        Code::StoreDenied => Exit::DENIED,
        // Bounds that were reached are not "busy": with `-n -E 0` that would pass for somebody else at work.
        code if code.status() == 400 || code == Code::BodyTooLarge => Exit::USAGE,
        _ => Exit::UNAVAILABLE,
    }
}

fn parse<T: serde::de::DeserializeOwned>(text: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(text)
        .map_err(|error| Refusal::unavailable(format!("the daemon says what makes no sense: {error}")))
}

/// Percent-encodes everything that could have a meaning in a path or a query.
fn encode(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_segment_of_a_path() {
        assert_eq!(encode("orders/42.a=b_-"), "orders%2F42.a%3Db_-");
        assert_eq!(encode("a.*.>"), "a.%2A.%3E");
    }

    #[test]
    fn a_deadline_on_another_clock_is_bounded() {
        let far = believable(u64::MAX, Span(Duration::from_secs(5)));
        assert!(System.now().until(far) <= Duration::from_secs(5));
    }

    #[test]
    fn only_another_holder_is_busy() {
        let busy: Vec<_> = Code::ALL.iter().filter(|code| exit_for(**code) == Exit::BUSY).collect();
        assert_eq!(busy, [&Code::Held, &Code::WaitElapsed]);
        assert_eq!(exit_for(Code::InvalidName), Exit::USAGE);
        assert_eq!(exit_for(Code::TooManyWaiters), Exit::UNAVAILABLE);
    }
}
