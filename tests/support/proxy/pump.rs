//! Connections: frames read on one side, judged by the rules, written on the other.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};

use super::rule::{Fate, Rule};
use super::seen::Publish;
use super::wire::{Frame, Message, Wire};
use super::{Shared, State};

/// Frames on their way to a writer. Unbounded: a blocked direction must not stop the reader, or a test could not see
/// what the client sends into the black hole.
type Out = mpsc::UnboundedSender<Bytes>;

/// Takes connections until the proxy is dropped.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let (id, upstream, closing) = {
            let mut state = shared.state();
            if state.refusing {
                continue;
            }
            state.next_connection += 1;
            let (id, closing) = (state.next_connection, Arc::new(Notify::new()));
            state.connections.insert(id, closing.clone());
            (id, state.upstream.clone(), closing)
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = serve(id, client, &upstream, &shared, &closing) => {}
                () = closing.notified() => {}
            }
            shared.state().connections.remove(&id);
        });
    }
}

/// One connection, until one side has ended and what it had sent is written on the other.
async fn serve(id: u64, client: TcpStream, upstream: &str, shared: &Arc<Shared>, closing: &Arc<Notify>) {
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    let (to_client, for_client) = mpsc::unbounded_channel();
    let (to_server, for_server) = mpsc::unbounded_channel();
    let connection = Connection { id, shared, closing };
    tokio::select! {
        () = connection.read_client(Wire::new(client_in), to_server) => unreachable!(),
        () = connection.read_server(Wire::new(server_in), to_client) => unreachable!(),
        () = write(for_server, server_out, shared.hold_to_server.subscribe()) => {}
        () = write(for_client, client_out, shared.hold_to_client.subscribe()) => {}
    }
}

/// Writes until the reader of the other side has ended and its queue is empty, or the peer is gone.
async fn write<W: AsyncWrite + Unpin>(
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    mut peer: W,
    mut held: watch::Receiver<bool>,
) {
    while let Some(bytes) = queue.recv().await {
        if held.wait_for(|held| !held).await.is_err() || peer.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

struct Connection<'a> {
    id: u64,
    shared: &'a Arc<Shared>,
    closing: &'a Arc<Notify>,
}

impl Connection<'_> {
    /// Never returns: the end of a connection is for the writers to see, once their queues are empty.
    async fn read_client<S: AsyncRead + Unpin>(&self, mut wire: Wire<S>, out: Out) {
        while let Some(frame) = wire.next().await {
            match frame {
                Frame::Other(raw) => drop(out.send(raw)),
                Frame::Message(message) => {
                    let rule = self.shared.state().published(self.id, &message);
                    self.pass(message.raw, rule, &out);
                }
            }
        }
        drop(out);
        std::future::pending().await
    }

    async fn read_server<S: AsyncRead + Unpin>(&self, mut wire: Wire<S>, out: Out) {
        while let Some(frame) = wire.next().await {
            match frame {
                Frame::Other(raw) => drop(out.send(raw)),
                Frame::Message(message) => {
                    let rule = self.shared.state().delivered(self.id, &message);
                    self.pass(message.raw, rule, &out);
                }
            }
        }
        drop(out);
        std::future::pending().await
    }

    /// Forwards a message, or does to it what its rule says.
    fn pass(&self, raw: Bytes, rule: Option<Rule>, out: &Out) {
        let Some(rule) = rule else { return drop(out.send(raw)) };
        rule.fire();
        match rule.fate() {
            Fate::LoseRequest | Fate::LoseAnswer => {}
            Fate::CutBefore | Fate::CutAfter => self.closing.notify_one(),
            Fate::DelayRequest(_) | Fate::DelayAnswer(_) | Fate::HoldRequest | Fate::HoldAnswer => {
                // Weak: a message that waits must not keep a connection open that has ended.
                let later = out.downgrade();
                tokio::spawn(async move {
                    match rule.fate() {
                        Fate::DelayRequest(by) | Fate::DelayAnswer(by) => tokio::time::sleep(by).await,
                        _ => rule.released().await,
                    }
                    if let Some(out) = later.upgrade() {
                        let _ = out.send(raw);
                    }
                });
            }
        }
    }
}

impl State {
    /// Notes a client's publish; gives the rule that decides over the request itself.
    fn published(&mut self, connection: u64, message: &Message) -> Option<Rule> {
        let publish = publish(connection, message);
        let rule = self.rules.iter().find(|rule| rule.applies(&publish, false)).cloned();
        let (for_request, for_answer) = match rule {
            Some(rule) if rule.fate().concerns_answer() => (None, Some(rule)),
            rule => (rule, None),
        };
        if let Some(reply) = &publish.reply {
            self.awaited.insert(reply.clone(), (self.seen.len(), for_answer));
        }
        self.seen.push(publish);
        for_request
    }

    /// Notes a message from the server; gives the rule that decides over it.
    fn delivered(&mut self, connection: u64, message: &Message) -> Option<Rule> {
        if let Some((index, rule)) = self.awaited.remove(&message.subject) {
            if let Some(publish) = self.seen.get_mut(index) {
                publish.answer = Some(message.payload.clone());
            }
            return rule;
        }
        let delivery = publish(connection, message);
        self.rules.iter().find(|rule| rule.applies(&delivery, true)).cloned()
    }
}

fn publish(connection: u64, message: &Message) -> Publish {
    Publish {
        connection,
        at: Instant::now(),
        subject: message.subject.clone(),
        reply: message.reply.clone(),
        headers: message.headers.clone(),
        payload: message.payload.clone(),
        answer: None,
    }
}
