//! One connection: reads requests, plays the answers, and notices when the client leaves.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::WriteHalf;
use tokio::time::sleep;

use super::render::{self, Step};
use super::reply::Says;
use super::{Asked, Book, Break, Ended, Reply};
use crate::http::{self, Request};

/// Serves until the client or the script ends it.
pub(super) async fn connection(mut stream: TcpStream, book: Arc<Book>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(16 * 1024);
    while let Ok(Some(request)) = http::read(&mut stream, &mut buffer).await {
        let ended = if request.method == "POST" && request.path.ends_with("/chat/completions") {
            call(&mut stream, &mut buffer, &Asked::of(request), &book).await
        } else {
            other(&mut stream, &request).await
        };
        match ended {
            Ended::Completed => {}
            Ended::Broken(Break::Reset) => {
                // Without it the client sees an ordinary end, which the test then notices.
                let _ = stream.set_zero_linger();
                return;
            }
            Ended::Broken(Break::Close) | Ended::Cancelled => return,
        }
    }
}

async fn call(stream: &mut TcpStream, buffer: &mut Vec<u8>, asked: &Asked, book: &Book) -> Ended {
    let reply = book.begin(asked);
    let (read, write) = stream.split();
    let ended = tokio::select! {
        // An answer whose last byte is out is complete.
        biased;
        played = play(write, &reply, asked) => played.unwrap_or(Ended::Cancelled),
        () = http::gone(read, buffer) => Ended::Cancelled,
    };
    book.end(ended, asked);
    ended
}

async fn play(mut write: WriteHalf<'_>, reply: &Reply, asked: &Asked) -> io::Result<Ended> {
    pause(reply.pauses.head).await;
    let Some(plan) = render::plan(reply, asked) else {
        return Ok(if let Says::Nothing(how) = reply.says { Ended::Broken(how) } else { Ended::Completed });
    };
    write.write_all(&plan.head).await?;
    let mut writer = Writer { write, reply, chunked: plan.chunked, place: 0 };
    for step in &render::joined(plan.steps, &reply.writes) {
        if let Some(how) = writer.step(step).await? {
            return Ok(Ended::Broken(how));
        }
    }
    while !plan.again.is_empty() {
        for step in &plan.again {
            writer.step(step).await?;
        }
        // An answer without pauses leaves the thread to others, too.
        tokio::task::yield_now().await;
    }
    if plan.chunked {
        writer.write.write_all(b"0\r\n\r\n").await?;
    }
    Ok(Ended::Completed)
}

struct Writer<'a> {
    write: WriteHalf<'a>,
    reply: &'a Reply,
    chunked: bool,
    /// Of the body's next byte.
    place: usize,
}

impl Writer<'_> {
    async fn step(&mut self, step: &Step) -> io::Result<Option<Break>> {
        match step {
            Step::Wait(time) => pause(*time).await,
            Step::Break(how) => return Ok(Some(*how)),
            Step::Bytes(bytes) => {
                let mut begin = 0;
                for end in 1..=bytes.len() {
                    if end == bytes.len() || self.reply.writes.hit(self.place + end) {
                        self.piece(bytes.get(begin..end).unwrap_or_default()).await?;
                        begin = end;
                    }
                }
                self.place += bytes.len();
            }
        }
        Ok(None)
    }

    /// One write, so that it is one packet as long as it fits.
    async fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.chunked {
            let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
            chunk.extend_from_slice(bytes);
            chunk.extend_from_slice(b"\r\n");
            self.write.write_all(&chunk).await?;
        } else {
            self.write.write_all(bytes).await?;
        }
        pause(self.reply.pauses.write).await;
        Ok(())
    }
}

/// What is no call for an answer.
async fn other(stream: &mut TcpStream, request: &Request) -> Ended {
    let (status, body) = if request.method == "GET" && request.path.ends_with("/models") {
        let model = json!({ "id": "fake", "object": "model", "created": 0, "owned_by": "quipu" });
        (200, json!({ "object": "list", "data": [model] }))
    } else {
        (
            404,
            json!({ "error": { "message": "There is no such path.", "type": "not_found", "code": "not_found" } }),
        )
    };
    let body = body.to_string();
    let headers = [("content-type", "application/json"), ("content-length", &body.len().to_string())];
    let mut answer = http::head(status, &headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
    answer.extend_from_slice(body.as_bytes());
    match stream.write_all(&answer).await {
        Ok(()) => Ended::Completed,
        Err(_) => Ended::Cancelled,
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
