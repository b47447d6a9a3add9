//! Time: what a write takes, what a TTL is worth, and whose clock shows what.

use std::time::Duration;

use super::super::probe::Probed;
use super::{Finding, Severity, finding, ok};
use crate::store::{Offset, ServerFacts};

/// How long the failover of a leader was measured to take at the most.
const FAILOVER: Duration = Duration::from_secs(9);
/// Above this a clock is wrong rather than a little off; a bucket that has to be made is refused then.
const WRONG: u64 = 10_000_000;
/// Above this it shows in what people read.
const VISIBLE: u64 = 1_000_000;

fn shown(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}

/// What writes took; they decide how late a renewal is.
pub(super) fn latency(probed: &Probed, ttl: Duration) -> Vec<Finding> {
    let (Some(shortest), Some(longest)) = (probed.took.first(), probed.took.last()) else {
        let why = probed.failed.first().map_or("", String::as_str);
        let found = format!("none of {} writes was acknowledged: {why}", probed.failed.len());
        return vec![finding(
            Severity::Critical,
            "latency",
            found,
            "without writes nothing can be granted or renewed",
        )];
    };
    let median = probed.took.get(probed.took.len() / 2).unwrap_or(longest);
    let found = format!(
        "{} writes took {} to {}, half of them at most {}",
        probed.took.len(),
        shown(*shortest),
        shown(*longest),
        shown(*median)
    );
    if let Some(why) = probed.failed.first() {
        let found = format!("{found}; {} were not acknowledged: {why}", probed.failed.len());
        return vec![finding(
            Severity::Warning,
            "latency",
            found,
            "look at the servers' load, disks and network",
        )];
    }
    // A renewal is due every fifth of the TTL, and one that takes longer than a quarter of that is late under load.
    if *longest > ttl / 20 {
        let advice = format!(
            "that is much for a ttl of {}, of which a twentieth is {}: use a longer one, or look at the servers' load, \
             disks and network",
            humantime::format_duration(ttl),
            shown(ttl / 20)
        );
        return vec![finding(Severity::Warning, "latency", found, advice)];
    }
    vec![ok("latency", found)]
}

/// Which outage a TTL outlives.
pub(super) fn ttl(ttl: Duration) -> Finding {
    // The last try that may be answered begins up to 1.6 s before the deadline, which is a hundredth of the ttl before its end.
    let last = (ttl / 100 + Duration::from_millis(1_600)).max(Duration::from_secs(2));
    let outlived = ttl.saturating_sub(ttl / 5).saturating_sub(last);
    let found = format!(
        "a ttl of {} outlives {} without writes",
        humantime::format_duration(ttl),
        humantime::format_duration(Duration::from_millis(
            u64::try_from(outlived.as_millis()).unwrap_or(u64::MAX)
        ))
    );
    if outlived >= FAILOVER {
        return ok("ttl", found);
    }
    let advice = "the failover of a leader was measured to take 4 to 9 s: below 14s it may cost leases, which only costs \
                  who holds them a new start";
    finding(Severity::Note, "ttl", found, advice)
}

fn offset(offset: Offset) -> String {
    let ahead = Duration::from_micros(offset.ahead_micros.unsigned_abs());
    let way = if offset.ahead_micros < 0 { "behind" } else { "ahead of" };
    format!("{} {way} this host's (± {})", shown(ahead), shown(Duration::from_micros(offset.within_micros)))
}

/// This host's clock against that of the bucket's leader.
pub(super) fn clock(probed: &Probed) -> Finding {
    let Some(read) = probed.clock else {
        return finding(Severity::Note, "clock", "what clock the servers have was not learned", "try again");
    };
    let apart = read.ahead_micros.unsigned_abs().saturating_sub(read.within_micros);
    let found = format!("the clock of the bucket's leader is {}", offset(read));
    let advice = "set the clocks right (NTP): leases hold by rates and do not care, but times that people read are wrong, \
                  and above 10 s no bucket can be made from here";
    match apart {
        0..VISIBLE => ok("clock", found),
        VISIBLE..WRONG => finding(Severity::Note, "clock", found, advice),
        _ => finding(Severity::Warning, "clock", found, advice),
    }
}

/// The servers' clocks against each other: what early notice rests on.
pub(super) fn server_clocks(servers: &[ServerFacts], unasked: Option<&str>, slack: Duration) -> Finding {
    let clocks: Vec<(&str, Offset)> =
        servers.iter().filter_map(|server| Some((server.name.as_str(), server.clock?))).collect();
    let ahead = clocks.iter().max_by_key(|(_, clock)| clock.ahead_micros);
    let behind = clocks.iter().min_by_key(|(_, clock)| clock.ahead_micros);
    let (Some((first, most)), Some((last, least))) = (ahead, behind) else {
        let why = unasked.unwrap_or("no answer");
        let advice = "allow this user to publish to $SYS.REQ.ACCOUNT.PING.CONNZ; the servers' clocks must agree within the \
                      slack";
        let found = format!("the servers' clocks cannot be known ({why})");
        return finding(Severity::Note, "server-clocks", found, advice);
    };
    if clocks.len() == 1 {
        return ok("server-clocks", format!("one server, {first}, {}", offset(*most)));
    }
    let apart = most.ahead_micros.abs_diff(least.ahead_micros);
    let within = most.within_micros.saturating_add(least.within_micros);
    let found = format!(
        "{} servers within {} (± {}) of each other: {first} is ahead of {last}",
        clocks.len(),
        shown(Duration::from_micros(apart)),
        shown(Duration::from_micros(within))
    );
    let surely = Duration::from_micros(apart.saturating_sub(within));
    let advice = format!(
        "set the servers' clocks right (NTP): leases may end early, without notice, where they are more than {} apart",
        humantime::format_duration(slack)
    );
    if surely > slack {
        finding(Severity::Critical, "server-clocks", found, advice)
    } else if surely > slack / 2 {
        finding(Severity::Warning, "server-clocks", found, advice)
    } else {
        ok("server-clocks", found)
    }
}
