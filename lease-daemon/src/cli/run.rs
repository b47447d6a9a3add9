//! `lease run` and `lease elect`: takes a lock, runs a command under it, and gives the lock back when nothing of the
//! command is left.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::time::Duration;

use lease::{Ambient, System};
use rustix::termios::isatty;

use super::args::{Elect, How, OnLost, Run};
use super::exit::Exit;
use super::group::Group;
use super::hold::{Hold, Line};
use super::launch;
use super::notice::Notice;
use super::queue::{Ended, turn};
use super::say::say;
use super::signals::Signals;
use super::source::{Refusal, Source};
use super::terminal::Terminal;
use super::wanted::{Wanted, What};
use super::work::{Outcome, Work};
use crate::wire::Grant;

/// `lease run`, to the exit code.
pub(super) async fn run(args: Run) -> Exit {
    match args.what() {
        Ok(what) => under(&what, &args.how).await,
        Err(why) => {
            say(why);
            Exit::USAGE
        }
    }
}

/// `lease elect`, to the exit code.
pub(super) async fn elect(args: Elect) -> Exit {
    under(&args.what(), &args.how).await
}

/// Runs a command under something.
async fn under(what: &What, args: &How) -> Exit {
    if let Err(why) = args.check() {
        say(why);
        return Exit::USAGE;
    }
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            say(format_args!("cannot listen for signals: {error}"));
            return Exit::UNAVAILABLE;
        }
    };
    let source = tokio::select! {
        biased;
        signal = signals.next() => return Exit::signal(signal.as_raw()),
        source = Source::open(&args.place) => source,
    };
    let source = match source {
        Ok(source) => source,
        Err(refusal) => return refused(args, &refusal),
    };
    let outcome = match wait(what, args, &source, &mut signals).await {
        Ok(hold) => work(what, args, hold, &mut signals).await,
        Err(Ended::Refused(refusal)) => Outcome::not_started(refused(args, &refusal)),
        Err(Ended::Signal(signal)) => Outcome::not_started(Exit::signal(signal.as_raw())),
    };
    source.server.close(patience(outcome)).await;
    outcome.exit
}

async fn wait(what: &What, args: &How, source: &Source, signals: &mut Signals) -> Result<Hold, Ended> {
    let wanted = Wanted { what: what.clone(), ttl: args.ttl, wait: args.limit(), metadata: args.metadata() };
    let line = Line::join(source.server.clone(), wanted);
    let tell = args.verbose || isatty(io::stderr());
    turn(source, line, what, tell, signals).await
}

async fn work(what: &What, args: &How, mut hold: Hold, signals: &mut Signals) -> Outcome {
    let names = what.names();
    let outcome = start(&names, args, &mut hold, signals).await;
    if !outcome.is_gone {
        // Something of the command works on: nobody is told that it has stopped. Our end gives back what there is.
        return outcome;
    }
    if let Err(why) = hold.release(patience(outcome)).await
        && !outcome.lost
    {
        say(format_args!("{names} may stay taken for up to its ttl: giving it back failed: {why}"));
    }
    outcome
}

/// How long to wait for an answer when giving back. A lease that is lost was most likely lost because there are none.
fn patience(outcome: Outcome) -> Duration {
    Duration::from_secs(if outcome.lost { 1 } else { 5 })
}

async fn start(names: &str, args: &How, hold: &mut Hold, signals: &mut Signals) -> Outcome {
    let mut notice = Notice::new(args.on_lost, args.kill_after(), hold.deadline());
    // We may have been stopped since the grant.
    if notice.due(System.now()).is_some() {
        say(format_args!("the lease of {names} was over before the command could be started"));
        return Outcome { exit: Exit::LOST, lost: true, is_gone: true };
    }
    if let Err(error) = signals.attend() {
        say(format_args!("cannot listen for signals: {error}"));
        return Outcome::not_started(Exit::UNAVAILABLE);
    }
    let mut env = BTreeMap::from([
        ("LEASE_NAME", OsString::from(names)),
        ("LEASE_TOKEN", OsString::from(tokens(names, hold.what()))),
    ]);
    if let Some(socket) = hold.socket() {
        env.insert("LEASE_SOCKET", socket.into());
        env.insert("LEASE_ID", hold.id().into());
    }
    let group = match Group::start(&args.command, env, args.on_lost != OnLost::Ignore) {
        Ok(group) => group,
        Err(error) => {
            let program = args.command.first().cloned().unwrap_or_default();
            return Outcome::not_started(launch::failed(&program, &error));
        }
    };
    let mut terminal = Terminal::find();
    if let Some(terminal) = &mut terminal
        && Terminal::is_wanted()
    {
        terminal.lend(group.id());
    }
    Work { name: names, hold, notice, on_lost: args.on_lost, group, terminal, signals }.finish().await
}

/// The token, or those of all names in the order of the names.
fn tokens(names: &str, what: &Grant) -> String {
    match what {
        Grant::One { token, .. } => token.to_string(),
        Grant::All { tokens } => {
            let each = names.split(' ').filter_map(|name| tokens.get(name)).map(u64::to_string);
            each.collect::<Vec<_>>().join(" ")
        }
    }
}

fn refused(args: &How, refusal: &Refusal) -> Exit {
    say(&refusal.text);
    if refusal.exit == Exit::BUSY { Exit::code(args.conflict_exit_code) } else { refusal.exit }
}
