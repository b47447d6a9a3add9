//! Being told to end: Ctrl-C, or SIGTERM.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears it. As long as one is there, and ever after, neither signal ends the process by itself.
#[derive(Debug)]
pub struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupt {
    /// Begins to listen.
    ///
    /// # Errors
    /// If the machine does not let it.
    pub fn listen() -> Result<Interrupt, String> {
        let say = |error: std::io::Error| format!("signals: {error}");
        let interrupt = signal(SignalKind::interrupt()).map_err(say)?;
        let terminate = signal(SignalKind::terminate()).map_err(say)?;
        Ok(Interrupt { interrupt, terminate })
    }

    /// Waits for the next one. Cancel safe: none is missed.
    pub async fn told(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
