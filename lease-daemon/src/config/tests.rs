//! What is read, from where, and what is said if it cannot be.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Parser as _;

use super::args::Args;
use super::socket::Mode;
use super::*;

/// A file of these settings, gone when dropped.
struct Written(PathBuf);

impl Written {
    fn new(text: &str) -> Written {
        let name = format!("lease-config-{}-{}.toml", std::process::id(), text.len());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Written(path)
    }

    fn load(&self, words: &[&str]) -> Result<Config, String> {
        let file = ["lease-daemon", "--config", self.0.to_str().unwrap()];
        let args = Args::try_parse_from(file.iter().chain(words)).unwrap();
        Config::load(&args).map_err(|failure| failure.to_string())
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn flags_win_over_the_file_and_the_rest_is_as_usual() {
    let file = Written::new(
        "log = 'warn'\n[nats]\nurl = 'nats://a'\nbucket = 'b'\n[socket]\npath = '/a'\nmode = '0600'\ngroup = '7'\n[metrics]\naddress = '9187'\n",
    );
    let config = file.load(&["--nats", "nats://c", "--socket", "/b"]).unwrap();
    assert_eq!((config.nats.url.as_deref(), config.nats.bucket.as_str()), (Some("nats://c"), "b"));
    let socket = Socket { path: "/b".into(), mode: Mode(0o600), group: Some("7".into()) };
    assert_eq!((config.log.as_str(), config.socket), ("warn", socket));
    assert_eq!(config.metrics.address, Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9187))));
    let file = Written::new("[metrics]\nelections = ['a']\nlocks = ['b', 'c']");
    let config = file.load(&["--metrics-election", "d", "--metrics-election", "e"]).unwrap().metrics;
    assert_eq!(
        (config.elections, config.locks),
        (vec!["d".into(), "e".into()], vec!["b".into(), "c".into()])
    );
    let usual = Written::new("").load(&[]).unwrap();
    assert_eq!(usual, Config { limits: Limits::usual(), ..Config::default() });
}

#[test]
fn what_is_printed_is_read_back() {
    let file = Written::new("[nats]\nurl = 'nats://me:hunter2@a:4222'\n[metrics]\naddress = ':1'\n\n\n");
    let printed = file.load(&["--socket", "/s"]).unwrap().to_toml().unwrap();
    assert!(!printed.contains("hunter2") && printed.contains("nats://***@a:4222"), "{printed}");
    let again = Written::new(&printed).load(&[]).unwrap().to_toml().unwrap();
    assert_eq!(again, printed);
}

#[test]
fn wrong_files_are_refused_by_line_and_key() {
    let names: Vec<String> = (0..101).map(|it| format!("'e{it}'")).collect();
    let too_many = format!("metrics = {{ elections = [{}] }}", names.join(", "));
    for (text, line, said) in [
        ("log = 'info'\n[nats]\nulr = 'x'\n", 3, "unknown field `ulr`, expected"),
        ("[natz]\n", 1, "unknown field `natz`"),
        ("[socket]\nmode = 660\n", 2, "mode: invalid type: integer `660`"),
        ("[socket]\nmode = '999'\n", 2, "\"999\" is no mode"),
        (
            "[socket]\npath = '/a'\n# why not\ngroup = 'no-such-group'\n",
            4,
            "socket.group = \"no-such-group\"",
        ),
        ("[metrics]\naddress = 'here'\n", 2, "\"here\": write a port"),
        ("[metrics]\n\nlocks = ['a..b']\n", 3, "metrics.locks = \"a..b\": "),
        (&too_many, 1, "metrics.elections = \"101 names\": allowed are 100"),
        ("log = 'a=='\n", 1, "log = \"a==\""),
        ("[nats\nurl = 'a'\n", 1, "table"),
        ("[limits]\nconnections = 15\n", 2, "limits.connections = \"15\": allowed is 16 to 16384"),
        ("[limits]\nleases = -1\n", 2, "leases: invalid value: integer `-1`"),
        ("[limits]\n\nleases-per-user = 10001\n", 3, "allowed is 1 to 10000, because of limits.leases"),
        ("[limits]\nbody-within = '2h'\n", 2, "limits.body-within = \"2h\": allowed is 0.1s to 1h"),
        ("[limits]\nbody-within = 5\n", 2, "a duration in quotes"),
        ("[limits]\nwatches = 512\nwaiters = 512\n", 3, "no renewal would get through"),
        ("[[policy]]\nusers = [0]\nnames = ['a']\nallow = ['own']\n", 4, "unknown variant `own`"),
        (
            "[[policy]]\nusers = [0]\nnames = ['a']\nallow = ['hold']\n[[policy]]\nusers=['*']\nallow=['hold']\nnames = ['*a']\n",
            8,
            "policy.1.names",
        ),
        ("[[policy]]\nusers = [-1]\nnames = ['a']\nallow = ['hold']\n", 2, "a number from 0"),
        ("\n[nats]\nbucket = 'a.b'\n", 3, "nats.bucket = \"a.b\": a bucket's name has"),
    ] {
        let file = Written::new(text);
        let refused = file.load(&[]).unwrap_err();
        let place = format!("{}:{line}: ", file.0.display());
        assert!(refused.starts_with(&place) && refused.contains(said), "{text:?}: {refused}");
        assert_eq!(refused.lines().count(), 1, "{refused}");
    }
}

#[test]
fn what_flags_say_wrong_is_not_the_files_fault() {
    let file = Written::new("[nats]\nbucket = 'good'\n# \n");
    let refused = file.load(&["--bucket", "a b"]).unwrap_err();
    assert!(refused.starts_with("nats.bucket = \"a b\": "), "{refused}");
    let args = Args::try_parse_from(["lease-daemon", "--config", "/no/such/file"]).unwrap();
    let refused = Config::load(&args).unwrap_err().to_string();
    assert!(refused.starts_with("/no/such/file: "), "{refused}");
}

#[test]
fn the_drain_has_bounds() {
    assert_eq!(Config::default().drain.within.to_string(), "8s");
    let file = Written::new("[drain]\nwithin = '1m'\n");
    assert_eq!(file.load(&[]).unwrap().drain.within.to_string(), "1m");
    assert_eq!(file.load(&["--drain-within", "0s"]).unwrap().drain.within.to_string(), "0s");
    let refused = file.load(&["--drain-within", "61m"]).unwrap_err();
    assert!(refused.contains("drain.within") && refused.contains("0s to 1h"), "{refused}");
}
