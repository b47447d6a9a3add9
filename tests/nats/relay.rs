//! A way to a server that stops taking bytes, so that they pile up in the client. (The support's proxy always reads.)

use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{RwLock, watch};

/// What the relay does with its connections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Passes everything on.
    Open,
    /// Reads nothing.
    Stuck,
    /// Closes those that were there, and is open to new ones; the number tells one such time from the next.
    Cut(u64),
}

/// A relay to one server, until dropped.
pub struct Relay {
    port: u16,
    mode: watch::Sender<Mode>,
    /// Read by each connection while it passes bytes on.
    passing: Arc<RwLock<()>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Relay {
    pub async fn start(upstream: &str) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let upstream = upstream.trim_start_matches("nats://").to_owned();
        let (mode, modes) = watch::channel(Mode::Open);
        let passing = Arc::new(RwLock::new(()));
        let theirs = passing.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, upstream.clone(), modes.clone(), theirs.clone()));
            }
        });
        Relay { port, mode, passing, accepting }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Returns when no connection passes anything on any more.
    pub async fn stop_reading(&self) {
        self.mode.send_replace(Mode::Stuck);
        drop(self.passing.write().await);
    }

    pub fn cut(&self) {
        self.mode.send_modify(|mode| {
            *mode = Mode::Cut(if let Mode::Cut(before) = mode { *before + 1 } else { 0 });
        });
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(
    mut client: TcpStream,
    upstream: String,
    mut modes: watch::Receiver<Mode>,
    passing: Arc<RwLock<()>>,
) {
    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
    let begun = *modes.borrow_and_update();
    loop {
        let mode = *modes.borrow_and_update();
        if matches!(mode, Mode::Cut(_)) && mode != begun {
            return;
        }
        let copied = async {
            let _passing = passing.read().await;
            copy_bidirectional(&mut client, &mut server).await
        };
        tokio::select! {
            // A change is seen before a byte is passed on.
            biased;
            changed = modes.changed() => if changed.is_err() { return },
            _ = copied, if mode != Mode::Stuck => return,
        }
    }
}
