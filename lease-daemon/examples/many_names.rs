//! What a scrape costs while a hundred thousand names are held: `cargo run --release -p lease-daemon --example many_names`.
//!
//! A daemon serves at most ten thousand leases unless told otherwise, so this is a program that uses the library, on the
//! embedded store, with the daemon's metrics as its observer. Prints memory, time and size, by number of names.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use lease::store::MemoryStore;
use lease::{Ambient as _, Space, SpaceOptions, System};
use lease_daemon::metrics::{Metrics, Named};

const MOST: usize = 100_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let names: [&str; 0] = [];
    let metrics = Arc::new(Metrics::new(Named::new(names, names)?)?);
    let options = SpaceOptions { observer: metrics.clone(), ..SpaceOptions::default() };
    let space = Space::on(MemoryStore::new(options.ambient.clone()), options).await?;
    let mut held = Vec::new();
    for wanted in [0, MOST / 10, MOST] {
        while held.len() < wanted {
            let name = format!("orders.{}", held.len());
            held.push(space.lock(&name).ttl(Duration::from_secs(3600)).acquire().await?);
        }
        report(&space, &metrics, wanted)?;
    }
    // Ends here: giving everything back would be another measurement.
    std::process::exit(0)
}

/// The slowest of a few scrapes, and what the process has grown to.
fn report(space: &Space, metrics: &Metrics, names: usize) -> Result<(), Box<dyn Error>> {
    let mut slowest = Duration::ZERO;
    let mut text = String::new();
    for _ in 0..20 {
        let before = System.now();
        text = metrics.render(Some(&space.vitals()))?;
        slowest = slowest.max(System.now().since(before));
    }
    let value =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or("?");
    println!(
        "{names} names: lease_held {}, scrape {slowest:.1?} and {} bytes, resident {} bytes",
        value(r#"lease_held{kind="lock"}"#),
        text.len(),
        value("process_resident_memory_bytes"),
    );
    Ok(())
}
