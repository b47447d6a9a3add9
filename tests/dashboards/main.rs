//! Dashboards, rules and runbooks: that they fit the daemon, Grafana and each other, and what they show of a fault.

mod board;
mod coverage;
mod fault;
mod layout;
mod load;
mod pace;
mod pictures;
mod promql;
mod rules;
mod schema;
mod scrape;
