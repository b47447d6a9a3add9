//! Ports that stay ours while a server is down.
//!
//! A server that a test kills and restarts must come back on the same port, and nobody else may sit there meanwhile:
//! no other test process, and no outgoing connection to which the kernel lent that port (a client that keeps dialling
//! a closed port of the ephemeral range can even end up connected to itself). So ports are taken from below that
//! range, and each is reserved by listening on the same port of another loopback address: whoever holds that listener
//! owns the port, and the kernel gives it back when the process ends.

use std::net::TcpListener;

/// Where reservations are made. Servers listen on 127.0.0.1.
const RESERVE: &str = "127.0.0.77";
/// Lower bound of the search: above what well-known services use.
const LOWEST: u16 = 10_240;

/// A port on 127.0.0.1, reserved until drop.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _reservation: TcpListener,
}

impl Port {
    /// A random free port.
    pub fn reserve() -> Port {
        let highest = ephemeral_begin().clamp(LOWEST + 2_000, 32_768);
        for _ in 0..1_000 {
            let random =
                u16::from_ne_bytes(uuid::Uuid::new_v4().as_bytes()[..2].try_into().unwrap_or_default());
            let number = LOWEST + random % (highest - LOWEST);
            let Ok(reservation) = TcpListener::bind((RESERVE, number)) else { continue };
            // Somebody who does not know of reservations may still sit on it.
            if TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Port { number, _reservation: reservation };
            }
        }
        panic!("no free port between {LOWEST} and {highest} on 127.0.0.1 after 1000 tries");
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// Where the kernel's range for outgoing connections begins.
fn ephemeral_begin() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(32_768)
}
