//! What is not tried yet, and why: said, so that nobody takes silence for a pass.

/// Each with its reason.
pub const UNTRIED: &[(&str, &str)] = &[
    (
        "delay",
        "tc netem needs the kernel module sch_netem, which not every kernel has; slow-link queues instead",
    ),
    (
        "clock",
        "a server's wall clock cannot be moved in a network namespace; libfaketime does not reach a Go program",
    ),
    ("disk-full", "needs a file system of its own for each server (a small tmpfs)"),
    ("disk-slow", "needs a device mapper target"),
    ("power-loss", "needs a file system that forgets what was not synced (a layer over the device)"),
];
