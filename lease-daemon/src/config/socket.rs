//! `[socket]`: where clients connect, and who may.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Wrong;
use crate::socket_path::default_socket;

/// The socket's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Socket {
    /// Where it is.
    pub path: PathBuf,
    /// Who may connect.
    pub mode: Mode,
    /// Its group, by name or number; the folder or the daemon's own decide if this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// The flags.
#[derive(Clone, Debug, Default, Args)]
pub struct SocketArgs {
    /// Where to listen [default: $XDG_RUNTIME_DIR/lease.sock, else /run/lease/lease.sock]
    #[arg(long = "socket", env = "LEASE_SOCKET", value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// The mode of the socket's file: whoever may write to it may connect [default: 0660]
    #[arg(long = "socket-mode", env = "LEASE_SOCKET_MODE", value_name = "MODE", value_parser = Mode::parse)]
    pub socket_mode: Option<Mode>,

    /// The group of the socket's file, by name or number [default: as the folder has it, or the daemon's own]
    #[arg(long = "socket-group", env = "LEASE_SOCKET_GROUP", value_name = "GROUP")]
    pub socket_group: Option<String>,
}

impl Default for Socket {
    fn default() -> Socket {
        Socket { path: default_socket(), mode: Mode::default(), group: None }
    }
}

impl Socket {
    pub(super) fn override_with(&mut self, args: &SocketArgs) {
        if let Some(path) = &args.socket {
            self.path.clone_from(path);
        }
        if let Some(mode) = args.socket_mode {
            self.mode = mode;
        }
        if args.socket_group.is_some() {
            self.group.clone_from(&args.socket_group);
        }
    }

    pub(super) fn check(&self) -> Result<(), Wrong> {
        if self.path == Path::new("") {
            return Err(Wrong::new("socket.path", "", "name a file"));
        }
        self.gid().map(|_| ())
    }

    /// The number of the group, if one is named.
    ///
    /// # Errors
    /// If this host does not know the group.
    pub fn gid(&self) -> Result<Option<u32>, Wrong> {
        let Some(group) = &self.group else { return Ok(None) };
        let gid = super::accounts::gid(group);
        gid.map(Some).map_err(|why| Wrong::new("socket.group", group, why))
    }
}

/// Permissions, written in octal digits: `"0660"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Default for Mode {
    /// Owner and group may connect.
    fn default() -> Mode {
        Mode(0o660)
    }
}

impl Mode {
    /// Reads octal digits.
    ///
    /// # Errors
    /// A sentence that says how modes are written.
    pub fn parse(text: &str) -> Result<Mode, String> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let octal = (3..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        let mode = octal.then(|| u32::from_str_radix(digits, 8).ok()).flatten();
        let mode = mode.filter(|mode| *mode <= 0o777 && mode & 0o600 == 0o600);
        mode.map(Mode).ok_or_else(|| {
            let shown: String = text.chars().take(20).collect();
            format!("{shown:?} is no mode for the socket; write three or four octal digits, the owner's 6 or 7: \"0660\"")
        })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Mode, D::Error> {
        // Not a number: 660 would be read as a decimal one.
        let text = String::deserialize(deserializer)?;
        Mode::parse(&text).map_err(de::Error::custom)
    }
}
