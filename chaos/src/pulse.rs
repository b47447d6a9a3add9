//! Whether the machine kept up: a thread that wakes up again and again, and tells when it was woken late. Then everybody
//! else may have been late as well, and what was too late in a run may be the machine's doing.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::clock::now_ns;
use crate::history::{Line, What};
use crate::recorder::Recorder;

/// How often it wakes up.
const BEAT: Duration = Duration::from_millis(20);
/// How late is worth a line: half of what the checkers allow a busy machine.
const LATE: Duration = Duration::from_millis(100);

/// Beats until it is dropped.
#[derive(Debug)]
pub struct Pulse {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    /// Starts to beat.
    pub fn start(recorder: Recorder) -> Pulse {
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            loop {
                let due = Instant::now() + BEAT;
                let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(BEAT) else { return };
                let late = due.elapsed();
                if late >= LATE {
                    let late_ms = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
                    recorder.line_from_a_thread(Line {
                        at_ns: now_ns(),
                        who: "runner".into(),
                        what: What::Stalled { late_ms },
                    });
                }
            }
        });
        Pulse { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
