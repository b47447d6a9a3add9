//! The daemon's arguments.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};

use clap::Parser as _;
use proptest::prelude::*;

use super::args::Args;
use super::environment;
use super::metrics::address;

fn metrics(text: &str) -> Option<SocketAddr> {
    let args = Args::try_parse_from(["lease-daemon", &format!("--metrics={text}")]).ok()?;
    args.metrics.address
}

proptest! {
    #[test]
    fn a_port_alone_is_on_this_host_and_an_address_is_itself(port in any::<u16>(), ip in any::<std::net::IpAddr>()) {
        let local = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        prop_assert_eq!((metrics(&port.to_string()), metrics(&format!(":{port}"))), (local, local));
        let address = SocketAddr::from((ip, port));
        prop_assert_eq!(metrics(&address.to_string()), Some(address));
    }

    #[test]
    fn what_is_neither_is_refused_by_name(text in "([:+]{0,3}[0-9]{1,5}|[:+0-9a-f.\\[\\]]{1,12})", other in any::<String>()) {
        for text in [text, other] {
            let digits = text.strip_prefix(':').unwrap_or(&text);
            let port = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit()) && digits.parse::<u16>().is_ok();
            prop_assert_eq!(address(&text).is_ok(), port || text.parse::<SocketAddr>().is_ok(), "{:?}", text);
            let refused = Args::try_parse_from(["lease-daemon", &format!("--metrics={text}")]).err();
            if let Some(refused) = refused {
                let refused = refused.to_string();
                prop_assert!(refused.contains(&text) && refused.contains("--metrics"), "{}", refused);
            }
        }
    }

    #[test]
    fn no_arguments_panic(arguments in prop::collection::vec("(--?[a-z]{0,7}=?[a-z0-9:/]{0,4}|[a-z]{0,4})", 0..5)) {
        let words = std::iter::once("lease-daemon".to_owned()).chain(arguments.clone()).map(OsString::from);
        if let Err(refused) = environment::read(words) {
            let said = refused.to_string();
            prop_assert!(!said.is_empty() && !said.trim().contains('\n'), "{:?}", said);
        }
    }
}
