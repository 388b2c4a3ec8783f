//! Reads an answer within its limits: of time, of length, of form.
//!
//! Nothing reads ahead of who asks for pieces. The connection is let go with the last piece, with an error, or when this
//! value is dropped. A wait is counted only while a piece is asked for, so a slow listener is no slow server.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::header::HeaderValue;
use tokio::time::{Instant, timeout_at};

use super::chunk::Heard;
use super::events::Events;
use super::{Times, errors};
use crate::ports::{ModelError, Piece};

/// What comes of one token, at most: long words of long scripts, not one of a code point each.
const BYTES_PER_TOKEN: usize = 16;
/// What may come besides.
const BYTES_BESIDES: usize = 64 * 1024;
/// A token on the wire, in a chunk of its own, at most.
const WIRE_PER_TOKEN: usize = 2 * 1024;
/// What may come on the wire besides: comments and empty chunks.
const WIRE_BESIDES: usize = 1024 * 1024;
/// How long the usage may come after the text's end.
const USAGE: Duration = Duration::from_secs(2);
/// How long the connection's end may come after the answer's end; one that ends in order can be used again.
const LINGER: Duration = Duration::from_millis(10);

/// The limits of time of one answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) times: Times,
    pub(super) started: Instant,
}

impl Limits {
    /// Until when the first text must have come, and by which limit.
    pub(super) fn first(&self) -> (Instant, &'static str) {
        self.sooner(self.started + self.times.first_token, "first token")
    }

    fn next(&self) -> (Instant, &'static str) {
        self.sooner(Instant::now() + self.times.stall, "stall")
    }

    fn sooner(&self, until: Instant, limit: &'static str) -> (Instant, &'static str) {
        let total = self.started + self.times.total;
        if total <= until { (total, "total") } else { (until, limit) }
    }
}

/// The form of an answer.
#[derive(Debug)]
pub(super) enum Format {
    /// Server-sent events.
    Events(Events),
    /// One completion as JSON, as servers send it that do not stream; what has come of it.
    Whole(Vec<u8>),
}

impl Format {
    /// The form that a content type announces.
    ///
    /// # Errors
    /// When it is none of ours.
    pub(super) fn of(content_type: Option<&HeaderValue>) -> Result<Self, ModelError> {
        let text = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = text.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("text/event-stream") {
            Ok(Self::Events(Events::default()))
        } else if media_type.eq_ignore_ascii_case("application/json") {
            Ok(Self::Whole(Vec::new()))
        } else {
            Err(ModelError::Malformed("neither events nor JSON".to_owned()))
        }
    }
}

/// An answer that is being read.
pub(super) struct Reading {
    /// None when nothing is read any more.
    body: Option<BoxStream<'static, Result<Bytes, ModelError>>>,
    format: Format,
    heard: Heard,
    limits: Limits,
    /// Bytes that may still come on the wire.
    left: usize,
    /// Pieces that are read, and not taken yet.
    pieces: VecDeque<Piece>,
    /// What comes after them.
    failed: Option<ModelError>,
    /// Whether a text has been taken.
    spoken: bool,
    /// When the text had ended, or the stream after it: then it is not waited for long.
    ended: Option<Instant>,
}

impl Reading {
    /// Begins to read.
    pub(super) fn new(
        body: BoxStream<'static, Result<Bytes, ModelError>>,
        format: Format,
        limits: Limits,
        most_tokens: u32,
    ) -> Self {
        let most = |each: usize, besides| {
            usize::try_from(most_tokens).unwrap_or(usize::MAX).saturating_mul(each).saturating_add(besides)
        };
        Self {
            body: Some(body),
            format,
            heard: Heard::new(most(BYTES_PER_TOKEN, BYTES_BESIDES)),
            limits,
            left: most(WIRE_PER_TOKEN, WIRE_BESIDES),
            pieces: VecDeque::new(),
            failed: None,
            spoken: false,
            ended: None,
        }
    }

    /// The next piece; none after the end or an error. May be dropped at any time, and called again.
    pub(super) async fn next(&mut self) -> Option<Result<Piece, ModelError>> {
        let (until, limit) = if self.spoken { self.limits.next() } else { self.limits.first() };
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                self.spoken = true;
                return Some(Ok(piece));
            }
            if let Some(error) = self.failed.take() {
                return Some(Err(error));
            }
            let body = self.body.as_mut()?;
            let until = self.ended.map_or(until, |ended| ended.min(until));
            let taken = match timeout_at(until, body.next()).await {
                Ok(Some(Ok(bytes))) => self.take(&bytes),
                // The text is whole; what is missing is only the usage, or the end of the stream.
                _ if self.heard.finished() => self.end(),
                Ok(Some(Err(error))) => Err(error),
                Ok(None) => self.end(),
                Err(_) => Err(ModelError::Timeout(limit)),
            };
            if let Err(error) = taken {
                self.failed = Some(error);
                self.body = None;
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        self.left = self.left.checked_sub(bytes.len()).ok_or_else(too_long)?;
        let parser = match &mut self.format {
            Format::Whole(all) => {
                all.extend_from_slice(bytes);
                return Ok(());
            }
            Format::Events(parser) => parser,
        };
        let mut events = Vec::new();
        let parsed = parser.push(bytes, &mut events);
        for event in events {
            if event == b"[DONE]" {
                return self.done();
            }
            let finished = self.heard.finished();
            self.heard.take(&event, &mut self.pieces)?;
            if self.heard.finished() && !finished {
                self.ended = Some(Instant::now() + USAGE);
            }
        }
        parsed
    }

    /// The stream is over but for the end of its connection.
    fn done(&mut self) -> Result<(), ModelError> {
        if !self.heard.finished() {
            return Err(errors::broken_off());
        }
        self.ended = Some(Instant::now() + LINGER);
        Ok(())
    }

    /// Nothing more comes, or is waited for.
    fn end(&mut self) -> Result<(), ModelError> {
        self.body = None;
        if let Format::Whole(all) = &mut self.format {
            self.heard.take(&std::mem::take(all), &mut self.pieces)?;
        }
        self.heard.end(&mut self.pieces)
    }
}

fn too_long() -> ModelError {
    ModelError::Malformed("too long".to_owned())
}
