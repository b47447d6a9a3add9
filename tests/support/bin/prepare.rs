//! Fetches what the tests need beyond the crates, so that it fails early and clearly: run by `tests/run`.

use support::binary::{MIDDLE, OLDEST, TOO_OLD};
use support::{Release, npm, prometheus, python, server_binary};

/// What dashboards are type-checked against.
const SCHEMA: &str = "tests/dashboards/schema";

fn main() {
    let releases = [OLDEST, MIDDLE, TOO_OLD].map(Release::Exactly).into_iter().chain([Release::Pinned]);
    let found = python::python().map(|path| println!("python: {}", path.display())).and_then(|()| {
        releases.into_iter().try_for_each(|release| {
            server_binary(release).map(|path| println!("nats-server, {release:?}: {}", path.display()))
        })
    });
    let found = found.and_then(|()| {
        prometheus::tool("promtool").map(|path| println!("promtool: {}", path.display()))?;
        npm::packages(SCHEMA).map(|path| println!("Grafana's schema: {}", path.display()))
    });
    if let Err(error) = found {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
