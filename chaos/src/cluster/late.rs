//! Packets that are late: what a host sends, or sends by some of its connections, goes through a program of ours before it goes to the
//! bridge.
//!
//! ```text
//!   nats-server ─► route ─► TUN device ─► late.py: waits, loses ─► raw socket ─► eth0 ─► bridge
//! ```
//!
//! For kernels without `netem`, which are most of those in small virtual machines. The kernel undoes it: with the
//! process the device goes, and with that its route, and what is left is the way through eth0.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Child;

use super::network::inside;
use super::process;
use crate::shell::run;
use support::chance::Chance;

const PROGRAM: &str = include_str!("late.py");
/// A busy machine starts Python in less.
const LIMIT: Duration = Duration::from_secs(10);

/// What comes on top, to get out of the program.
const DELIVERY: Duration = Duration::from_millis(100);

/// How late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    /// Each packet, in milliseconds.
    pub millis: u64,
    /// Up to so much more or less.
    pub jitter: u64,
    /// So many of 1,000 are lost.
    pub permille: u64,
}

impl Lateness {
    /// How late the next one is.
    pub fn draw(&self, chance: &mut Chance) -> Duration {
        chance.millis(self.millis.saturating_sub(self.jitter), self.millis + self.jitter)
    }
}

/// One TCP connection, as whoever sends sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// To whom.
    pub to: Ipv4Addr,
    /// The sender's own port.
    pub source: u16,
    /// The other's.
    pub destination: u16,
}

/// A host whose packets are late, as long as this is there.
#[derive(Debug)]
pub struct Late {
    child: Child,
    /// What the kernel does not undo, of single connections: with these commands they go past the device again.
    past: Vec<String>,
    /// How long what is under way takes.
    longest: Duration,
}

impl Late {
    /// Begins, with these connections only, or with all that the host sends if none is named; `number` names the device, and `seed` decides over
    /// each packet.
    ///
    /// # Errors
    /// With why this machine does not let it.
    pub async fn begin(
        (host, address): (&str, Ipv4Addr),
        only: &[Connection],
        number: u64,
        seed: u64,
        by: Lateness,
    ) -> Result<Late, String> {
        let device = format!("late{number}");
        let mut command = process::command(host, Path::new("python3"));
        command.args(["-c", PROGRAM, &device]);
        command.args([seed, by.millis, by.jitter, by.permille].map(|number| number.to_string()));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("python3: {error}"))?;
        if !is_ready(&mut child).await {
            return Err(format!("packets cannot be made late: {}", last_word(&mut child).await));
        }
        let longest = Duration::from_millis(by.millis + by.jitter);
        let mut late = Late { child, past: Vec::new(), longest };
        run(&inside(host, &format!("ip link set {device} up"))).await?;
        // Narrower than the one of eth0, and wide enough for all hosts and the runner.
        let route = format!("ip route replace 10.77.0.0/17 dev {device} src {address}");
        if only.is_empty() {
            run(&inside(host, &route)).await?;
            return Ok(late);
        }
        // A table of routes of its own. Below 1,000 there are the kernel's.
        let table = 1_000 + number;
        run(&inside(host, &format!("{route} table {table}"))).await?;
        for Connection { to, source, destination } in only {
            let rule = format!("to {to} ipproto tcp sport {source} dport {destination} lookup {table}");
            if let Err(why) = run(&inside(host, &format!("ip rule add {rule}"))).await {
                late.end().await;
                return Err(why);
            }
            late.past.push(inside(host, &format!("ip rule del {rule}")));
        }
        Ok(late)
    }

    /// Ends it; what is under way is lost.
    pub async fn end(mut self) {
        self.bypass().await;
        process::kill(&mut self.child).await;
    }

    /// Ends it once what is under way has arrived: what is lost so late is sent again later still.
    pub async fn drain(mut self) {
        self.bypass().await;
        tokio::time::sleep(self.longest + DELIVERY).await;
        process::kill(&mut self.child).await;
    }

    /// What is sent from now on by single connections goes past the device.
    async fn bypass(&mut self) {
        for past in std::mem::take(&mut self.past) {
            // Should it fail, that leads to a table without routes once the device is gone, and the next rule counts.
            let _ = run(&past).await;
        }
    }
}

async fn is_ready(child: &mut Child) -> bool {
    let Some(stdout) = child.stdout.take() else { return false };
    let mut lines = BufReader::new(stdout).lines();
    let line = tokio::time::timeout(LIMIT, lines.next_line()).await;
    matches!(line, Ok(Ok(Some(line))) if line == "ready")
}

async fn last_word(child: &mut Child) -> String {
    process::kill(child).await;
    let mut text = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        // Killed by now: this ends.
        let _ = stderr.read_to_string(&mut text).await;
    }
    text.lines().last().unwrap_or("python3 said nothing").to_owned()
}
