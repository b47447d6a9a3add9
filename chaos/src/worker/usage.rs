//! Using what a lock protects.

use crate::history::{Answer, Op, What};
use crate::random::Random;
use crate::register::{Client, Request};

use super::held::Held;
use super::voice::Voice;
use crate::history::Kind;

/// One use, decided and said before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    op: Op,
    resource: String,
    /// The token and the value of a write; nothing for a read.
    write: Option<(u64, u64)>,
    /// Whether the store guards it itself.
    is_guarded: bool,
}

impl Use {
    /// Chooses a use, and says it. To be called only right after a look at the lease. `None` if nothing is protected:
    /// tokens of a semaphore order its slots only, which are not told.
    pub fn begin(
        op: Op,
        kind: Kind,
        tokens: &std::collections::BTreeMap<String, u64>,
        is_guarded: bool,
        value: u64,
        random: &mut Random,
        voice: &Voice,
    ) -> Option<Use> {
        if kind == Kind::Semaphore {
            return None;
        }
        let names: Vec<(&String, &u64)> = tokens.iter().collect();
        let (name, token) = random.pick(&names).copied()?;
        let resource = if is_guarded { format!("data.{name}") } else { name.clone() };
        let is_read = kind == Kind::Shared || random.chance(25);
        let write = (!is_read).then_some((*token, value));
        voice.say(match write {
            None => What::Reads { op, resource: resource.clone() },
            Some((token, value)) => What::Uses { op, resource: resource.clone(), token, value },
        });
        Some(Use { op, resource, write, is_guarded })
    }

    /// Does it, and gives what is to be said then.
    pub async fn carry_out(self, held: Option<&Held>, client: &mut Client) -> Option<What> {
        let Use { op, resource, write, is_guarded } = self;
        if is_guarded {
            let held = held?;
            return match write {
                Some((_, value)) => {
                    let answer = held.put(&resource, value).await;
                    Some(What::Used { op, value, answer, before: None })
                }
                None => held.get(&resource).await.map(|value| What::Saw { op, resource, value }),
            };
        }
        let request = match write {
            Some((token, value)) => Request::Write { resource: resource.clone(), token, value },
            None => Request::Read { resource: resource.clone() },
        };
        let reply = client.ask(&request).await;
        match write {
            None => reply.map(|reply| What::Saw { op, resource, value: reply.value }),
            Some((_, value)) => {
                let answer = reply.map_or(Answer::Unknown, |reply| {
                    if reply.accepted { Answer::Accepted } else { Answer::Refused }
                });
                let before = reply.filter(|reply| reply.accepted).map(|reply| reply.value);
                Some(What::Used { op, value, answer, before })
            }
        }
    }
}
