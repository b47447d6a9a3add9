//! `GET /v1/watch` and `GET /v1/locks/{name}/watch`: what happens to locks, as it happens.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::Uri;
use axum::response::Response;
use futures_util::stream::{BoxStream, Stream, StreamExt};
use lease::{Error, Happened, Name, Space, Transition, WatchEvent, WatchFrom};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::answer::lines;
use super::document::answers::Lines;
use super::document::refusals::{Looking, OfFilter, OfName, OfQuery, Refused, Watching};
use super::input::Over;
use super::locks::no_filter;
use super::may::MayObserve;
use crate::app::App;
use crate::peer::Connection;
use crate::policy::Operation;
use crate::wire::shapes::{After, Filter};
use crate::wire::{Change, Changed, Code, Previous, Problem};

/// The highest revision that there can be.
const MAX_REVISION: u64 = 1 << 53;

/// The query of one lock's watch.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct OfOne {
    /// After this revision; `now` for what happens from now on; if omitted, beginning with what is held now.
    #[param(value_type = After, required = false)]
    from: Option<Start>,
    /// Whether to tell of renewals too; `false` if omitted.
    renewals: Option<bool>,
}

/// The query of a watch of many.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct OfMany {
    /// Which locks; all if omitted.
    #[param(value_type = Filter, required = false)]
    filter: Option<String>,
    /// After this revision; `now` for what happens from now on; if omitted, beginning with what is held now.
    #[param(value_type = After, required = false)]
    from: Option<Start>,
    /// Whether to tell of renewals too; `false` if omitted.
    renewals: Option<bool>,
}

/// Where to begin: a revision, `now`, or, if omitted, with what is held now.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Start(WatchFrom);

impl TryFrom<String> for Start {
    type Error = String;

    fn try_from(text: String) -> Result<Start, String> {
        match text.parse::<u64>() {
            Ok(revision) if revision < MAX_REVISION => Ok(Start(WatchFrom::After(revision))),
            _ if text == "now" => Ok(Start(WatchFrom::Now)),
            _ => {
                let shown: String = text.chars().take(40).collect();
                Err(format!("from {shown:?}: allowed is a revision below 2^53, or now"))
            }
        }
    }
}

/// Watches one lock.
#[utoipa::path(get, path = "/v1/locks/{name}/watch", params(MayObserve, OfOne), operation_id = "watch",
    responses(Lines<Change>, Refused<(OfName, OfQuery, Looking, Watching)>))]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    MayObserve(name): MayObserve,
    Over(connection): Over,
    uri: Uri,
) -> Result<Response, Problem> {
    let Query(OfOne { from, renewals }) = Query::try_from_uri(&uri).map_err(|error| {
        Problem::new(Code::InvalidQuery, format!("{}; known are: from, renewals=true", error.body_text()))
    })?;
    let told = change(renewals);
    follow(&app, &connection, Some(name.as_str()), open(name.as_str(), from), told)
}

/// Watches all that match a filter and may be observed.
#[utoipa::path(get, path = "/v1/watch", params(OfMany), operation_id = "many",
    responses(Lines<Change>, Refused<(OfQuery, OfFilter, Looking, Watching)>))]
pub(super) async fn many(
    State(app): State<Arc<App>>,
    Over(connection): Over,
    uri: Uri,
) -> Result<Response, Problem> {
    let Query(OfMany { filter, from, renewals }) = Query::try_from_uri(&uri).map_err(|error| {
        let detail = format!("{}; known are: filter, from, renewals=true", error.body_text());
        Problem::new(Code::InvalidQuery, detail)
    })?;
    let filter = filter.as_deref().unwrap_or(">");
    app.access.check_many(&connection.peer, filter)?;
    let (access, peer, told) = (Arc::clone(&app.access), connection.peer.clone(), change(renewals));
    let name = Name::new(filter).is_ok().then_some(filter);
    follow(&app, &connection, name, open(filter, from), move |event| {
        let shown = match &event {
            Ok(WatchEvent::Happened(happened)) => {
                access.policy().allows(&peer, Operation::Observe, &happened.name).is_ok()
            }
            _ => true,
        };
        if shown { told(event) } else { None }
    })
}

/// What opens a watch of locks.
fn open(filter: &str, from: Option<Start>) -> impl FnOnce(&Space) -> Result<Events, Problem> {
    let from = from.map_or(WatchFrom::Present, |Start(from)| from);
    move |space| Ok(space.watch(filter, from).map_err(no_filter)?.boxed())
}

/// What happens to locks.
type Events = BoxStream<'static, Result<WatchEvent, Error>>;

/// What is told of that: of renewals only if they are asked for.
fn change(renewals: Option<bool>) -> impl Fn(Result<WatchEvent, Error>) -> Option<Change> + Send + 'static {
    let renewals = renewals.unwrap_or_default();
    move |event| {
        let change = Change::from(event);
        (renewals || !matches!(change, Change::Renewed(_))).then_some(change)
    }
}

/// Answers with what is told of the events of the stream that `open` opens, until the client goes, the daemon stops, or
/// the one name that it is about may not be observed any more.
pub(super) fn follow<E, T: Serialize + Send + Sync + 'static, S: Stream<Item = E> + Send + 'static>(
    app: &App,
    connection: &Connection,
    name: Option<&str>,
    open: impl FnOnce(&Space) -> Result<S, Problem>,
    told: impl Fn(E) -> Option<T> + Send + 'static,
) -> Result<Response, Problem> {
    let space = app.space()?;
    let seat = app.watches.take(connection.peer.uid, Vec::new())?;
    let names = name.map(str::to_owned).into_iter().collect();
    let mut permit = app.access.permit(&connection.peer, Operation::Observe, names);
    let draining = app.draining.clone();
    let over = async move {
        tokio::select! {
            () = draining.cancelled_owned() => {}
            _ = permit.withdrawn() => {}
        }
    };
    let events = open(space)?.take_until(Box::pin(over));
    Ok(lines(events.filter_map(move |event| {
        let _held_as_long_as_the_stream = &seat;
        std::future::ready(told(event))
    })))
}

impl From<Result<WatchEvent, Error>> for Change {
    fn from(event: Result<WatchEvent, Error>) -> Change {
        match event {
            Ok(WatchEvent::Happened(happened)) => Change::from(happened),
            Ok(WatchEvent::Resync) => Change::Resync,
            Ok(WatchEvent::Gap { after, to }) => Change::Gap { after, to },
            // What a newer library tells has no word yet.
            Ok(_) => Change::Unknown,
            Err(error) => {
                let Problem { code, detail, .. } = Problem::from(error);
                Change::Failed { reason: code.to_string(), detail }
            }
        }
    }
}

impl From<Happened> for Change {
    fn from(Happened { name, revision, what }: Happened) -> Change {
        let changed = |holder: lease::Holder| Changed {
            name: name.clone(),
            revision,
            token: holder.token.get(),
            holder: holder.into(),
        };
        match what {
            Transition::Granted(holder) => Change::Granted(changed(holder)),
            Transition::Renewed(holder) => Change::Renewed(changed(holder)),
            Transition::Changed(holder) => Change::Changed(changed(holder)),
            Transition::Broken { holder, reason } => Change::Broken { changed: changed(holder), reason },
            Transition::Ended(previous) => {
                let Previous { token, holder, ended, why } = Previous::from(&previous);
                Change::Released { name, revision, token, holder, ended, why }
            }
            Transition::Expired(holder) => Change::Expired(changed(holder)),
            // As above.
            _ => Change::Unknown,
        }
    }
}
