//! Who waits for an answer on one connection, and what they are told when none will come.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::nats_call::Failure;

/// What comes in for one request. It ends when the connection does.
pub(super) type Incoming<M> = mpsc::UnboundedReceiver<Result<M, Failure>>;

/// The requests of one connection that wait for an answer.
pub(super) struct Waiting<M> {
    requests: Mutex<BTreeMap<u64, Request<M>>>,
    next: AtomicU64,
    over: CancellationToken,
    deaf: OnceLock<String>,
    /// The server's last word that concerned nobody.
    complaint: Mutex<String>,
}

struct Request<M> {
    subjects: Vec<String>,
    answers: mpsc::UnboundedSender<Result<M, Failure>>,
}

impl<M> Default for Waiting<M> {
    fn default() -> Waiting<M> {
        Waiting {
            requests: Mutex::default(),
            next: AtomicU64::new(0),
            over: CancellationToken::new(),
            deaf: OnceLock::new(),
            complaint: Mutex::default(),
        }
    }
}

impl<M> Waiting<M> {
    fn requests(&self) -> MutexGuard<'_, BTreeMap<u64, Request<M>>> {
        // Nothing panics while it is held, so poison is no reason to fail.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancelled once the connection is over.
    pub(super) fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Begins to wait for the answers to a request that goes to these subjects, until [`forget`](Waiting::forget). The
    /// token has not been used before.
    pub(super) fn wait(&self, subjects: Vec<String>) -> (u64, Incoming<M>) {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        let (answers, incoming) = mpsc::unbounded_channel();
        self.requests().insert(token, Request { subjects, answers });
        (token, incoming)
    }

    /// Whoever waited does not any more.
    pub(super) fn forget(&self, token: u64) {
        self.requests().remove(&token);
    }

    /// An answer has come. If nobody waits for it any more, it is dropped.
    pub(super) fn answer(&self, token: u64, answer: M) {
        if let Some(request) = self.requests().get(&token) {
            let _ = request.answers.send(Ok(answer));
        }
    }

    /// The server's no to a publish or a subscription, which comes on its own some time later, naming the subject.
    /// It concerns those who wait now and sent to just that subject, among others or not; or everybody, if it is the inbox that is refused.
    pub(super) fn refused(&self, text: &str, inbox: &str) {
        let quotes = |subject: &str| text.contains(&format!("\"{subject}\""));
        let deaf = quotes(&format!("{inbox}.*"));
        if deaf {
            let _ = self.deaf.set(text.to_owned());
        }
        let mut told = false;
        for request in self.requests().values() {
            if deaf || request.subjects.iter().any(|subject| quotes(subject)) {
                let failure = if deaf { Failure::Deaf } else { Failure::Denied };
                told |= request.answers.send(Err(failure(text.to_owned()))).is_ok();
            }
        }
        if !told && self.is_news(text) {
            tracing::warn!(error = text, "the NATS server complains");
        }
    }

    /// Whether this is not what was said last: a server that lets nobody in any more says so at every attempt of the
    /// client, many times a second.
    fn is_news(&self, text: &str) -> bool {
        let mut last = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *last != text;
        if news {
            text.clone_into(&mut last);
        }
        news
    }

    /// What no answer in time means.
    pub(super) fn silence(&self) -> Failure {
        self.deaf.get().map_or(Failure::Silence, |text| Failure::Deaf(text.clone()))
    }

    /// The connection is over: nobody need wait any longer.
    pub(super) fn end(&self) {
        self.over.cancel();
        self.requests().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_to_who_waits_and_to_nobody_else() {
        let waiting: Waiting<u8> = Waiting::default();
        let (a, mut for_a) = waiting.wait(vec!["x".into()]);
        let (b, mut for_b) = waiting.wait(vec!["x".into()]);
        waiting.answer(b, 2);
        waiting.answer(a, 1);
        waiting.answer(99, 9);
        assert_eq!((for_a.try_recv(), for_b.try_recv()), (Ok(Ok(1)), Ok(Ok(2))));
        waiting.forget(a);
        waiting.answer(a, 3);
        assert!(for_a.try_recv().is_err());
        assert_ne!(waiting.wait(vec!["x".into()]).0, a, "a token is used once");
    }

    #[test]
    fn a_refusal_concerns_its_own_subject() {
        let waiting: Waiting<u8> = Waiting::default();
        let (_, mut lock) = waiting.wait(vec!["$KV.b.lock.b".into(), "$KV.b.lock.a".into()]);
        let (_, mut other) = waiting.wait(vec!["$KV.b.lock.a.b".into()]);
        waiting.refused("Permissions Violation for Publish to \"$KV.b.lock.a\"", "_INBOX.i");
        assert!(matches!(lock.try_recv(), Ok(Err(Failure::Denied(_)))));
        assert!(other.try_recv().is_err());
        assert_eq!(waiting.silence(), Failure::Silence);
        waiting.refused("Permissions Violation for Subscription to \"_INBOX.other.*\"", "_INBOX.i");
        assert!(other.try_recv().is_err());
        waiting.refused("Permissions Violation for Subscription to \"_INBOX.i.*\"", "_INBOX.i");
        assert!(matches!(other.try_recv(), Ok(Err(Failure::Deaf(_)))));
        assert!(matches!(waiting.silence(), Failure::Deaf(_)), "and all that is asked later");
    }

    #[test]
    fn a_complaint_is_news_once() {
        let waiting: Waiting<u8> = Waiting::default();
        let said =
            ["expired", "expired", "violation", "violation", "expired"].map(|text| waiting.is_news(text));
        assert_eq!(said, [true, false, true, false, true]);
    }

    #[test]
    fn the_end_of_the_connection_ends_all_waiting() {
        let waiting: Waiting<u8> = Waiting::default();
        let (_, mut incoming) = waiting.wait(vec!["x".into()]);
        waiting.end();
        assert!(waiting.over().is_cancelled());
        assert_eq!(incoming.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
    }
}
