//! Users and groups of this host, by name or number.

use nix::unistd::{Group, User};

/// The number of a user.
///
/// # Errors
/// If this host does not know the name, or cannot tell.
pub fn uid(user: &str) -> Result<u32, String> {
    if let Ok(uid) = user.parse::<u32>() {
        return Ok(uid);
    }
    match User::from_name(user) {
        Ok(Some(found)) => Ok(found.uid.as_raw()),
        Ok(None) => Err("this host has no such user; give the name or the number of one".to_owned()),
        Err(error) => Err(format!("this host's users cannot be read: {error}")),
    }
}

/// The number of a group.
///
/// # Errors
/// As [`uid`].
pub fn gid(group: &str) -> Result<u32, String> {
    if let Ok(gid) = group.parse::<u32>() {
        return Ok(gid);
    }
    match Group::from_name(group) {
        Ok(Some(found)) => Ok(found.gid.as_raw()),
        Ok(None) => Err("this host has no such group; give the name or the number of one".to_owned()),
        Err(error) => Err(format!("this host's groups cannot be read: {error}")),
    }
}
