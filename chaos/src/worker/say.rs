//! What a worker says.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::now_ns;
use crate::history::{Line, Op, What};

/// Says lines on the standard output. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Said {
    who: Arc<str>,
    next: Arc<AtomicU64>,
}

impl Said {
    /// In the name of this worker.
    pub fn new(who: &str) -> Said {
        Said { who: who.into(), next: Arc::new(AtomicU64::new(1)) }
    }

    /// A number for one more operation, or one more value: none is given twice.
    pub fn number(&self) -> Op {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Says it, with the time of this moment.
    pub fn now(&self, what: What) {
        self.at(now_ns(), what);
    }

    /// Says it, with a time that was taken before.
    ///
    /// The write blocks while the runner is slow; nobody measures how fast a worker is. One write a line: lines of
    /// different lanes do not mix. A runner that is gone ends this process by closing its standard input.
    pub fn at(&self, at_ns: u64, what: What) {
        let line = Line { at_ns, who: self.who.to_string(), what };
        if let Ok(mut text) = serde_json::to_vec(&line) {
            text.push(b'\n');
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(&text).and_then(|()| out.flush());
        }
    }
}
