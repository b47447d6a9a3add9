//! The sidecar: settings, build, listen, wait, drain.

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use lease_daemon::access::Access;
use lease_daemon::activation;
use lease_daemon::app::App;
use lease_daemon::config::Config;
use lease_daemon::config::args::Args;
use lease_daemon::config::environment::{self, Asked};
use lease_daemon::drain::{self, Signals};
use lease_daemon::failure::Failure;
use lease_daemon::listen::Socket;
use lease_daemon::metrics::Metrics;
use lease_daemon::policy::Policy;
use lease_daemon::supervisor::Supervisor;
use lease_daemon::{api, limits, reload, serve, start, watchdog};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    // What was passed is taken while there is one thread.
    let passed = activation::passed();
    let (args, config) = match configure() {
        Ok(Some(start)) => start,
        Ok(None) => return ExitCode::SUCCESS,
        Err(failure) => return report(&failure),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::internal(error)),
    };
    match runtime.block_on(async { run(args, &config, passed?).await }) {
        // The process ends here and now: leases that are left to their TTL must not be dropped one by one, because
        // dropping a lease releases it.
        Ok(()) => std::process::exit(0),
        Err(failure) => report(&failure),
    }
}

/// What was asked for, and the settings; none if they were only to be shown.
fn configure() -> Result<Option<(Args, Config)>, Failure> {
    let args = match environment::read(std::env::args_os())? {
        Asked::Run(args) => args,
        Asked::Show(text) => return show(&text),
    };
    let config = Config::load(&args)?;
    if args.check { show(&config.to_toml()?) } else { Ok(Some((*args, config))) }
}

fn show(text: &str) -> Result<Option<(Args, Config)>, Failure> {
    // Whoever does not read to the end has seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(None)
}

fn report(failure: &Failure) -> ExitCode {
    // There may be nobody to tell.
    let _ = writeln!(std::io::stderr(), "lease-daemon: {failure}");
    failure.exit_code()
}

async fn run(args: Args, config: &Config, passed: Option<UnixListener>) -> Result<(), Failure> {
    let filter = config.log.parse::<tracing_subscriber::EnvFilter>().map_err(Failure::internal)?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let mut bounds = config.limits.clone();
    limits::raise(&mut bounds);

    let metrics = Arc::new(Metrics::new(config.metrics.named()?).map_err(Failure::internal)?);
    let store = if config.nats.url.is_some() { "nats" } else { "embedded" };
    let policy = Policy::new(config.policy.as_deref()).map_err(Failure::config)?;
    let app = Arc::new(App::new(store, Access::new(policy), bounds, Arc::clone(&metrics)));

    let mut signals = Signals::new().map_err(Failure::internal)?;
    let supervisor = Arc::new(Supervisor::from_env());
    tokio::spawn(reload::serve(
        reload::listen()?,
        args,
        config.clone(),
        Arc::clone(&app.access),
        Arc::clone(&supervisor),
    ));
    let socket = Arc::new(match passed {
        Some(passed) => Socket::passed(passed)?,
        None => Socket::bind(&config.socket)?,
    });
    let path = socket.path();
    let stop = CancellationToken::new();
    let serving = {
        let (socket, app, stop) = (Arc::clone(&socket), Arc::clone(&app), stop.clone());
        tokio::spawn(async move { serve::unix(&socket, api::router(Arc::clone(&app)), app, stop).await })
    };
    if let Some(address) = config.metrics.address {
        let listener = serve::bind_tcp(address).await?;
        tokio::spawn(serve::tcp(listener, api::metrics_router(Arc::clone(&app)), app.limits.clone()));
    }

    supervisor.status("waiting for the store");
    let opened = tokio::select! {
        space = start::open(config, &metrics) => { app.open(space?); true }
        signal = signals.next() => { tracing::info!(signal, "stopped before the store was reached"); false }
    };
    if opened {
        tracing::info!(socket = %path.display(), store, "ready");
        try_next(path);
        supervisor.status("ready");
        supervisor.ready();
        tokio::spawn(watchdog::feed(Arc::clone(&app), Arc::clone(&supervisor)));
        let signal = signals.next().await;
        tracing::info!(signal, "stopping; a second signal stops at once");
    }
    supervisor.stopping();
    supervisor.status("stopping: waiting for clients to let go");
    tokio::select! {
        () = drain::drain(&app, config.drain.within.0) => {}
        signal = signals.next() => {
            tracing::warn!("stopped at once: what is held ends by its TTL");
            std::process::exit(128 + signal);
        }
    }
    stop.cancel();
    // Clients that do not read their answers are not waited for.
    let _ = tokio::time::timeout(serve::GOODBYE, serving).await;
    socket.remove();
    Ok(())
}

/// Shows what to try.
fn try_next(socket: &Path) {
    let socket = socket.display().to_string();
    let plain = socket.bytes().all(|c| c.is_ascii_alphanumeric() || b"/._-+=:,@%".contains(&c));
    let socket = if plain { socket } else { format!("'{}'", socket.replace('\'', r"'\''")) };
    let line =
        format!(r#"curl --unix-socket {socket} -d '{{"ttl":"5s"}}' http://localhost/v1/locks/hello/acquire"#);
    // Nobody may be reading.
    let _ = writeln!(std::io::stdout(), "{line}");
}
