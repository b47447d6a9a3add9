//! What is known of the store without asking it.

use crate::space::Space;

/// How the store stands, as far as this process knows at the moment. Fit for a gauge, and for nothing else: none of it
/// decides who holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vitals {
    /// Whether it can be reached.
    pub is_connected: bool,
    /// How many connections have followed the first.
    pub reconnects: u64,
    /// On how many servers each write is kept, when the bucket was last looked at; 0 on the embedded store, whose locks
    /// end with the process.
    pub replicas: u64,
    /// Whether it was seen to have lost acknowledged writes, which nobody has accepted yet: nothing is granted.
    pub is_regressed: bool,
}

impl Space {
    /// How the store stands. Asks nobody.
    pub fn vitals(&self) -> Vitals {
        let core = self.core();
        Vitals {
            is_connected: core.store.connected(),
            reconnects: *core.store.connections().borrow(),
            replicas: core.store.replicas(),
            is_regressed: core.guard.is_regressed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_embedded_store_is_kept_nowhere_else() {
        let vitals = Space::embedded().vitals();
        assert_eq!(vitals, Vitals { is_connected: true, reconnects: 0, replicas: 0, is_regressed: false });
    }
}
