//! Holding: a lock, an office, a membership that lasts as long as the connection stays.
//!
//! ```text
//!   asked ──► waiting ──► held ──► alive, alive, …
//!     │          │          │         │
//!     ▼          ▼          ▼         ▼
//!    4xx      timeout     lost      lost          and whenever the client hangs up: released
//! ```
//!
//! The stream is a state machine that hyper polls. It is dropped as soon as the client is gone, and dropping it is
//! what leaves the line or releases the lock. A crash and an orderly close of a Unix socket look the same, so the next
//! holder is told `client-gone` of both.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use lease::{Moment, sleep_until};
use tokio::sync::watch;

use super::answer::lines;
use super::ask::{Question, Refusal, Wait};
use crate::app::{self, App, CLOCK};
use crate::beats::Heart;
use crate::candidates::Candidacy;
use crate::held::{Fate, Held, RenewedBy};
use crate::keeper::is_kept;
use crate::peer::Connection;
use crate::seats::Seat;
use crate::unread::{Patience, Spared};
use crate::wire::{Code, Event, Lease, Problem, Span};

/// The time between two `waiting` events.
const WAITING_PACE: Duration = Duration::from_secs(1);

/// The shortest heartbeat: each costs both sides a system call.
const SHORTEST_BEAT: Duration = Duration::from_secs(1);

/// The heartbeat that a client promises, if it makes sense beside its ttl: a client that hangs is to be noticed no later
/// than a host that is gone.
pub(super) fn heartbeat(asked: Option<Span>, ttl: Option<Span>) -> Result<Option<Duration>, Problem> {
    let Some(every) = asked else { return Ok(None) };
    let ttl = ttl.map_or(lease::DEFAULT_TTL, Duration::from);
    if every.0 < SHORTEST_BEAT || every.0 > ttl {
        let detail =
            format!("heartbeat {every}: allowed is {} to the ttl, {}", Span(SHORTEST_BEAT), Span(ttl));
        return Err(Problem::new(Code::InvalidHeartbeat, detail));
    }
    Ok(Some(every.0))
}

/// What the events are called.
#[derive(Debug)]
pub(super) enum Words {
    /// `waiting`, `held`.
    Lock,
    /// `candidate`, `elected`.
    Office(Candidacy),
    /// `joined`.
    Group,
}

/// Holds what is asked for, for a connection, and as long as its client keeps its promise of a `heartbeat`.
pub(super) async fn hold(
    app: Arc<App>,
    connection: &Connection,
    question: Question,
    words: Words,
    heartbeat: Option<Duration>,
) -> Result<Response, Problem> {
    let uid = connection.peer.uid;
    let heart = connection.promises(heartbeat);
    let seat = app.holders.seat(uid, question.lines())?;
    let mut wait = question.put(&app)?;
    let mut ahead = wait.ahead();
    // Nothing is streamed before there is news: until then a refusal is a plain one, with a status.
    let phase = tokio::select! {
        biased;
        outcome = wait.outcome() => {
            let held = app.holders.add(uid, RenewedBy::Daemon, outcome?)?;
            Phase::Granted(Client::new(&app, held, &connection.patience))
        }
        () = known(&mut ahead) => Phase::Waiting(InLine { wait, ahead, said: None, _seat: seat }),
    };
    Ok(stream(Stream { app, uid, phase, words, heart, patience: connection.patience.clone() }))
}

/// Goes on holding what was granted, for a connection.
pub(super) fn holding(
    app: Arc<App>,
    connection: &Connection,
    held: Arc<Held>,
    words: Words,
    heart: Option<Heart>,
) -> Response {
    let patience = connection.patience.clone();
    let (uid, phase) = (held.uid, Phase::Granted(Client::new(&app, held, &patience)));
    stream(Stream { app, uid, phase, words, heart, patience })
}

fn stream(stream: Stream) -> Response {
    lines(futures_util::stream::unfold(stream, |mut stream| async move {
        let event = stream.next().await?;
        Some((event, stream))
    }))
}

/// The stream of one `hold`.
struct Stream {
    app: Arc<App>,
    uid: u32,
    phase: Phase,
    words: Words,
    heart: Option<Heart>,
    patience: Patience,
}

enum Phase {
    /// In line.
    Waiting(InLine),
    /// Granted, and not told yet.
    Granted(Client),
    /// Held.
    Holding(Client, watch::Receiver<Moment>, watch::Receiver<Option<Fate>>),
    /// Told that the daemon is stopping, or that it was broken by force, and kept until the client lets go.
    LettingGo(Client),
    /// Told that it counts as dead.
    Silent(Client),
    /// Nothing more will be said.
    Over,
}

struct InLine {
    wait: Wait,
    ahead: watch::Receiver<Option<usize>>,
    /// What was said last, and when.
    said: Option<(usize, Moment)>,
    _seat: Seat,
}

/// The client that a lock is held for. When this is dropped, the client is gone.
struct Client {
    app: Arc<App>,
    held: Arc<Held>,
    /// It need not read what it is told, as long as it holds something.
    _spared: Spared,
}

impl Client {
    fn new(app: &Arc<App>, held: Arc<Held>, patience: &Patience) -> Client {
        Client { app: Arc::clone(app), held, _spared: patience.spare() }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.app.holders.client_gone(&self.held);
    }
}

impl Stream {
    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        if let Phase::Waiting(line) = &mut self.phase {
            let outcome = tokio::select! {
                biased;
                outcome = line.wait.outcome() => outcome,
                ahead = place(&mut line.ahead, line.said) => {
                    line.said = Some((ahead, app::now()));
                    return Some(self.words.waiting(ahead));
                }
                () = stopped(self.heart.as_ref()) => {
                    self.phase = Phase::Over;
                    return Some(silent());
                }
            };
            // Leaves the line, and gives the seat to another.
            self.phase = Phase::Over;
            let grip = match outcome {
                Ok(grip) => grip,
                Err(Refusal::Held(_, holder)) => return Some(Event::Timeout { holder }),
                Err(Refusal::Other(problem)) => return Some(failed(problem)),
            };
            match self.app.holders.add(self.uid, RenewedBy::Daemon, grip) {
                Ok(held) => self.phase = Phase::Granted(Client::new(&self.app, held, &self.patience)),
                Err(problem) => return Some(failed(problem)),
            }
        }
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Granted(client) => {
                let event = self.words.granted(client.held.view());
                let (deadline, fate) = (client.held.watch_deadline(), client.held.watch_fate());
                self.phase = Phase::Holding(client, deadline, fate);
                Some(event)
            }
            Phase::Holding(client, mut deadline, mut fate) => {
                let ended = tokio::select! {
                    biased;
                    () = stopped(self.heart.as_ref()) => {
                        self.phase = Phase::Silent(client);
                        return Some(silent());
                    }
                    // A keeper that is gone without a word was dropped with the daemon.
                    ended = fate.wait_for(Option::is_some) => {
                        ended.ok().and_then(|fate| fate.clone()).or(Some(Fate::Released))
                    }
                    // After a pause of the whole process the news of a renewal may be older than its deadline.
                    Ok(()) = deadline.changed() => client.held.fate(),
                };
                match ended {
                    None => {
                        let event = alive(&client.held);
                        self.phase = Phase::Holding(client, deadline, fate);
                        Some(event)
                    }
                    Some(Fate::Lost(loss)) => {
                        if is_kept(&loss) {
                            self.phase = Phase::LettingGo(client);
                        }
                        Some(lost(loss.code(), loss.to_string()))
                    }
                    Some(Fate::Released) => {
                        Some(lost("released", "its lease was released by its id".to_owned()))
                    }
                    Some(Fate::HandedOver) => {
                        Some(lost("handed-over", "it was handed over by its lease's id".to_owned()))
                    }
                }
            }
            Phase::LettingGo(client) => {
                tokio::select! {
                    () = client.held.gone() => {}
                    () = stopped(self.heart.as_ref()) => {}
                }
                None
            }
            // What it was told is on its way before anybody else can be granted the lock.
            Phase::Silent(_client) => {
                tokio::task::yield_now().await;
                None
            }
            Phase::Waiting(_) | Phase::Over => None,
        }
    }
}

impl Words {
    fn waiting(&self, ahead: usize) -> Event {
        match self {
            Words::Lock | Words::Group => Event::Waiting { ahead },
            Words::Office(candidacy) => Event::Candidate { ahead, candidate: candidacy.id.clone() },
        }
    }

    /// A candidacy ends with the election.
    fn granted(&mut self, lease: Lease) -> Event {
        match std::mem::replace(self, Words::Lock) {
            Words::Lock => Event::Held(lease),
            Words::Office(_) => Event::Elected(lease),
            Words::Group => Event::Joined(lease),
        }
    }
}

/// Waits until the place in line is known.
async fn known(ahead: &mut watch::Receiver<Option<usize>>) {
    if ahead.wait_for(Option::is_some).await.is_err() {
        // The wait has its outcome, and that is the news.
        std::future::pending().await
    }
}

/// Waits until there is a place to tell that was not told last, and at least a second has passed since that.
async fn place(ahead: &mut watch::Receiver<Option<usize>>, said: Option<(usize, Moment)>) -> usize {
    if let Some((_, at)) = said {
        sleep_until(&CLOCK, at + WAITING_PACE).await;
    }
    let told = said.map(|(told, _)| told);
    let news = ahead.wait_for(|ahead| ahead.is_some() && *ahead != told).await.ok().and_then(|ahead| *ahead);
    match news {
        Some(ahead) => ahead,
        // The wait has its outcome, and that is the news.
        None => std::future::pending().await,
    }
}

/// Waits until the client is not heard any more that promised to be.
async fn stopped(heart: Option<&Heart>) {
    match heart {
        Some(heart) => heart.stopped().await,
        None => std::future::pending().await,
    }
}

fn silent() -> Event {
    lost("heartbeat", "nothing was heard of the client for longer than its heartbeat".to_owned())
}

fn alive(held: &Held) -> Event {
    let deadline = held.deadline();
    Event::Alive { expires_in: app::now().until(deadline).into(), deadline_boottime_ns: deadline.as_nanos() }
}

fn failed(problem: Problem) -> Event {
    lost(problem.code.as_str(), problem.detail)
}

fn lost(reason: &str, detail: String) -> Event {
    Event::Lost { reason: reason.to_owned(), detail: Some(detail) }
}
