//! One process of a crowd: waits for a lock many times at once, or lists all locks, and says in a line of JSON what
//! came of it.
//!
//! ```text
//! lease-tests-crowd wait URL NAME PREFIX WAITERS ROUNDS TTL_MS HOLD_MS
//! lease-tests-crowd list URL
//! ```

use std::process::ExitCode;
use std::time::Duration;

use futures_util::TryStreamExt;
use lease::{Ambient, Error, Space, SpaceOptions, System};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        runtime.block_on(async {
            match args[..] {
                ["wait", url, name, prefix, waiters, rounds, ttl, hold] => {
                    let number = |text: &str| text.parse::<u32>().map_err(|error| format!("{text}: {error}"));
                    let (waiters, rounds) = (number(waiters)?, number(rounds)?);
                    let (ttl, hold) = (millis(number(ttl)?), millis(number(hold)?));
                    let space = connect(url).await?;
                    wait(&space, name, prefix, waiters, rounds, ttl, hold).await
                }
                ["list", url] => list(&connect(url).await?).await,
                _ => Err("usage: see the source".to_owned()),
            }
        })
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn millis(number: u32) -> Duration {
    Duration::from_millis(number.into())
}

async fn connect(url: &str) -> Result<Space, String> {
    Space::connect(url, SpaceOptions::default()).await.map_err(|error| error.to_string())
}

/// `waiters` at once, each of which acquires and releases `rounds` times.
async fn wait(
    space: &Space,
    name: &str,
    prefix: &str,
    waiters: u32,
    rounds: u32,
    ttl: Duration,
    hold: Duration,
) -> Result<(), String> {
    let waiting = (0..waiters).map(|waiter| {
        let (lock, prefix) = (space.lock(name).ttl(ttl), prefix.to_owned());
        tokio::spawn(async move {
            for round in 0..rounds {
                let owner = format!("{prefix}-{waiter}-{round}");
                let lease = lock.clone().owner(owner.clone()).acquire().await?;
                let (now, token) = (System.now().as_nanos(), lease.token());
                println!(r#"{{"event":"granted","owner":"{owner}","token":{token},"at":{now}}}"#);
                tokio::time::sleep(hold).await;
                let held = lease.status() == lease::Status::Held;
                let now = System.now().as_nanos();
                println!(
                    r#"{{"event":"released","owner":"{owner}","token":{token},"at":{now},"held":{held}}}"#
                );
                lease.release().await?;
            }
            Ok::<(), Error>(())
        })
    });
    for waiter in waiting.collect::<Vec<_>>() {
        waiter.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    }
    space.close(Duration::from_secs(5)).await;
    Ok(())
}

/// Counts all held locks, and says what that took.
async fn list(space: &Space) -> Result<(), String> {
    let before = peak_kib()?;
    let begun = System.now();
    let held = space.list(">").map_err(|error| error.to_string())?;
    let count = held.try_fold(0_u64, async |count, _| Ok(count + 1)).await;
    let count = count.map_err(|error| error.to_string())?;
    let took = System.now().since(begun).as_millis();
    let peak = peak_kib()?;
    println!(
        r#"{{"event":"listed","count":{count},"took_ms":{took},"before_kib":{before},"peak_kib":{peak}}}"#
    );
    Ok(())
}

/// The most memory this process has had so far.
fn peak_kib() -> Result<u64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.and_then(|number| number.trim().parse().ok()).ok_or_else(|| "no VmHWM".to_owned())
}
