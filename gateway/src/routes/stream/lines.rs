//! Cuts a body into lines of bounded length.

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{Stream, StreamExt as _};

/// The longest line, without its end.
const MAX_LINE: usize = super::TEXT_LIMIT;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line that is not blank, without its end.
    Whole(Bytes),
    /// A line longer than allowed; it is skipped.
    TooLong,
    /// The body broke off.
    Broken,
}

/// The lines of a body.
pub(super) struct Lines<S> {
    body: S,
    buffer: BytesMut,
    searched: usize,
    skipping: bool,
    ended: bool,
}

impl<S, E> Lines<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    /// Of a stream of chunks.
    pub(super) fn new(body: S) -> Self {
        Self { body, buffer: BytesMut::new(), searched: 0, skipping: false, ended: false }
    }

    /// The next line; `None` at the end. May be cancelled at any time without losing anything.
    pub(super) async fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.cut() {
                return Some(line);
            }
            if self.ended {
                return None;
            }
            match self.body.next().await {
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(_)) => {
                    self.buffer.clear();
                    self.ended = true;
                    return Some(Line::Broken);
                }
                None => {
                    self.ended = true;
                    if !self.buffer.is_empty() {
                        self.buffer.extend_from_slice(b"\n");
                    }
                }
            }
        }
    }

    /// A line from what has come so far.
    fn cut(&mut self) -> Option<Line> {
        loop {
            let fresh = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(at) = fresh.iter().position(|b| *b == b'\n').map(|at| at + self.searched) else {
                if self.buffer.len() > MAX_LINE {
                    self.buffer.clear();
                    self.searched = 0;
                    return (!std::mem::replace(&mut self.skipping, true)).then_some(Line::TooLong);
                }
                self.searched = self.buffer.len();
                return None;
            };
            self.searched = 0;
            let line = self.buffer.split_to(at).freeze();
            self.buffer.advance(1);
            if std::mem::replace(&mut self.skipping, false) || line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return Some(if line.len() > MAX_LINE { Line::TooLong } else { Line::Whole(line) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;

    use super::*;

    async fn lines(chunks: &[&[u8]]) -> Vec<Line> {
        let chunks: Vec<Result<_, Infallible>> =
            chunks.iter().map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        let mut lines = Lines::new(stream::iter(chunks));
        let mut all = Vec::new();
        while let Some(line) = lines.next().await {
            all.push(line);
        }
        all
    }

    fn whole(text: &str) -> Line {
        Line::Whole(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[tokio::test]
    async fn lines_may_be_split_anywhere_and_the_last_needs_no_end() {
        let expected = [whole("ab"), whole("c\r"), whole("d")];
        assert_eq!(lines(&[b"ab\nc\r\n\n \nd"]).await, expected);
        assert_eq!(lines(&[b"a", b"b", b"\n", b"c\r\n\n", b" \n", b"d"]).await, expected);
        assert_eq!(lines(&[]).await, []);
    }

    #[tokio::test]
    async fn a_long_line_is_told_once_and_skipped() {
        let long = vec![b'x'; MAX_LINE];
        assert_eq!(lines(&[&long, b"\nok\n"]).await.len(), 2, "just at the limit");
        let expected = [Line::TooLong, whole("ok")];
        assert_eq!(lines(&[&long, b"x\nok\n"]).await, expected);
        assert_eq!(lines(&[&long, b"x", &long, &long, b"\nok\n"]).await, expected);
    }

    #[tokio::test]
    async fn a_broken_body_is_told() {
        let chunks = [Ok(Bytes::from_static(b"a\nb")), Err("gone")];
        let mut lines = Lines::new(stream::iter(chunks));
        assert_eq!(lines.next().await, Some(whole("a")));
        assert_eq!(lines.next().await, Some(Line::Broken));
        assert_eq!(lines.next().await, None);
    }
}
