//! One link, where there are no namespaces: a TCP proxy between one host that dials and one server that listens.
//!
//! ```text
//!   w3 ──► 127.77.23.1:4222 ═╦═ there: queue ─► held? late? narrow? ─► 127.77.1.1:4222 (n0)
//!      ◄──                   ╚═ back:  queue ─► held? late? narrow? ◄─
//! ```
//!
//! It knows nothing of what passes. What is held back arrives late, as after a partition, when TCP sends again what was
//! lost; no new connection comes about while one direction is held, since that takes packets both ways.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::late::Lateness;
use support::chance::Chance;

/// Pieces on their way in one direction of a connection, of up to 16 KiB each. Who sends more waits, as where a socket's
/// buffer is full.
const UNDER_WAY: usize = 64;
const PIECE: usize = 16 << 10;

/// What befalls one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Nothing passes.
    pub is_held: bool,
    /// What passes is late. Nothing can be lost: there are no packets here.
    pub late: Option<Lateness>,
    /// At most so many kbit a second pass.
    pub kbit: Option<u64>,
}

/// What befalls a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// From the one who dials to the server.
    pub there: Way,
    /// From the server.
    pub back: Way,
    /// Connections are reset, and so is each new one.
    pub is_reset: bool,
}

/// A link at work, until it is dropped.
#[derive(Debug)]
pub struct Link {
    fate: watch::Sender<Fate>,
    accepting: JoinHandle<()>,
}

impl Link {
    /// Listens at `at`, and leads to `to`. `seed` decides how late things are.
    ///
    /// # Errors
    /// If somebody else listens there.
    pub async fn open(at: SocketAddr, to: SocketAddr, seed: u64) -> Result<Link, String> {
        let listener = TcpListener::bind(at).await.map_err(|error| format!("a link at {at}: {error}"))?;
        let fate = watch::Sender::new(Fate::default());
        let accepting = tokio::spawn(accept(listener, to, fate.subscribe(), Chance::new(seed)));
        Ok(Link { fate, accepting })
    }

    /// From now on this befalls it.
    pub fn set(&self, fate: Fate) {
        self.fate.send_replace(fate);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Takes connections; they end with it.
async fn accept(listener: TcpListener, to: SocketAddr, fate: watch::Receiver<Fate>, mut chance: Chance) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((dialer, _)) = accepted {
                connections.spawn(serve(dialer, to, fate.clone(), chance.fork()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut dialer: TcpStream, to: SocketAddr, mut fate: watch::Receiver<Fate>, mut chance: Chance) {
    let passes = |fate: &Fate| fate.is_reset || !(fate.there.is_held || fate.back.is_held);
    let Ok(is_reset) = fate.wait_for(passes).await.map(|fate| fate.is_reset) else { return };
    let server = if is_reset { None } else { TcpStream::connect(to).await.ok() };
    let Some(mut server) = server else {
        reset(&dialer);
        return;
    };
    // Latency is what links are about.
    let _ = (dialer.set_nodelay(true), server.set_nodelay(true));
    let (from_dialer, to_dialer) = dialer.split();
    let (from_server, to_server) = server.split();
    let (there, back) = (fate.clone(), fate.clone());
    let is_reset = tokio::select! {
        () = pump(from_dialer, to_server, there, |fate| fate.there, chance.fork()) => false,
        () = pump(from_server, to_dialer, back, |fate| fate.back, chance.fork()) => false,
        told = fate.wait_for(|fate| fate.is_reset) => told.is_ok(),
    };
    if is_reset {
        reset(&dialer);
        reset(&server);
    }
}

/// Its end will be a reset, not an orderly one.
fn reset(stream: &TcpStream) {
    // Gone already: then it is over as well.
    let _ = stream.set_zero_linger();
}

/// Carries one direction, until its reader's side has ended and all that was read is written, or nobody takes it.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut fate: watch::Receiver<Fate>,
    way: fn(&Fate) -> Way,
    mut chance: Chance,
) {
    let (queue, mut queued) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let lateness = fate.clone();
    let read = async {
        let mut piece = vec![0; PIECE];
        let mut last = Instant::now();
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            let late = way(&lateness.borrow()).late.map_or(Duration::ZERO, |late| late.draw(&mut chance));
            // Nothing overtakes anything.
            last = last.max(Instant::now() + late);
            if queue.send((last, piece.get(..length).unwrap_or_default().to_vec())).await.is_err() {
                return;
            }
        }
        drop(queue);
        // The writer says when it is over.
        std::future::pending().await
    };
    let write = async {
        while let Some((due, bytes)) = queued.recv().await {
            sleep_until(due).await;
            let Ok(kbit) = fate.wait_for(|fate| !way(fate).is_held).await.map(|fate| way(&fate).kbit) else {
                return;
            };
            if to.write_all(&bytes).await.is_err() {
                return;
            }
            if let Some(kbit) = kbit {
                let micros = bytes.len() as u64 * 8 * 1_000 / kbit.max(1);
                tokio::time::sleep(Duration::from_micros(micros)).await;
            }
        }
    };
    tokio::select! {
        () = read => {}
        () = write => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link to an echo, and a connection through it that works.
    async fn linked() -> (Link, SocketAddr, TcpStream) {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = echo.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let link = Link::open(free, to, 7).await.unwrap();
        let mut stream = TcpStream::connect(free).await.unwrap();
        assert_eq!(ask(&mut stream, "a").await.unwrap(), "a");
        (link, free, stream)
    }

    async fn ask(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
        stream.write_all(text.as_bytes()).await?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await?;
        Ok(String::from_utf8(answer).unwrap())
    }

    const SOON: Duration = Duration::from_millis(150);
    const HELD: Way = Way { is_held: true, late: None, kbit: None };

    #[tokio::test]
    async fn what_is_held_arrives_when_it_is_let_go() {
        let (link, at, mut stream) = linked().await;
        for fate in [Fate { there: HELD, ..Fate::default() }, Fate { back: HELD, ..Fate::default() }] {
            link.set(fate);
            assert!(tokio::time::timeout(SOON, ask(&mut stream, "b")).await.is_err());
            // Nor does a new connection come about.
            let mut new = TcpStream::connect(at).await.unwrap();
            assert!(tokio::time::timeout(SOON, ask(&mut new, "c")).await.is_err());
            link.set(Fate::default());
            let mut late = [0; 1];
            stream.read_exact(&mut late).await.unwrap();
            new.read_exact(&mut late).await.unwrap();
            assert_eq!(&late, b"c");
        }
    }

    #[tokio::test]
    async fn what_is_late_takes_as_long_and_what_is_narrow_too() {
        let (link, _, mut stream) = linked().await;
        let late = Some(Lateness { millis: 80, jitter: 0, permille: 0 });
        link.set(Fate { there: Way { late, ..Way::default() }, ..Fate::default() });
        let begun = Instant::now();
        ask(&mut stream, "b").await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(80));
        link.set(Fate { there: Way { kbit: Some(80), ..Way::default() }, ..Fate::default() });
        let begun = Instant::now();
        // 80 kbit/s are 10 bytes a millisecond.
        ask(&mut stream, &"x".repeat(1_000)).await.unwrap();
        ask(&mut stream, "c").await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(95), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_reset_is_a_reset() {
        let (link, at, mut stream) = linked().await;
        link.set(Fate { is_reset: true, ..Fate::default() });
        let error = stream.read_exact(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        let mut new = TcpStream::connect(at).await.unwrap();
        assert!(ask(&mut new, "d").await.is_err());
        link.set(Fate::default());
        assert_eq!(ask(&mut TcpStream::connect(at).await.unwrap(), "e").await.unwrap(), "e");
    }
}
