//! The environment beside the command line: each flag names its variable.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{Command, CommandFactory, Error, FromArgMatches};

use super::args::Args;
use crate::failure::Failure;

/// What a command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// To run, or to check.
    Run(Box<Args>),
    /// A text to print: the help or the version.
    Show(String),
}

/// Reads a command line, program name first, and the variables that stand in for missing flags.
///
/// # Errors
/// One line that names the flag or the variable.
pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Asked, Failure> {
    let words: Vec<_> = words.into_iter().collect();
    let command = without(Args::command(), is_empty);
    match parse(&command, &words) {
        Ok(args) => Ok(Asked::Run(Box::new(args))),
        Err(answer) if !answer.use_stderr() => Ok(Asked::Show(answer.render().to_string())),
        Err(error) => Err(Failure::usage(blame(&command, &words, &error))),
    }
}

fn parse(command: &Command, words: &[OsString]) -> Result<Args, Error> {
    Args::from_arg_matches(&command.clone().try_get_matches_from(words)?)
}

/// The same command, blind to some variables.
fn without(command: Command, blind: impl Fn(&clap::Arg) -> bool) -> Command {
    command.mut_args(|arg| if blind(&arg) { arg.env(Resettable::Reset) } else { arg })
}

fn is_empty(arg: &clap::Arg) -> bool {
    arg.get_env().is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()))
}

/// The complaint, in one line; with the variable that it is about, if it is about one.
fn blame(command: &Command, words: &[OsString], error: &Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let said: Vec<_> = lines.take_while(|line| !line.starts_with("Usage:")).collect();
    let said = said.join("; ").replace("error: ", "").replace("; For more information, try '--help'.", "");
    let value = matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation);
    let culprit = command.get_arguments().find(|arg| {
        value && arg.get_env().is_some() && {
            let id = arg.get_id().clone();
            parse(&without(command.clone(), |other| *other.get_id() == id), words).is_ok()
        }
    });
    match culprit.and_then(clap::Arg::get_env) {
        Some(variable) => format!("${}: {said}", variable.to_string_lossy()),
        None => format!("{said}; see lease-daemon --help"),
    }
}
