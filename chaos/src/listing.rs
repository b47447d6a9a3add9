//! What there is, for people.

use std::fmt::Write as _;

use crate::{nemesis, scenario};

/// The scenarios, the nemeses, and what is not tried yet.
pub fn text() -> String {
    let mut text = String::from("scenarios (* in ci):\n");
    for it in scenario::ALL {
        let mark = if it.is_ci { '*' } else { ' ' };
        let _ = writeln!(text, " {mark} {:<10} {} ({} s)", it.name, it.about, it.seconds);
    }
    text.push_str("\nfaults:\n");
    for it in nemesis::ALL {
        let _ = writeln!(text, "   {:<22} {}", it.name(), it.about());
    }
    text.push_str("\nnot tried yet:\n");
    for (name, why) in nemesis::UNTRIED {
        let _ = writeln!(text, "   {name:<22} {why}");
    }
    text
}
