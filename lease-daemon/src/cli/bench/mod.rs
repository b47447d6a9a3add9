//! `lease bench`: how fast it is here, beside the raw limit of the same run.

mod client;
mod figures;

use std::time::Duration;

use clap::Args;
use lease::{Ambient, Moment, System, fresh_id};
use tokio::task::JoinSet;

use super::args::Place;
use super::durations;
use super::exit::Exit;
use super::say::{say, show};
use super::server::Server;
use super::source::Refusal;
use super::table::Table;
use crate::wire::Span;
use client::Client;
use figures::Figures;

/// The most clients: half of the connections that a daemon serves.
const MAX_CLIENTS: i64 = 512;
/// The ttl of the locks: should the measurement be killed, they are gone after this.
const TTL: Span = Span(Duration::from_secs(5));
/// How long the last round of each client may take once the time is up: a waiter may have everybody before it.
const LAST_ROUND: Duration = Duration::from_secs(30);

/// `lease bench`.
#[derive(Clone, Debug, Args)]
pub(super) struct Bench {
    /// How many clients at a time, each with a connection of its own
    #[arg(short = 'c', long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=MAX_CLIENTS))]
    pub clients: u16,
    /// How long each of the parts takes; a bare number is seconds
    #[arg(long = "for", value_name = "DUR", default_value = "3s", value_parser = span)]
    pub span: Duration,
    /// One JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,
    /// Where the locks are.
    #[command(flatten)]
    pub place: Place,
}

fn span(text: &str) -> Result<Duration, String> {
    let span = durations::wait(text)?;
    let allowed = Duration::from_millis(100)..=Duration::from_secs(3600);
    if allowed.contains(&span) { Ok(span) } else { Err("allowed is 100ms to 1h".to_owned()) }
}

/// What a client does, again and again.
#[derive(Clone, Debug)]
enum Round {
    /// Asks for something that needs no lock.
    Get(&'static str),
    /// Takes a lock and gives it back: one of its own, or one that all want.
    Cycle { base: String, own: bool },
}

/// Measures, and shows the figures.
pub(super) async fn bench(args: Bench) -> Exit {
    match measure(&args).await {
        Ok(figures) if args.json => show(&figures.iter().map(line).collect::<String>()),
        Ok(figures) => {
            let mut table = Table::new(&["WHAT", "CLIENTS", "PER SECOND", "P50", "P99", "MAX"]);
            figures.iter().for_each(|figures| table.row(figures.row()));
            show(&table.render())
        }
        Err(refusal) => refusal.told(),
    }
}

async fn measure(args: &Bench) -> Result<Vec<Figures>, Refusal> {
    let server = Server::open(&args.place).await?;
    let base = format!("bench.{}", fresh_id(&System));
    let clients = usize::from(args.clients);
    let own = Round::Cycle { base: base.clone(), own: true };
    let parts = [
        // The raw limits: what a request costs at all, and what one question to the store costs.
        ("request", 1, Round::Get("/healthz")),
        ("store", 1, Round::Get("/readyz")),
        ("cycle", 1, own.clone()),
        ("cycle", clients, own),
        ("hand-over", clients, Round::Cycle { base, own: false }),
    ];
    let mut figures = Vec::new();
    for (what, clients, round) in parts {
        if !args.json {
            say(format_args!("{what} by {clients}, for {}", Span(args.span)));
        }
        figures.push(part(&server, what, clients, &round, args.span).await?);
    }
    server.close(Duration::from_secs(1)).await;
    Ok(figures)
}

/// One part: all clients at once, each until the time is up. The first that fails ends it.
async fn part(
    server: &Server,
    what: &'static str,
    clients: usize,
    round: &Round,
    span: Duration,
) -> Result<Figures, Refusal> {
    let mut ready = Vec::new();
    for _ in 0..clients {
        ready.push(Client::connect(server).await?);
    }
    let begun = System.now();
    let until = begun + span;
    let mut working = JoinSet::new();
    for (number, client) in ready.into_iter().enumerate() {
        working.spawn(rounds(client, number, round.clone(), until));
    }
    let all = async {
        let mut taken = Vec::new();
        while let Some(done) = working.join_next().await {
            let done = done.map_err(|error| Refusal::unavailable(format!("a client failed: {error}")))?;
            taken.extend(done?);
        }
        Ok(taken)
    };
    let taken = tokio::time::timeout(span + LAST_ROUND, all).await.unwrap_or_else(|_| {
        Err(Refusal::unavailable(format!("{what}: some clients still wait {LAST_ROUND:?} after its end")))
    })?;
    Ok(Figures::of(what, clients, System.now().since(begun), taken))
}

/// Round after round; how long each took.
async fn rounds(
    mut client: Client,
    number: usize,
    round: Round,
    until: Moment,
) -> Result<Vec<Duration>, Refusal> {
    let mut taken = Vec::new();
    while System.now() < until {
        let begun = System.now();
        match &round {
            Round::Get(path) => client.get(path).await?,
            Round::Cycle { base, own } => {
                let name = if *own { format!("{base}.{number}") } else { format!("{base}.all") };
                let lease = client.acquire(&name, TTL).await?;
                client.release(&lease).await?;
            }
        }
        taken.push(System.now().since(begun));
    }
    Ok(taken)
}

/// One object, one line.
fn line(figures: &Figures) -> String {
    // Strings and finite numbers always encode.
    serde_json::to_string(figures).unwrap_or_default() + "\n"
}
