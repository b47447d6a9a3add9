//! The socket that a supervisor opened for us: systemd's `LISTEN_FDS`.
//!
//! It is neither made nor removed here, so clients that connect while no daemon runs are not refused: they wait.

use std::os::unix::net::UnixListener;

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use crate::listen::ListenError;

/// The socket that was passed to this process, if one was.
///
/// To be called before there is a second thread: it takes what it reads out of the environment, so that nobody who is
/// started from here mistakes it for his own.
///
/// # Errors
/// [`ListenError::Passed`], if what was passed is not one listening Unix stream socket.
pub fn passed() -> Result<Option<UnixListener>, ListenError> {
    // A parent that was started so may have left its variables to us.
    let is_for_us = std::env::var("LISTEN_PID").is_ok_and(|pid| pid.parse() == Ok(std::process::id()));
    if !is_for_us {
        return Ok(None);
    }
    match std::env::var("LISTEN_FDS").as_deref() {
        Err(_) | Ok("" | "0") => return Ok(None),
        Ok("1") => {}
        Ok(several) => {
            let shown: String = several.chars().take(20).collect();
            return Err(ListenError::Passed(format!("there are {shown} of them")));
        }
    }
    let unfit = |error: std::io::Error| ListenError::Passed(error.to_string());
    let Some(socket) = ListenFd::from_env().take_unix_listener(0).map_err(unfit)? else { return Ok(None) };
    match socket_acceptconn(&socket) {
        Ok(true) => Ok(Some(socket)),
        Ok(false) => Err(ListenError::Passed("it does not listen".to_owned())),
        Err(error) => Err(unfit(error.into())),
    }
}
