//! Known weaknesses of NATS itself, each shown on the very cluster, and beside it the way the library takes.
//!
//! A small program for each, in place of workers and faults. What matters is the second count: the library's way must
//! show nothing. That the first one shows something tells that the program could have seen it.

mod guards;
mod markers;

use std::time::Duration;

use async_nats::{Client, HeaderMap};
use serde_json::Value;

use crate::history::What;
use crate::recorder::Recorder;

/// What is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// Guards whose filters overlap let both sides of a race in.
    OverlappingGuards,
    /// The marker of an expired key destroys a write that was acknowledged.
    DeleteMarkers,
}

impl Weakness {
    /// Its name in the history.
    pub fn word(self) -> &'static str {
        match self {
            Weakness::OverlappingGuards => "guards with overlapping filters",
            Weakness::DeleteMarkers => "delete markers on expiry",
        }
    }

    /// What goes wrong.
    fn wrong(self) -> &'static str {
        match self {
            Weakness::OverlappingGuards => "races in which a reader and a writer were both let in",
            Weakness::DeleteMarkers => "acknowledged writes that were destroyed",
        }
    }
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    tries: u64,
    wrong: u64,
}

/// Tries it both ways, and says what was counted.
///
/// # Errors
/// If the cluster does not do its part.
pub async fn show(weakness: Weakness, urls: &[String], recorder: &Recorder) -> Result<(), String> {
    let (plain, library) = match weakness {
        Weakness::OverlappingGuards => (guards::plain(urls).await?, guards::library(urls).await?),
        Weakness::DeleteMarkers => (markers::plain(urls).await?, markers::library(urls).await?),
    };
    for (count, is_library) in [(plain, false), (library, true)] {
        let Count { tries, wrong } = count;
        let (name, sort) = (weakness.word().into(), weakness.wrong().into());
        recorder.say(What::Weakness { weakness: name, is_library, tries, wrong, sort }).await;
    }
    Ok(())
}

/// The revision that a write got, and none if it was refused.
///
/// # Errors
/// If there is no answer, so that nothing is known.
async fn write(client: &Client, subject: &str, headers: &[(&str, &str)]) -> Result<Option<u64>, String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, *value);
    }
    let answer = client.request_with_headers(subject.to_owned(), map, "x".into()).await;
    let answer = answer.map_err(|error| format!("{subject}: {error}"))?;
    let answer: Value = serde_json::from_slice(&answer.payload).map_err(|error| error.to_string())?;
    Ok(if answer.get("error").is_some() { None } else { answer["seq"].as_u64() })
}

/// A question to JetStream.
///
/// # Errors
/// If there is no answer, or an error in it.
async fn ask(client: &Client, subject: &str, question: &Value) -> Result<Value, String> {
    let answer = client.request(subject.to_owned(), question.to_string().into()).await;
    let answer = answer.map_err(|error| format!("{subject}: {error}"))?;
    let answer: Value = serde_json::from_slice(&answer.payload).map_err(|error| error.to_string())?;
    if answer.get("error").is_some() { Err(answer["error"].to_string()) } else { Ok(answer) }
}

/// Makes a stream. A cluster that has just started may not know all its peers yet.
async fn create(client: &Client, config: &Value) -> Result<(), String> {
    let subject = format!("$JS.API.STREAM.CREATE.{}", config["name"].as_str().unwrap_or_default());
    let mut tries = 0;
    while let Err(why) = ask(client, &subject, config).await {
        tries += 1;
        if tries == 20 {
            return Err(why);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

/// Through any of these servers.
async fn connect(urls: &[String]) -> Result<Client, String> {
    async_nats::connect(urls).await.map_err(|error| format!("{}: {error}", urls.join(",")))
}

const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";
const EXPECTED_OF: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
