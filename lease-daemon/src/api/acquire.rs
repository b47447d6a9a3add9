//! Acquiring: a lease that the caller renews, or that lives and dies with a process.

use std::time::Duration;

use axum::response::Response;

use super::answer::leased;
use super::ask::{Question, held};
use crate::app::{self, App};
use crate::attempts::{Key, Turn};
use crate::held::RenewedBy;
use crate::peer::Connection;
use crate::wire::{Code, Problem};

/// Acquires what is asked for; if it is bound to a process, the daemon renews it until that has ended.
///
/// A connection that is dropped while it waits leaves the line. If it is dropped after the grant and before the
/// answer was read, the lease is released, unless an `attempt` was given: then a repeat gets it, within its TTL.
pub(super) async fn acquire(
    app: &App,
    connection: &Connection,
    mut question: Question,
    attempt: Option<String>,
    bind_pid: Option<u32>,
) -> Result<Response, Problem> {
    let process = bind_pid.map(|pid| app.bound.to(&connection.peer, pid)).transpose()?;
    let uid = connection.peer.uid;
    let scope = question.scope.clone();
    let key = attempt.map(|attempt| Key::new(uid, &question.attempts_at(), &attempt)).transpose()?;
    let _seat = app.holders.seat(uid, question.lines())?;
    let turn = match key {
        Some(key) => Some(own_turn(app, key, &mut question, &scope).await?),
        None => None,
    };
    if let Some(id) = turn.as_ref().and_then(Turn::earlier)
        && app.holders.remembers(id)
    {
        let held = app.holders.find(id, uid).map_err(|problem| ended(problem, &scope))?;
        return Ok(leased(&held));
    }
    let held = match process {
        None => {
            let mut wait = question.renewed_by_client().put(app)?;
            app.holders.add(uid, RenewedBy::Client, wait.outcome().await?)?
        }
        Some(process) => {
            let mut wait = question.put(app)?;
            let grip = tokio::select! {
                biased;
                () = process.ended() => return Err(process.gone()),
                outcome = wait.outcome() => outcome?,
            };
            let held = app.holders.add(uid, RenewedBy::Daemon, grip)?;
            process.keeps(&app.holders, &held);
            held
        }
    };
    match turn {
        Some(turn) => turn.granted(&held.id),
        None => connection.grants(&held.id),
    }
    Ok(leased(&held))
}

/// Waits until no other request of the same attempt is under way, and takes that off the time to wait.
async fn own_turn(app: &App, key: Key, question: &mut Question, name: &str) -> Result<Turn, Problem> {
    let began = app::now();
    let turn = app.attempts.turn(key, &app.holders);
    let at_most = question.limit.unwrap_or(Duration::MAX);
    let turn = tokio::select! {
        biased;
        turn = tokio::time::timeout(at_most, turn) => turn,
        () = app.draining.cancelled() => return Err(app::draining()),
    };
    let turn = turn.map_err(|_| held(name, at_most.is_zero(), None))?;
    question.limit = question.limit.map(|limit| limit.saturating_sub(app::now().since(began)));
    Ok(turn)
}

/// An attempt whose lease was released must not take the lock again by a repeat that comes late.
fn ended(problem: Problem, name: &str) -> Problem {
    if problem.code == Code::UnknownLease {
        let detail =
            format!("this attempt at {name} was granted, and its lease released; a new one needs a new id");
        return Problem::new(Code::AttemptEnded, detail);
    }
    problem
}
