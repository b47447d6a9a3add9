//! `lease history`: who held a name, and how that ended.

use super::args::Look;
use super::exit::Exit;
use super::say::{plain, pretty, say, show};
use super::source::{Source, encode};
use super::table::Table;
use crate::wire;

/// Shows it: a table, the latest last, or a JSON object. That there is none is said on standard error, and is no fault.
pub(super) async fn history(args: Look) -> Exit {
    let target = format!("/v1/{}/{}/history", args.kind.path(), encode(args.name.as_str()));
    let past = async { Source::open(&args.place).await?.get::<wire::History>(&target).await };
    let past = match past.await {
        Ok(past) => past,
        Err(refusal) => return refusal.told(),
    };
    if past.holds.is_empty() && !args.json {
        say(format_args!("nobody is known to have held {} and ended", args.name));
        return Exit::OK;
    }
    show(&if args.json { pretty(&past) } else { table(&past) })
}

fn table(past: &wire::History) -> String {
    let mut table = Table::new(&["TOKEN", "OWNER", "HOST", "SINCE", "WAITED", "HELD", "END"]);
    for hold in &past.holds {
        let reason = hold.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        table.row(vec![
            hold.token.to_string(),
            plain(&hold.owner),
            plain(&hold.host),
            plain(&hold.since),
            hold.waited.to_string(),
            hold.held.to_string(),
            plain(&format!("{}{reason}", hold.why)),
        ]);
    }
    table.render()
}
