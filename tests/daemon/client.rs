//! A client that is a process of its own: it can be killed, and can be another user.

use std::path::Path;
use std::time::Duration;

use support::{Launch, Process};

/// Sends one request and prints the answer as it comes: SOCKET UID METHOD TARGET BODY. UID `-` stays who it is.
const SCRIPT: &str = r#"
import os, socket, sys
path, uid, method, target, body = sys.argv[1:]
if uid != "-":
    os.setgroups([])
    os.setgid(int(uid))
    os.setuid(int(uid))
s = socket.socket(socket.AF_UNIX)
s.connect(path)
s.sendall(f"{method} {target} HTTP/1.1\r\nHost: l\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
while data := s.recv(65536):
    sys.stdout.write(data.decode())
    sys.stdout.flush()
"#;

/// Starts a client that holds `name` at `socket`, and waits until it does.
pub async fn holder(socket: &Path, name: &str, body: &str) -> Process {
    let holder = request(socket, "-", "POST", &format!("/v1/locks/{name}/hold"), body);
    holder.line(r#""event":"held""#, Duration::from_secs(20)).await;
    holder
}

/// Starts a client that sends one request as the user `uid`.
pub fn request(socket: &Path, uid: &str, method: &str, target: &str, body: &str) -> Process {
    Launch::program("python3").args(["-c", SCRIPT]).arg(socket).args([uid, method, target, body]).start()
}
