//! The command: runs a scenario, checks its history, writes the report.

fn main() {}
