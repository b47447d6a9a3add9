//! Requests that are answered without waiting for anybody, and what a refusal means.

use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::Value;

use super::args::Place;
use super::exit::Exit;
use super::http::{Answer, Cut, send, silent};
use super::say::{plain, say};
use super::server::Server;
use super::wanted::Wanted;
use crate::wire::{Code, Holder, Problem};

/// How long a daemon may take for what needs no waiting: longer than its own patience with a store that is silent.
pub(super) const ANSWER: Duration = Duration::from_secs(20);

/// Why there is no lock, or no answer: what to tell, and the code to end with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The exit code.
    pub exit: Exit,
    /// The message.
    pub text: String,
}

impl Refusal {
    /// A refusal.
    pub(super) fn new(exit: Exit, text: impl Into<String>) -> Refusal {
        Refusal { exit, text: text.into() }
    }

    /// Tells it, and gives the code to end with.
    pub(super) fn told(self) -> Exit {
        say(self.text);
        self.exit
    }

    /// The daemon or the store does not answer.
    pub(super) fn unavailable(text: impl Into<String>) -> Refusal {
        Refusal::new(Exit::UNAVAILABLE, text)
    }
}

/// A holder in one line, for people.
pub(super) fn who(holder: &Holder) -> String {
    format!(
        "{} on {} since {} (token {})",
        plain(&holder.owner),
        plain(&holder.host),
        plain(&holder.since),
        holder.token
    )
}

/// Where answers come from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Who answers.
    pub server: Server,
}

impl Source {
    /// The place that the options name.
    ///
    /// # Errors
    /// As [`Server::open`].
    pub(super) async fn open(place: &Place) -> Result<Source, Refusal> {
        Ok(Source { server: Server::open(place).await? })
    }

    /// One request, and the head of its answer.
    ///
    /// # Errors
    /// If there is no answer in time, or a refusal.
    pub(super) async fn ask(
        &self,
        method: Method,
        target: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Refusal> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = tokio::time::timeout(ANSWER, send(&self.server, method, target, body)).await;
        let answer = answer.unwrap_or_else(|_| Err(silent(&self.server, ANSWER)))?;
        if answer.status().is_success() { Ok(answer) } else { Err(refusal(answer, None).await) }
    }

    /// What is at a path.
    ///
    /// # Errors
    /// As [`Source::ask`].
    pub(super) async fn get<T: serde::de::DeserializeOwned>(&self, target: &str) -> Result<T, Refusal> {
        parse(&self.ask(Method::GET, target, None).await?.whole(ANSWER).await?)
    }

    /// The next line of an answer that goes on until whoever answers stops. Cancel-safe.
    ///
    /// # Errors
    /// If it ends or breaks off.
    pub(super) async fn next(&self, answer: &mut Answer) -> Result<Vec<u8>, Refusal> {
        match answer.line().await {
            Ok(Some(line)) => Ok(line),
            Ok(None) => Err(Refusal::unavailable(format!("{} stops", self.server))),
            Err(Cut(why)) => Err(Refusal::unavailable(why)),
        }
    }

    /// The next line of an answer that has an end.
    ///
    /// # Errors
    /// If it breaks off, or nothing comes in time.
    pub(super) async fn line<T: serde::de::DeserializeOwned>(
        &self,
        answer: &mut Answer,
    ) -> Result<Option<T>, Refusal> {
        match tokio::time::timeout(ANSWER, answer.line()).await {
            Ok(Ok(line)) => line.map(|line| parse(&line)).transpose(),
            Ok(Err(Cut(why))) => Err(Refusal::unavailable(why)),
            Err(_) => Err(silent(&self.server, ANSWER)),
        }
    }
}

/// What a refusal says, whatever form it has.
pub(super) async fn refusal(answer: Answer, wanted: Option<&Wanted>) -> Refusal {
    let status = answer.status();
    match answer.whole(ANSWER).await {
        Ok(body) => refused(status, &body, wanted),
        Err(refusal) => refusal,
    }
}

/// The same, once its body is there.
pub(super) fn refused(status: StatusCode, body: &[u8], wanted: Option<&Wanted>) -> Refusal {
    match (serde_json::from_slice::<Problem>(body), wanted) {
        (Ok(problem), Some(wanted)) if matches!(problem.code, Code::Held | Code::WaitElapsed) => {
            wanted.busy(problem.holder.as_deref())
        }
        // A policy's refusal, by whatever code.
        (Ok(problem), _) if problem.status == 403 => Refusal::new(Exit::DENIED, problem.detail),
        (Ok(problem), _) => Refusal::new(exit_for(problem.code), problem.detail),
        (Err(_), _) => Refusal::unavailable(format!("the daemon answers {status}")),
    }
}

pub(super) fn exit_for(code: Code) -> Exit {
    match code {
        Code::Held | Code::WaitElapsed => Exit::BUSY,
        Code::Denied | Code::StoreDenied => Exit::DENIED,
        // Bounds that were reached are not "busy": with `-n -E 0` that would pass for somebody else at work.
        code if code.status() == 400 || code == Code::BodyTooLarge => Exit::USAGE,
        _ => Exit::UNAVAILABLE,
    }
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(text: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(text)
        .map_err(|error| Refusal::unavailable(format!("the daemon says what makes no sense: {error}")))
}

/// Percent-encodes everything that could have a meaning in a path or a query.
pub(super) fn encode(text: &str) -> String {
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
    fn only_another_holder_is_busy() {
        let busy: Vec<_> = Code::ALL.iter().filter(|code| exit_for(**code) == Exit::BUSY).collect();
        assert_eq!(busy, [&Code::Held, &Code::WaitElapsed]);
        assert_eq!(exit_for(Code::InvalidName), Exit::USAGE);
        assert_eq!(exit_for(Code::TooManyWaiters), Exit::UNAVAILABLE);
    }
}
