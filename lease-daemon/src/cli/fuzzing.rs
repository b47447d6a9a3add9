//! What must hold of any command line, and of anything that calls itself a daemon.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use clap::Parser;
use lease::{MAX_TTL, MIN_TTL, Name};

use super::args::{Cli, Verb};
use super::durations;
use super::exit::Exit;
use super::hold::{Hold, Line, News, Step};
use super::server::Server;
use super::wanted::{Wanted, What};
use crate::wire::{Event, Lease};

const MAX_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Arguments, one a line: what is accepted is within the bounds, and the command is what was given. Every argument is
/// read as a duration, too.
pub fn arguments(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> = text.split('\n').collect();
    for word in &words {
        assert!(
            durations::ttl(word).is_ok_and(|ttl| (MIN_TTL..=MAX_TTL).contains(&ttl))
                || durations::ttl(word).is_err()
        );
        assert!(durations::wait(word).is_ok_and(|wait| wait <= MAX_WAIT) || durations::wait(word).is_err());
        let _ = durations::kill_after(word);
    }
    let Ok(cli) = Cli::try_parse_from(std::iter::once("lease").chain(words.iter().copied())) else { return };
    let run = match cli.verb {
        Verb::Run(run) => run.how,
        Verb::Elect(elect) => elect.how,
        _ => return,
    };
    assert!((MIN_TTL..=MAX_TTL).contains(&run.ttl) && run.wait.is_none_or(|wait| wait <= MAX_WAIT));
    assert!(!(run.nonblock && run.wait.is_some()) && run.metadata.iter().all(|(key, _)| !key.is_empty()));
    let command: Vec<&str> = words.iter().copied().skip_while(|word| *word != "--").skip(1).collect();
    assert!(!run.command.is_empty() && run.command == command, "{:?}", run.command);
    match run.check() {
        Err(why) => assert!(why.contains("--"), "{why}"),
        Ok(()) => {
            let stops = run.kill_after.is_some() || run.on_lost == super::args::OnLost::Term;
            let left = run.ttl.saturating_sub(run.kill_after());
            assert!(!stops || left >= run.ttl / 5 + Duration::from_secs(2));
            assert_eq!(run.metadata().len(), run.metadata.len(), "one key twice");
        }
    }
}

/// What a daemon streams: nobody believes in a lease that no whole line speaks of, nor longer than it says; and the
/// stream's end ends the wait.
pub fn stream(bytes: &[u8]) {
    // There is one daemon to play.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let events: Vec<Event> = lines
        .iter()
        .filter(|line| line.ends_with(b"\n"))
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    let held = events.iter().any(|event| granted(event).is_some());
    // The name is valid, and a runtime can be had.
    let Ok(name) = Name::new("a") else { return };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let what = What::Lock { name, shared: false };
    let wanted = Wanted { what, ttl: MIN_TTL, wait: None, metadata: Default::default() };
    let answers = answering(bytes);
    runtime.block_on(async {
        let mut line = Line::join(Server::at(&answers), wanted);
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps <= lines.len() + 1, "more steps than lines");
            match line.next().await {
                Step::Ahead(ahead) => {
                    let said = |event: &Event| match event {
                        Event::Waiting { ahead: said } | Event::Candidate { ahead: said, .. } => {
                            *said == ahead
                        }
                        _ => false,
                    };
                    assert!(events.iter().any(said), "{ahead} out of nothing")
                }
                Step::Refused(refusal) => {
                    assert!(refusal.exit != Exit::OK && !refusal.text.is_empty(), "{refusal:?}");
                    return;
                }
                Step::Held(hold) => {
                    assert!(held, "held, but nobody said so");
                    believe(hold, &events, lines.len()).await;
                    return;
                }
            }
        }
    });
}

fn granted(event: &Event) -> Option<&Lease> {
    match event {
        Event::Held(lease) | Event::Elected(lease) | Event::Joined(lease) => Some(lease),
        _ => None,
    }
}

async fn believe(mut hold: Hold, events: &[Event], lines: usize) {
    let said = events.iter().filter_map(granted).find(|lease| lease.what == *hold.what());
    let said = said.map(|lease| lease.deadline_boottime_ns);
    assert!(said.is_some_and(|said| hold.deadline().as_nanos() <= said), "{:?} of {said:?}", hold.deadline());
    for _ in 0..=lines {
        match hold.news().await {
            News::Alive(until) => {
                let as_said = |event: &Event| matches!(event, Event::Alive { deadline_boottime_ns, .. } if until.as_nanos() <= *deadline_boottime_ns);
                assert!(events.iter().any(as_said), "alive until {until:?}, but nobody said so");
            }
            News::Lost(why) => {
                let as_said = |event: &Event| matches!(event, Event::Lost { reason, detail } if *reason == why || detail.as_ref() == Some(&why));
                assert!(events.iter().any(as_said), "lost for {why:?}, but nobody said so");
                return;
            }
            News::Silence(_) => return,
        }
    }
    assert!(lines == usize::MAX, "more news than lines");
}

/// The socket of a daemon that answers every request with this stream and hangs up.
fn answering(stream: &[u8]) -> PathBuf {
    static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    static SOCKET: OnceLock<PathBuf> = OnceLock::new();
    let mut answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    answer.extend_from_slice(stream);
    if let Ok(mut next) = ANSWER.lock() {
        *next = answer;
    }
    let socket = SOCKET.get_or_init(|| {
        let socket = std::env::temp_dir().join(format!("lease-fuzz-{}.sock", std::process::id()));
        // What a process of the same number left.
        let _ = std::fs::remove_file(&socket);
        if let Ok(listener) = UnixListener::bind(&socket) {
            thread::spawn(move || {
                for mut client in listener.incoming().flatten() {
                    // One read has it all: the request is small.
                    let _ = client.read(&mut [0; 4096]);
                    let answer = ANSWER.lock().map(|answer| answer.clone()).unwrap_or_default();
                    let _ = client.write_all(&answer);
                }
            });
        }
        socket
    });
    socket.clone()
}
