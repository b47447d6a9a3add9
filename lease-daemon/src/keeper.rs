//! The task that keeps one lease for a client, and alone owns it.

use bytes::Bytes;
use lease::{End, GuardedValue, Loss, Payload, sleep_until};
use tokio::sync::{mpsc, oneshot, watch};

use crate::app::CLOCK;
use crate::grip::Grip;
use crate::held::{Fate, Outcome, undecided};
use crate::wire::Problem;

/// Where an answer goes; whoever asked may have gone.
type Tell<T> = oneshot::Sender<Result<T, Problem>>;

/// What a keeper is asked for. One is served at a time, in their order; each comes to an end, at the latest with the lease.
#[derive(Debug)]
pub enum Order {
    /// Renew, and say when it is confirmed.
    Renew(oneshot::Sender<()>),
    /// Say this to others from now on.
    Say(Payload, Tell<()>),
    /// Write a guarded value.
    Put(String, Bytes, Tell<()>),
    /// Delete a guarded value.
    Delete(String, Tell<()>),
    /// Read a guarded value.
    Get(String, Tell<Option<GuardedValue>>),
    /// Hand it to whoever waits under this name.
    HandOver(String, Tell<()>),
}

impl Order {
    /// Whether something stands in the store afterwards that its asker may want to know of.
    pub fn writes(&self) -> bool {
        matches!(self, Order::Say(..) | Order::Put(..) | Order::Delete(..))
    }
}

/// An order to give the lease back.
#[derive(Debug)]
pub struct Ending {
    /// What the next holder is told.
    pub why: End,
    /// Is told how that went.
    pub told: oneshot::Sender<Outcome>,
}

/// Whether the record stands under its holder's name after such a loss: then it is given back once the holder lets go.
pub fn is_kept(loss: &Loss) -> bool {
    matches!(loss, Loss::Draining | Loss::Broken(_) | Loss::Together(_))
}

/// The task that keeps the lease. It must be run.
#[derive(Debug)]
pub struct Keeper {
    /// Gone once it was handed over.
    grip: Option<Grip>,
    fate: watch::Sender<Option<Fate>>,
    orders: mpsc::Receiver<Order>,
    end: oneshot::Receiver<Ending>,
}

/// How the keeping ends.
enum Last {
    /// Somebody gives it back.
    Asked(Ending),
    Lost(Loss),
    HandedOver,
}

impl Keeper {
    /// A keeper of `grip`, which tells its `fate`, and takes `orders` until one to `end` comes.
    pub fn new(
        grip: Grip,
        fate: watch::Sender<Option<Fate>>,
        orders: mpsc::Receiver<Order>,
        end: oneshot::Receiver<Ending>,
    ) -> Keeper {
        Keeper { grip: Some(grip), fate, orders, end }
    }

    /// Keeps the lease until it is lost, given back or handed over.
    ///
    /// If the daemon is stopping, the holder is told, and the lease is kept until it lets go; should the process end before,
    /// it is left to its TTL. Nobody is granted it under a client that still works.
    pub async fn run(mut self) {
        let (grip, last) = self.keep().await;
        let fate = match &last {
            Last::Asked(_) => Fate::Released,
            Last::Lost(loss) => Fate::Lost(loss.clone()),
            Last::HandedOver => Fate::HandedOver,
        };
        self.fate.send_replace(Some(fate));
        let Some(grip) = grip else { return };
        let ending = match last {
            Last::Asked(ending) => Some(ending),
            Last::Lost(Loss::Draining) => Some(self.let_go().await),
            // The mark of whoever broke it frees nothing: its holder is to hear of that before anybody else can be granted
            // it. By its deadline it has stopped.
            Last::Lost(loss) if is_kept(&loss) => {
                let deadline = *grip.renewals().borrow();
                tokio::select! {
                    biased;
                    ending = self.let_go() => Some(ending),
                    () = sleep_until(&CLOCK, deadline) => None,
                }
            }
            Last::Lost(_) | Last::HandedOver => None,
        };
        match ending {
            Some(Ending { why, told }) => {
                // The asker may have gone.
                let _ = told.send(grip.release_as(why).await);
            }
            // What was lost is given back all the same, if it is still ours: then it need not run out first.
            None => {
                let _ = grip.release_as(End::ClientGone).await;
            }
        }
    }

    /// Waits until the client of a daemon that is stopping lets go.
    async fn let_go(&mut self) -> Ending {
        if !self.end.is_terminated()
            && let Ok(ending) = (&mut self.end).await
        {
            return ending;
        }
        // Nobody is left who could ask, and what nobody gave back may be in use: it is kept until the process ends.
        std::future::pending().await
    }

    /// Hands it over, and tells that before anybody else can be granted it: from the moment at which it is given away, not
    /// when the store has answered. (Should it be lost just then, clients hear "handed over" all the same; they stop.)
    /// Not to be interrupted: what it is in the middle of decides who holds.
    async fn hand_over(&self, grip: Grip, to: &str) -> Result<(), (Problem, Option<Grip>)> {
        let over = grip.cancellation();
        let handing = grip.hand_over(to);
        tokio::pin!(handing);
        tokio::select! {
            biased;
            answer = &mut handing => return answer,
            () = over.cancelled() => {}
        }
        self.fate.send_replace(Some(Fate::HandedOver));
        handing.await
    }

    /// Does what it is asked for, until the end. Gives back what is still in its hands then.
    async fn keep(&mut self) -> (Option<Grip>, Last) {
        let Some(mut grip) = self.grip.take() else { return (None, Last::HandedOver) };
        loop {
            let order = tokio::select! {
                biased;
                Ok(ending) = &mut self.end, if !self.end.is_terminated() => return (Some(grip), Last::Asked(ending)),
                loss = grip.lost() => return (Some(grip), Last::Lost(loss)),
                Some(order) = self.orders.recv() => order,
            };
            if let Order::HandOver(to, tell) = order {
                match self.hand_over(grip, &to).await {
                    Ok(()) => {
                        let _ = tell.send(Ok(()));
                        return (None, Last::HandedOver);
                    }
                    Err((problem, Some(still_held))) => {
                        let _ = tell.send(Err(problem));
                        grip = still_held;
                    }
                    Err((problem, None)) => {
                        let _ = tell.send(Err(problem));
                        return (None, Last::HandedOver);
                    }
                }
                continue;
            }
            tokio::select! {
                biased;
                Ok(ending) = &mut self.end, if !self.end.is_terminated() => return (Some(grip), Last::Asked(ending)),
                () = serve(&grip, order) => {}
            }
        }
    }
}

/// Does one thing. Dropping this does not take it back. The asker may have gone, which is no reason not to do it.
async fn serve(grip: &Grip, order: Order) {
    match order {
        Order::Renew(tell) => match grip.renew().await {
            Ok(()) => drop(tell.send(())),
            // That it is lost, the keeper hears next.
            Err(error) => tracing::debug!(%error, "a renewal failed"),
        },
        Order::Say(value, tell) => {
            let write = Write(Some(tell));
            let said = async { Ok(grip.one()?.set_value(&value).await?) };
            write.came_to(said.await);
        }
        Order::Put(key, value, tell) => {
            let write = Write(Some(tell));
            let put = async { Ok(grip.one()?.put(&key, &value).await?) };
            write.came_to(put.await);
        }
        Order::Delete(key, tell) => {
            let write = Write(Some(tell));
            let deleted = async { Ok(grip.one()?.delete(&key).await?) };
            write.came_to(deleted.await);
        }
        Order::Get(key, tell) => {
            let got = async { Ok(grip.one()?.get(&key).await?) };
            let _ = tell.send(got.await);
        }
        // Served where the lease is owned.
        Order::HandOver(_, tell) => drop(tell),
    }
}

/// A write that was begun. Whoever asked for it is told what came of it or, if that is not waited for to the end, that nobody
/// knows: it may have been sent.
struct Write(Option<Tell<()>>);

impl Write {
    fn came_to(mut self, answer: Result<(), Problem>) {
        if let Some(tell) = self.0.take() {
            let _ = tell.send(answer);
        }
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            let _ = tell.send(Err(undecided()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Code;

    #[test]
    fn of_a_write_that_is_not_waited_for_nobody_knows() {
        let (tell, mut told) = oneshot::channel();
        drop(Write(Some(tell)));
        assert_eq!(told.try_recv().expect("told").unwrap_err().code, Code::OutcomeUnknown);
        let (tell, mut told) = oneshot::channel();
        Write(Some(tell)).came_to(Ok(()));
        assert_eq!(told.try_recv().expect("told"), Ok(()));
    }
}
