//! Cuts off a client that does not read what it asked for.
//!
//! Nothing is buffered for such a client: what it does not read waits in the kernel's buffer, and once that is full,
//! nothing more is made. But it occupies a connection, and perhaps a watch. Only the stream of something that is held goes
//! on: there is never more than one event that waits, the latest; and a script that reads `held`, works, and closes the
//! connection at its end is in order.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Whether a connection is spared, and whether it was cut off.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    spared: Arc<AtomicBool>,
    lost: Arc<AtomicBool>,
}

/// A connection that is not cut off as long as this lives.
#[derive(Debug)]
pub struct Spared(Arc<AtomicBool>);

impl Patience {
    /// From now on the client holds something.
    pub fn spare(&self) -> Spared {
        self.spared.store(true, Ordering::Release);
        Spared(Arc::clone(&self.spared))
    }

    /// Whether the client was cut off.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }
}

impl Drop for Spared {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A connection to a client that has to read in time.
#[derive(Debug)]
pub struct Reading<S> {
    stream: S,
    within: Duration,
    patience: Patience,
    /// Since when the client has taken nothing, as the time when that is enough.
    enough: Option<Pin<Box<Sleep>>>,
}

impl<S> Reading<S> {
    /// Gives the client of `stream` this long.
    pub fn new(stream: S, within: Duration, patience: Patience) -> Reading<S> {
        Reading { stream, within, patience, enough: None }
    }

    fn judge<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.enough = None;
            return written;
        }
        let within = self.within;
        while self.enough.get_or_insert_with(|| Box::pin(sleep(within))).as_mut().poll(cx).is_ready() {
            if !self.patience.spared.load(Ordering::Acquire) {
                self.patience.lost.store(true, Ordering::Release);
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.enough = None;
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Reading<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Reading<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const WITHIN: Duration = Duration::from_secs(1);
    /// Much longer.
    const LONG: Duration = Duration::from_secs(3);

    #[tokio::test]
    async fn whoever_does_not_read_is_cut_off_and_whoever_reads_slowly_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(10);
        let patience = Patience::default();
        let mut reading = Reading::new(ours, WITHIN, patience.clone());
        let slow = tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(WITHIN / 5).await;
                theirs.read_exact(&mut [0; 10]).await.unwrap();
            }
            theirs
        });
        reading.write_all(&[1; 110]).await.unwrap();
        let _theirs = slow.await.unwrap();
        assert!(!patience.is_lost());
        let refused = tokio::time::timeout(LONG, reading.write_all(&[1; 10])).await.unwrap().unwrap_err();
        assert_eq!((refused.kind(), patience.is_lost()), (io::ErrorKind::TimedOut, true));
    }

    #[tokio::test]
    async fn whoever_holds_something_is_spared_as_long_as_it_does() {
        let (ours, _theirs) = tokio::io::duplex(10);
        let patience = Patience::default();
        let mut reading = Reading::new(ours, WITHIN, patience.clone());
        let spared = patience.spare();
        tokio::time::timeout(LONG, reading.write_all(&[1; 11])).await.unwrap_err();
        assert!(!patience.is_lost());
        drop(spared);
        tokio::time::timeout(LONG, reading.write_all(&[1; 11])).await.unwrap().unwrap_err();
        assert!(patience.is_lost());
    }
}
