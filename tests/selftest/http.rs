//! The HTTP client understands every form of answer, whatever pieces it arrives in.

use std::time::Duration;

use support::{Api, Folder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

const LIMIT: Duration = Duration::from_secs(10);

/// Answers one connection after another with these pieces, with a pause between them, then closes it. Gives what the
/// connections sent until they were half-closed, or until a blank line.
fn serve(folder: &Folder, pieces: &'static [&'static str]) -> Api {
    let socket = folder.join("s.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap() == 0 {
                    break;
                }
            }
            for piece in pieces {
                if stream.write_all(piece.as_bytes()).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    Api::new(socket)
}

#[tokio::test]
async fn a_body_of_known_length() {
    let folder = Folder::new("http");
    let api = serve(
        &folder,
        &["HTTP/1.1 409 Conf", "lict\r\nContent-Length: 9\r\nX-A:  b \r\n", "\r\n{\"a\"", ":12} junk"],
    );
    let answer = api.post("/x", "{}").await;
    assert_eq!((answer.status, answer.header("x-a")), (409, Some("b")));
    assert_eq!(answer.text(), "{\"a\":12} ");
    assert_eq!(answer.json()["a"], 12);
}

#[tokio::test]
async fn a_chunked_body_line_by_line() {
    let folder = Folder::new("http");
    let api = serve(
        &folder,
        &[
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1",
            "4\r\n{\"event\":\"waiting\"",
            "}\n\r\n2;x=y\r\n\n\n\r\n",
            "F\r\n{\"event\":\"held\"\r\n1\r\n}\r\n0\r\n\r\n",
        ],
    );
    let mut lines = api.open("POST", "/x", "{}").await;
    assert_eq!(lines.status(), 200);
    assert_eq!(lines.next(LIMIT).await.unwrap()["event"], "waiting");
    assert_eq!(lines.event("held", LIMIT).await["event"], "held");
    assert!(lines.next(LIMIT).await.is_none());
    assert_eq!(api.get("/x").await.text().lines().count(), 4);
}

#[tokio::test]
async fn an_answer_that_is_no_answer_is_an_error() {
    let folder = Folder::new("http");
    let api = serve(&folder, &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"]);
    assert!(api.try_send("GET", "/x", "").await.is_err(), "cut off in the middle");
    let folder = Folder::new("http");
    assert!(serve(&folder, &["hello\r\n\r\n"]).try_send("GET", "/x", "").await.is_err(), "not HTTP");
    let folder = Folder::new("http");
    assert!(serve(&folder, &[]).try_send("GET", "/x", "").await.is_err(), "closed at once");
    assert!(Api::new("/nowhere").try_send("GET", "/x", "").await.is_err(), "nobody there");
}

#[tokio::test]
async fn malformed_input_is_sent_as_it_is() {
    let folder = Folder::new("http");
    let api = serve(&folder, &["HTTP/1.1 400 Bad\r\n\r\nno"]);
    let answer = api.raw_response(b"\0\r\n\r\n").await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (400, "no"));
    assert!(api.raw(b"x\r\n\r\n", LIMIT).await.unwrap().starts_with(b"HTTP/1.1 400"));
}

#[tokio::test]
async fn a_half_close_is_seen_and_the_answer_still_read() {
    let folder = Folder::new("http");
    let socket = folder.join("s.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut request = Vec::new();
        stream.read_to_end(&mut request).await.unwrap();
        stream.write_all(b"{\"event\":\"lost\"}\n").await.unwrap();
        request
    });
    let mut lines = Api::new(socket).open("POST", "/x", "{}").await;
    lines.half_close().await;
    assert_eq!(lines.event("lost", LIMIT).await["event"], "lost");
    assert!(server.await.unwrap().ends_with(b"\r\n\r\n{}"));
}
