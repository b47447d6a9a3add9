//! The command line, as its users meet it: real programs, real signals, real servers.

mod busy;
mod cluster;
mod command;
mod direct;
mod group;
mod kinds;
mod kit;
mod list;
mod lost;
mod measuring;
mod paused;
mod signals;
mod terminal;
mod usage;
