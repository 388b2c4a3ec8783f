//! The stream of a connection, which tells its [`Watch`] what it does, and ends so that the peer gets the last answer.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::watch::Watch;

/// A request that is refused before its body was read leaves the body under way. To close at once would reset the
/// connection, and the peer would lose the answer (RFC 9112 §9.6): so much of it is thrown away first, for so long.
const LINGER: (usize, Duration) = (8 * 1024 * 1024, Duration::from_secs(2));

/// A stream that tells its [`Watch`] what it does.
pub(crate) struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
    shut: bool,
    lingered: usize,
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    /// Watches `stream`.
    pub(crate) fn new(stream: S, watch: Arc<Watch>) -> Self {
        Self { stream, watch, shut: false, lingered: 0, until: None }
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Throws away what still comes, if anything does.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [0; 8 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && self.lingered < LINGER.0 => {
                    self.lingered += buffer.filled().len();
                }
                Poll::Pending if self.lingered > 0 || self.watch.expects_more() => {
                    let until = self.until.get_or_insert_with(|| Box::pin(sleep(LINGER.1)));
                    return until.as_mut().poll(context).map(Ok);
                }
                // Nothing is under way, the peer has ended too, or there is no end to it.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.watch.read();
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch.wrote(done(&written, |bytes| *bytes));
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch.wrote(done(&written, |bytes| *bytes));
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        // TLS takes bytes that the socket has no room for.
        self.watch.wrote(done(&flushed, |()| 0));
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.shut = true;
        }
        self.poll_linger(context)
    }
}

/// What a write did, as [`Watch::wrote`] takes it.
fn done<T>(written: &Poll<io::Result<T>>, bytes: impl FnOnce(&T) -> usize) -> Option<usize> {
    match written {
        Poll::Ready(written) => Some(written.as_ref().map_or(0, bytes)),
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt as _, time::Instant};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_is_taken_before_the_end_and_no_more() {
        let (_peer, own) = tokio::io::duplex(64 * 1024);
        let mut watched = Watched::new(own, Watch::new());
        watched.shutdown().await.unwrap();
        assert_eq!(watched.lingered, 0, "nothing came: there is nothing to wait for");

        let (mut sender, own) = tokio::io::duplex(1024);
        let mut watched = Watched::new(own, Watch::new());
        let sending = tokio::spawn(async move {
            sender.write_all(&[0; 50_000]).await.unwrap();
            sender
        });
        tokio::task::yield_now().await;
        watched.shutdown().await.unwrap();
        assert_eq!(watched.lingered, 50_000);
        drop(sending.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_was_announced_is_waited_for_and_not_for_ever() {
        let (mut sender, own) = tokio::io::duplex(1024);
        let mut watched = Watched::new(own, Watch::new());
        watched.watch.expect_more();
        let sending = tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            sender.write_all(&[0; 5_000]).await.unwrap();
            sender
        });
        let begun = Instant::now();
        watched.shutdown().await.unwrap();
        assert_eq!((watched.lingered, begun.elapsed().as_secs()), (5_000, 2));
        drop(sending.await.unwrap());
    }
}
