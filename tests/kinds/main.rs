//! What the library gives beside the mutex, on the embedded store and on real servers.

mod history;
mod history_wire;
mod watch;

use lease::{Space, SpaceOptions};

/// A space on a real server.
async fn space(url: &str) -> Space {
    Space::connect(url, SpaceOptions::default()).await.expect("the bucket opens")
}
