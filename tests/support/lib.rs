//! What the tests of this workspace stand on: real NATS servers, real processes, a proxy that loses answers, and a
//! small HTTP client.
//!
//! Everything here panics when it cannot do its work: in a test the panic message *is* the report, so each says what
//! was wanted, what happened and where the log lies.
//!
//! ```no_run
//! use std::time::Duration;
//! use support::{Cluster, Daemon, Proxy};
//!
//! # async fn example() {
//! let cluster = Cluster::three().await;
//! let proxy = Proxy::start(&cluster.url_of(0)).await;
//! let daemon = Daemon::start(["--nats", &proxy.url()]).await;
//!
//! let lost = proxy.on(|publish| publish.subject.ends_with(".lock.a")).lose_answer();
//! let mut hold = daemon.api().open("POST", "/v1/locks/a/hold", "{}").await;
//! lost.fired_once(Duration::from_secs(5)).await;
//! hold.event("held", Duration::from_secs(5)).await;
//! # }
//! ```
//!
//! **Nothing is left behind.** Every process started here ends when its handle is dropped (so also when the test
//! panics) and when the test process itself dies, whatever kills it. See [`run`] for how.

pub mod authority;
pub mod binary;
pub mod chance;
pub mod child;
pub mod cluster;
pub mod daemon;
pub mod descriptors;
pub mod eventually;
pub mod folder;
pub mod http;
pub mod npm;
pub mod operator;
pub mod port;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod prometheus;
pub mod proxy;
pub mod python;
pub mod run;
pub mod server;
pub mod user;

pub use authority::{Authority, Certified};
pub use binary::{Release, server_binary};
pub use cluster::{Cluster, Messages, Options};
pub use daemon::Daemon;
pub use eventually::eventually;
pub use folder::Folder;
pub use http::{Api, Lines, Response};
pub use operator::Operator;
pub use postgres::{Postgres, Session};
pub use process::{Exit, Launch, Process};
pub use prometheus::Prometheus;
pub use proxy::{Proxy, Publish, Rule, Way};
pub use user::User;
