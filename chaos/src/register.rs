//! What the locks protect: a register for each resource that refuses a write with a lower token than it has seen.
//!
//! It listens on a Unix socket, which no fault of the network reaches: a worker that is cut off from NATS can still
//! write here, and whether it then does so with an old token is just what is of interest. What it accepts it appends
//! to a file.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::clock::now_ns;
use crate::history::Answer;

/// A write.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Write {
    /// To what.
    pub resource: String,
    /// Under which grant.
    pub token: u64,
    /// What.
    pub value: u64,
}

/// A write that was accepted, as the file has it.
#[derive(Debug, Serialize)]
struct Accepted<'a> {
    at_ns: u64,
    #[serde(flatten)]
    write: &'a Write,
}

#[derive(Debug)]
struct Shelf {
    /// Of each resource: the highest token, and what stands there.
    stands: BTreeMap<String, (u64, u64)>,
    accepted: std::fs::File,
}

impl Shelf {
    /// What stood there before, 0 for nothing; `None` if the token is too old.
    fn take(&mut self, write: &Write) -> std::io::Result<Option<u64>> {
        let stands = self.stands.entry(write.resource.clone()).or_default();
        let (highest, before) = *stands;
        if write.token < highest {
            return Ok(None);
        }
        *stands = (write.token, write.value);
        let mut line = serde_json::to_vec(&Accepted { at_ns: now_ns(), write })?;
        line.push(b'\n');
        self.accepted.write_all(&line)?;
        Ok(Some(before))
    }
}

/// Serves registers at a socket until the runtime ends; appends what is accepted to a file.
///
/// # Errors
/// If the socket or the file cannot be made.
pub fn serve(socket: &Path, file: &Path) -> Result<(), String> {
    let listener = UnixListener::bind(socket).map_err(|error| format!("{}: {error}", socket.display()))?;
    let accepted = std::fs::File::create(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let shelf = Arc::new(Mutex::new(Shelf { stands: BTreeMap::new(), accepted }));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, Arc::clone(&shelf)));
        }
    });
    Ok(())
}

async fn converse(stream: UnixStream, shelf: Arc<Mutex<Shelf>>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(asked) = serde_json::from_str::<Write>(&line) else { return };
        let taken = shelf.lock().unwrap_or_else(PoisonError::into_inner).take(&asked);
        let answer = match taken {
            Ok(Some(before)) => format!("accepted {before}\n"),
            Ok(None) => "refused\n".to_owned(),
            // It may be there or not: no answer.
            Err(_) => return,
        };
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A worker's connection to the registers.
#[derive(Debug)]
pub struct Registers {
    socket: PathBuf,
    stream: Option<BufReader<UnixStream>>,
}

impl Registers {
    /// The registers at a socket; connects when first used.
    pub fn at(socket: &Path) -> Registers {
        Registers { socket: socket.to_path_buf(), stream: None }
    }

    /// Writes, once; gives what stood there before, too.
    pub async fn write(&mut self, write: &Write) -> (Answer, Option<u64>) {
        match self.ask(write).await {
            Ok(Some(before)) => (Answer::Accepted, Some(before)),
            Ok(None) => (Answer::Refused, None),
            Err(_) => {
                self.stream = None;
                (Answer::Unknown, None)
            }
        }
    }

    async fn ask(&mut self, write: &Write) -> std::io::Result<Option<u64>> {
        if self.stream.is_none() {
            self.stream = Some(BufReader::new(UnixStream::connect(&self.socket).await?));
        }
        let Some(stream) = &mut self.stream else { return Err(std::io::ErrorKind::NotConnected.into()) };
        let mut line = serde_json::to_vec(write)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await?;
        let broken = || std::io::ErrorKind::UnexpectedEof.into();
        match answer.trim().split_once(' ') {
            Some(("accepted", before)) => before.parse().map(Some).map_err(|_| broken()),
            None if answer == "refused\n" => Ok(None),
            _ => Err(broken()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lower_token_is_refused() {
        let folder = std::env::temp_dir().join(format!("lease-chaos-register-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let socket = folder.join("s");
        serve(&socket, &folder.join("accepted")).unwrap();
        let mut registers = Registers::at(&socket);
        let mut answers = Vec::new();
        let writes = [("a", 5), ("a", 5), ("a", 4), ("b", 4), ("a", 6), ("a", 5)];
        for ((resource, token), value) in writes.into_iter().zip(1..) {
            let write = Write { resource: resource.into(), token, value };
            answers.push(registers.write(&write).await);
        }
        let (took, refused) = (|before| (Answer::Accepted, Some(before)), (Answer::Refused, None));
        assert_eq!(answers, [took(0), took(1), refused, took(0), took(2), refused]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
