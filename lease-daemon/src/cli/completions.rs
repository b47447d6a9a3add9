//! `lease completions`: what a shell needs to know to complete words.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::args::Cli;
use super::exit::Exit;
use super::say::{say, show};

/// `lease completions`.
#[derive(Clone, Debug, Args)]
pub(super) struct Completions {
    /// For which shell: put the output where that shell looks, e.g. ~/.local/share/bash-completion/completions/lease
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Writes the script.
pub(super) fn completions(args: &Completions) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lease", &mut script);
    match String::from_utf8(script) {
        Ok(script) => show(&script),
        Err(error) => {
            say(format_args!("the script is no text: {error}"));
            Exit::UNAVAILABLE
        }
    }
}
