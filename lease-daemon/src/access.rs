//! The policy at work: every request is asked about before it does anything, and every refusal is on record.
//!
//! The policy can be replaced while the daemon runs. The new one decides every request that comes after it, and those
//! that wait: whoever may not have what it waits for any more leaves the line and is told `denied`. A watch of many
//! names goes on with those that may still be observed; one of a single name ends if that may not. What is held stays
//! held, and can be renewed, until its holder lets go or it is broken: a lock is never taken from under its work.

use std::sync::Arc;

use lease::{Filter, Name};
use tokio::sync::watch;

use crate::audit::Audit;
use crate::peer::Peer;
use crate::policy::{Operation, Policy};
use crate::wire::{Code, Problem};

/// The policy that counts, and the record of what it denied.
#[derive(Debug)]
pub struct Access {
    policy: watch::Sender<Arc<Policy>>,
    audit: Audit,
}

impl Access {
    /// Begins with `policy`.
    pub fn new(policy: Policy) -> Access {
        Access { policy: watch::Sender::new(Arc::new(policy)), audit: Audit::default() }
    }

    /// From now on `policy` counts.
    pub fn replace(&self, policy: Policy) {
        self.policy.send_replace(Arc::new(policy));
    }

    /// The policy that counts now.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.borrow())
    }

    /// Whether `peer` may do this with that name. A refusal is audited.
    ///
    /// # Errors
    /// `denied`.
    pub fn check(&self, peer: &Peer, operation: Operation, name: &str) -> Result<(), Problem> {
        let allowed = self.policy.borrow().allows(peer, operation, name);
        allowed.map_err(|denied| self.refuse(peer, operation, name, denied.as_str()))
    }

    /// Whether there is anything that `peer` may see of a list or a watch of the names that match a filter, which may be a
    /// name itself. A refusal is audited.
    ///
    /// # Errors
    /// `denied`.
    pub fn check_many(&self, peer: &Peer, filter: &str) -> Result<(), Problem> {
        if Name::new(filter).is_ok() {
            return self.check(peer, Operation::Observe, filter);
        }
        if self.policy.borrow().shows_anything(peer) {
            return Ok(());
        }
        Err(self.refuse(peer, Operation::Observe, filter, "no rule about this user lets it observe any name"))
    }

    /// Whether `peer` may do this with whatever name there is. A refusal is audited.
    ///
    /// # Errors
    /// `denied`.
    pub fn check_all(&self, peer: &Peer, operation: Operation) -> Result<(), Problem> {
        let allowed = self.policy.borrow().allows_all(peer, operation);
        allowed.map_err(|denied| self.refuse(peer, operation, Filter::all().as_str(), denied.as_str()))
    }

    fn refuse(&self, peer: &Peer, operation: Operation, name: &str, why: &str) -> Problem {
        self.audit.denied(peer, operation, name, why);
        let detail = format!(
            "user {} may not {operation} {name}: the policy in the daemon's configuration does not allow it",
            peer.uid
        );
        Problem::new(Code::Denied, detail)
    }

    /// What `peer` was allowed to do with `names`, as long as it is.
    pub fn permit(self: &Arc<Self>, peer: &Peer, operation: Operation, names: Vec<String>) -> Permit {
        let changes = self.policy.subscribe();
        Permit { access: Arc::clone(self), peer: peer.clone(), operation, names, changes }
    }
}

/// Leave to do something, which a new policy may withdraw.
#[derive(Debug)]
pub struct Permit {
    access: Arc<Access>,
    peer: Peer,
    operation: Operation,
    names: Vec<String>,
    changes: watch::Receiver<Arc<Policy>>,
}

impl Permit {
    /// Whether it stands now.
    ///
    /// # Errors
    /// `denied`.
    pub fn check(&self) -> Result<(), Problem> {
        self.names.iter().try_for_each(|name| self.access.check(&self.peer, self.operation, name))
    }

    /// Waits until it is withdrawn, perhaps for ever, and gives the refusal. Cancel-safe.
    pub async fn withdrawn(&mut self) -> Problem {
        loop {
            if self.changes.changed().await.is_err() {
                // There is nobody left to change it.
                std::future::pending::<()>().await;
            }
            if let Err(problem) = self.check() {
                return problem;
            }
        }
    }
}
