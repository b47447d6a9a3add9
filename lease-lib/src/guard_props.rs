//! The note of a regression, as it is read by whoever opens the space later.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::store::{MemoryStore, Store};
use crate::{Attempt, Space, SpaceOptions};

/// Opens a space on a bucket that has this note, and tries to take a lock.
fn granted_beside(note: Body) -> Result<bool, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let options = SpaceOptions::default();
        let store = MemoryStore::new(Arc::clone(&options.ambient));
        let write =
            Write { key: key::REGRESSION.into(), expect: 0, body: note, ttl_secs: 0, id: "note".into() };
        store.write(&write).await.unwrap();
        let space = Space::on(store, options).await.unwrap();
        Ok(matches!(space.lock("a").try_acquire().await?, Attempt::Granted(_)))
    })
}

fn put(text: impl Into<Bytes>) -> Body {
    Body::Put(text.into())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_noted_regression_stops_grants_until_it_is_accepted(
        had in any::<u64>(),
        saw in any::<u64>(),
        accepted in option::of("[a-z]{0,9}"),
        field in "x_[a-z]{0,6}",
    ) {
        let mut note = json!({ "had": had, "saw": saw, "at": "2026", "accepted_by": accepted });
        note[field] = json!({ "newer": true });
        match granted_beside(put(note.to_string())) {
            Ok(granted) => prop_assert!(granted && accepted.is_some(), "{}", note),
            refused => {
                prop_assert_eq!(&refused, &Err(Error::Regressed { had, saw }));
                prop_assert!(accepted.is_none());
            }
        }
    }

    /// A newer release may write what this one cannot read: that something was noted is all that is known, and only
    /// an acceptance that can be read lifts it.
    #[test]
    fn a_note_that_cannot_be_read_stops_grants_too(bytes in vec(any::<u8>(), 0..40), v in 2..9_u32) {
        for note in [bytes, json!({ "v": v, "regressed": { "accepted_by": null } }).to_string().into_bytes()] {
            let refused = granted_beside(put(note));
            prop_assert!(matches!(refused, Err(Error::Regressed { .. })), "{:?}", refused);
        }
    }

    #[test]
    fn a_note_that_was_removed_stops_nothing(bytes in vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(granted_beside(Body::Delete(bytes.into())), Ok(true));
    }
}
