//! How the texts and numbers on the wire look, for the OpenAPI document: with patterns and bounds, so that a generated
//! client, form or test knows what is taken.
//!
//! Durations are described in the notation that the daemon itself writes, and in plain seconds and milliseconds.
//! Whatever else humantime reads is taken too.

use serde_json::{Value, json};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::{Code, Retry, Span};

/// One more than the highest token and revision.
const MOST: u64 = 1 << 53;

/// Declares shapes: types that exist for the document alone.
macro_rules! shapes {
    ($($name:ident $schema:expr, $text:literal, $example:expr;)*) => {$(
        #[doc = $text]
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let example: Value = json!($example);
                $schema.description(Some($text)).examples([example]).into()
            }
        }

        impl ToSchema for $name {}
    )*};
}

shapes! {
    Name text(NAME).max_length(Some(200)),
        "1 to 200 of A-Z a-z 0-9 - _ = / . with no empty token between dots; in a path, / is written %2F.", "orders.42";
    Filter text(FILTER).max_length(Some(200)),
        "A name in which * stands for any token between dots, and > at the end for one or more.", "orders.>";
    Ttl text(TTL),
        "How long the lease lasts without a renewal, as a duration: 2s to 24h; 20s if omitted.", "15s";
    Wait text(WAIT),
        "How long to wait, as a duration: 0s for not at all, at most 30 days; as long as the connection stays if omitted.",
        "30s";
    Grace text(GRACE),
        "For how long nobody is granted the name after this grant, unless it is given back in order, as a duration: 0s to \
         24h, in whole seconds; 0s if omitted.", "5s";
    Heartbeat text(HEARTBEAT),
        "The client writes something, anything, on the connection at least as often, after its request or as more of a \
         chunked body, or counts as dead; as a duration: 1s to the ttl.", "5s";
    Pid number(1, 2_147_483_647),
        "A process of the client's user: the daemon renews the lease while it lives, and gives it back when it ends.", 4242;
    Owner text("").min_length(Some(1)).max_length(Some(256)),
        "Who it is, for people; the client's user and process id if omitted.", "nightly@host-7";
    Metadata ObjectBuilder::new().schema_type(Type::Object).max_properties(Some(32)).additional_properties(Some(
            Schema::Object(ObjectBuilder::new().schema_type(Type::String).build()))),
        "What others may see of the holder: at most 32 entries, and 4 KiB of names and values together.",
        json!({ "build": "1.4.2" });
    Attempt text("^[A-Za-z0-9_.:-]+$").max_length(Some(64)),
        "An id of the caller's making: a repeat under the same name and id, by the same user, returns the same lease.",
        "job-7:1";
    LeaseId text(ID).min_length(Some(22)).max_length(Some(22)),
        "The id of a lease in this daemon, unguessable; of use only to the user to whom it was granted.",
        "0Wm9SxPZk3vHq2LfT7aYcB";
    CandidateId text(ID).min_length(Some(22)).max_length(Some(22)),
        "The id of a candidacy, unguessable, as the candidate's events name it.", "5dKc1NwQy8RzXbJ0eMtGuV";
    Why ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["released", "stopped"])),
        "stopped is for whoever has seen that nothing works under it any more; released if omitted.", "stopped";
    Limit number(1, 500), "How many may hold a permit at a time; all who ask must say the same.", 4;
    Priority ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(i32::MIN)).maximum(Some(i32::MAX)),
        "Who is preferred at the next vacancy: higher is better; 0 if omitted.", 10;
    Token number(0, MOST - 1),
        "A fencing token: it rises with every grant of a name, for ever.", 1795412345678901_u64;
    Tokens ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(number(0, MOST - 1))),
        "The fencing token of each name.", json!({ "a": 1795412345678901_u64, "b": 1795412345678902_u64 });
    After OneOfBuilder::new()
            .item(number(0, MOST - 1))
            .item(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["now"]))),
        "After this revision, or from now on.", "now";
    Revision number(0, MOST - 1), "A revision of the store.", 1795412345678901_u64;
    Time text(""), "A moment by a wall clock, RFC 3339.", "2026-03-01T12:00:00.123Z";
    By text(BY).max_length(Some(200)),
        "Who answers for it: at most 200 bytes, without control characters, and not blank.", "ops@example.org";
    Reason ObjectBuilder::new().schema_type(Type::String).max_length(Some(1024)),
        "Why, for people: at most 1,024 bytes.", "its host is being repaired";
}

/// A name, exactly.
pub(crate) const NAME: &str = r"^[A-Za-z0-9_=/-]+(\.[A-Za-z0-9_=/-]+)*$";
/// A filter, exactly.
pub(crate) const FILTER: &str = r"^(([A-Za-z0-9_=/-]+|\*)\.)*([A-Za-z0-9_=/-]+|\*|>)$";
/// Something that is no space, and no control character.
const BY: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";
/// What ids look like.
const ID: &str = "^[0-9A-Za-z]+$";
/// From 2 s to 24 h.
pub(crate) const TTL: &str = r"^(24h|([1-9]|1[0-9]|2[0-3])h( ?[1-5]?[0-9]m)?( ?[1-5]?[0-9](\.[0-9]{1,3})?s)?|([1-9]|[1-5][0-9])m( ?[1-5]?[0-9](\.[0-9]{1,3})?s)?|([2-9]|[1-9][0-9]{1,3}|[1-7][0-9]{4})(\.[0-9]{1,3})?s|([2-9][0-9]{3}|[1-9][0-9]{4,6})ms)$";
/// From 1 s to 24 h: that it is no longer than the ttl cannot be said here.
pub(crate) const HEARTBEAT: &str = r"^(24h|([1-9]|1[0-9]|2[0-3])h( ?[1-5]?[0-9]m)?( ?[1-5]?[0-9](\.[0-9]{1,3})?s)?|([1-9]|[1-5][0-9])m( ?[1-5]?[0-9](\.[0-9]{1,3})?s)?|([1-9][0-9]{0,3}|[1-7][0-9]{4})(\.[0-9]{1,3})?s|[1-9][0-9]{3,6}ms)$";
/// From 0 s to 30 days.
pub(crate) const WAIT: &str = r"^(([12]?[0-9]|30)days?|[1-9]?[0-9]h( ?[1-5]?[0-9]m)?( ?[1-5]?[0-9](\.[0-9]{1,3})?s)?|[1-9]?[0-9]m( ?[1-5]?[0-9](\.[0-9]{1,3})?s)?|[0-9]{1,6}(\.[0-9]{1,3})?s|[0-9]{1,9}ms)$";
/// From 0 s to 24 h, in whole seconds.
pub(crate) const GRACE: &str = r"^(24h|(1?[0-9]|2[0-3])h( ?[1-5]?[0-9]m)?( ?[1-5]?[0-9]s)?|[1-5]?[0-9]m( ?[1-5]?[0-9]s)?|([0-9]{1,4}|[1-7][0-9]{4})s)$";
/// As durations are written.
pub(crate) const SPAN: &str = r"^([0-9]+h)?([0-9]+m)?([0-9]+(\.[0-9]{1,3})?s)?$";

fn text(pattern: &str) -> ObjectBuilder {
    let pattern = Some(pattern).filter(|pattern| !pattern.is_empty());
    ObjectBuilder::new().schema_type(Type::String).pattern(pattern)
}

fn number(least: u64, most: u64) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(Some(most))
}

impl PartialSchema for Span {
    fn schema() -> RefOr<Schema> {
        let what = "A duration in hours, minutes and decimal seconds.";
        text(SPAN).min_length(Some(2)).description(Some(what)).examples([json!("19.8s")]).into()
    }
}

impl ToSchema for Span {
    fn name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        let lines = Code::ALL.iter().map(|code| format!("- `{code}` ({}): {}", code.status(), code.title()));
        let what = format!("Why, for programs: a closed list.\n{}", lines.collect::<Vec<_>>().join("\n"));
        let words = Code::ALL.iter().map(|code| code.as_str());
        let word = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words));
        word.description(Some(what)).into()
    }
}

impl ToSchema for Code {}

impl PartialSchema for Retry {
    fn schema() -> RefOr<Schema> {
        let what = "Whether, and when, the same request may succeed: never without a change, now, or after so many milliseconds.";
        let words = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["never", "now"]));
        let millis = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0_u64));
        OneOfBuilder::new().item(words).item(millis).description(Some(what)).into()
    }
}

impl ToSchema for Retry {}

#[cfg(test)]
#[path = "shapes_props.rs"]
mod props;
