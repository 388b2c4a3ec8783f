//! A request body whose messages are not larger than allowed, checked when the length is announced, and have no more fields
//! than any message of ours, checked while they come.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use mesh_error::{Error, Kind};
use tonic::Status;

use super::fields::{Fields, MOST_FIELDS};

/// A flag and the length, before each message.
const PREFIX: usize = 5;

/// Refuses a message that announces more bytes than the limit, before any of them is kept, and one with too many fields.
pub(crate) struct Limited<B> {
    inner: B,
    limit: usize,
    /// The prefix read so far.
    prefix: Vec<u8>,
    /// Bytes of the present message that are still to come.
    left: usize,
    /// What that message holds so far.
    fields: Fields,
}

impl<B> Limited<B> {
    pub(crate) fn new(inner: B, limit: usize) -> Self {
        Self { inner, limit, prefix: Vec::with_capacity(PREFIX), left: 0, fields: Fields::default() }
    }

    /// Follows the framing; an error when a message is too large or has too many fields. What is compressed is not counted: no
    /// service of ours takes it.
    fn follow(&mut self, mut data: Bytes) -> Result<(), Error> {
        while data.has_remaining() {
            if self.left > 0 {
                let part = data.split_to(self.left.min(data.len()));
                self.left -= part.len();
                if !self.fields.follow(part) {
                    return Err(too_many());
                }
                continue;
            }
            self.prefix.push(data.get_u8());
            if let [_, a, b, c, d] = *self.prefix.as_slice() {
                self.prefix.clear();
                self.fields = Fields::default();
                self.left = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                if self.left > self.limit {
                    return Err(too_large(self.limit));
                }
            }
        }
        Ok(())
    }
}

fn too_large(limit: usize) -> Error {
    Error::new(Kind::TooLarge, Kind::TooLarge.default_reason(), "the message is larger than allowed")
        .with_metadata("limit_bytes", limit.to_string())
}

fn too_many() -> Error {
    let message = format!("the message has more than {MOST_FIELDS} fields");
    Error::new(Kind::InvalidArgument, "TOO_MANY_FIELDS", message)
}

impl<B> http_body::Body for Limited<B>
where
    B: http_body::Body<Data = Bytes, Error = Status> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let poll = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &poll
            && let Some(data) = frame.data_ref()
            && let Err(error) = self.follow(data.clone())
        {
            return Poll::Ready(Some(Err(error.into_status())));
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds messages of the given sizes in chunks of `chunk` bytes.
    fn feed(limit: usize, sizes: &[usize], chunk: usize) -> Result<(), Error> {
        let mut wire = Vec::new();
        for size in sizes {
            wire.push(0);
            wire.extend(u32::try_from(*size).expect("small").to_be_bytes());
            wire.extend(vec![7; *size]);
        }
        let mut body = Limited::new((), limit);
        wire.chunks(chunk).try_for_each(|chunk| body.follow(Bytes::copy_from_slice(chunk)))
    }

    #[test]
    fn the_limit_itself_is_allowed_however_it_is_cut() {
        for chunk in [1, 2, 4, 5, 6, 7, 100] {
            assert!(feed(10, &[10, 0, 3, 10], chunk).is_ok(), "{chunk}");
        }
    }

    #[test]
    fn one_byte_more_is_refused_however_it_is_cut() {
        for chunk in [1, 2, 4, 5, 6, 7, 100] {
            let error = feed(10, &[3, 11], chunk).expect_err("too large");
            assert_eq!(error.kind(), Kind::TooLarge, "{chunk}");
        }
    }

    #[test]
    fn an_announced_monster_is_refused_before_it_comes() {
        let mut body = Limited::new((), 10);
        assert!(body.follow(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff])).is_err());
    }
}
