//! Where the sidecar's socket is, if nobody says otherwise: one rule for the daemon and for its clients.

use std::path::PathBuf;

/// `$LEASE_SOCKET`, else `$XDG_RUNTIME_DIR/lease.sock`, else `/run/lease/lease.sock`. Empty counts as unset.
pub fn default_socket() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("LEASE_SOCKET")
        .or_else(|| set("XDG_RUNTIME_DIR").map(|folder| folder.join("lease.sock")))
        .unwrap_or_else(|| PathBuf::from("/run/lease/lease.sock"))
}
