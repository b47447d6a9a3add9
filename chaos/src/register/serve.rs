//! The registers themselves.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{Reply, Request};
use crate::failure::Failure;

/// A longer request is nobody's.
const LONGEST: u64 = 4_096;
/// More resources than any scenario has.
const MOST: usize = 10_000;

/// Of each resource, the highest token and the value.
type Registers = Arc<Mutex<BTreeMap<String, (u64, u64)>>>;

/// Listens at `address` and serves, in the background, as long as the runtime lives. Gives where it listens.
///
/// # Errors
/// If the address cannot be had.
pub async fn serve(address: Ipv4Addr) -> Result<String, Failure> {
    let listener = TcpListener::bind((address, 0)).await?;
    let at = listener.local_addr()?.to_string();
    let registers = Registers::default();
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(one(stream, Arc::clone(&registers)))),
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            }
        }
    });
    Ok(at)
}

async fn one(stream: TcpStream, registers: Registers) {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    loop {
        let mut text = String::new();
        let read = (&mut reading).take(LONGEST).read_line(&mut text).await;
        if !read.is_ok_and(|size| size > 0) {
            return;
        }
        let Ok(request) = serde_json::from_str::<Request>(&text) else { return };
        let Some(reply) = answer(&registers, request) else { return };
        let Ok(mut text) = serde_json::to_string(&reply) else { return };
        text.push('\n');
        if writing.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// `None` if there are too many resources.
fn answer(registers: &Registers, request: Request) -> Option<Reply> {
    let mut all = registers.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let resource = match &request {
        Request::Write { resource, .. } | Request::Read { resource } => resource.clone(),
    };
    if all.len() >= MOST && !all.contains_key(&resource) {
        return None;
    }
    let it = all.entry(resource).or_default();
    Some(match request {
        Request::Read { .. } => Reply { accepted: true, value: it.1 },
        Request::Write { token, .. } if token < it.0 => Reply { accepted: false, value: it.1 },
        Request::Write { token, value, .. } => {
            let before = std::mem::replace(it, (token, value)).1;
            Reply { accepted: true, value: before }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_token_is_refused() {
        let registers = Registers::default();
        let write =
            |token, value| answer(&registers, Request::Write { resource: "a".into(), token, value }).unwrap();
        assert_eq!(write(5, 1), Reply { accepted: true, value: 0 });
        assert_eq!(write(5, 2), Reply { accepted: true, value: 1 });
        assert_eq!(write(4, 3), Reply { accepted: false, value: 2 });
        assert_eq!(write(6, 4), Reply { accepted: true, value: 2 });
        let read = answer(&registers, Request::Read { resource: "a".into() });
        assert_eq!(read, Some(Reply { accepted: true, value: 4 }));
    }
}
