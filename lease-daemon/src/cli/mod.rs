//! The command line `lease`.
//!
//! ```text
//!  args ─► ls, show, watch, … ─► source ─► http ─► server     a daemon's socket, or the same daemon in this process
//!    │                                      ▲
//!    └───► run ─► queue ─► hold ────────────┘                 a stream that lasts as long as the lease
//!           │
//!           └───► work ──► group ─► launch                    the command's process group
//!                   ├────► notice                             when it must stop (pure)
//!                   └────► signals, terminal
//! ```
//!
//! `lease run` is one loop in `work`: news of the lease, signals, and the clock. Timers only wake it; what happens
//! depends on the clock as it is read then, so a late timer or a stopped process never makes a lease look longer.

mod args;
#[cfg(test)]
mod args_props;
mod bench;
mod breaking;
mod completions;
mod doctor;
mod durations;
mod exit;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod group;
mod hand_over;
mod history;
mod hold;
mod http;
mod launch;
mod ls;
mod notice;
mod observe;
mod ping;
mod queue;
mod run;
mod say;
mod server;
mod show;
mod signals;
mod source;
#[cfg(test)]
mod stream_props;
mod table;
mod terminal;
mod wanted;
mod watch;
mod work;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Verb};
use exit::Exit;
use say::{print, say};

/// Runs the command line on this process's arguments.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    if let Some(exit) = launch::launched(&args) {
        return exit;
    }
    let verb = match Cli::try_parse_from(args) {
        Ok(cli) => cli.verb,
        Err(error) => return explain(&error).into(),
    };
    // One thread: the kernel ties the command to the thread that started it, which must live as long as this process.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(format_args!("cannot start: {error}"));
            return Exit::UNAVAILABLE.into();
        }
    };
    let exit = runtime.block_on(async {
        match verb {
            Verb::Run(args) => run::run(args).await,
            Verb::Elect(args) => run::elect(args).await,
            Verb::Observe(args) => observe::observe(args).await,
            Verb::Watch(args) => watch::watch(args).await,
            Verb::History(args) => history::history(args).await,
            Verb::Break(args) => breaking::break_by_force(args).await,
            Verb::HandOver(args) => hand_over::hand_over(args).await,
            Verb::Ping(args) => ping::ping(args).await,
            Verb::Ls(args) => ls::ls(args).await,
            Verb::Show(args) => show::show(args).await,
            Verb::Bench(args) => bench::bench(args).await,
            Verb::Doctor(args) => doctor::doctor(args).await,
            Verb::Completions(args) => completions::completions(&args),
        }
    });
    // Nothing that still runs in the background is worth waiting for.
    runtime.shutdown_background();
    exit.into()
}

/// `--help` and `--version` are answers; everything else is a complaint about the usage.
fn explain(error: &clap::Error) -> Exit {
    let text = error.render().to_string();
    if error.use_stderr() {
        say(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
        return Exit::USAGE;
    }
    print(&text).map_or_else(|exit| exit, |()| Exit::OK)
}
