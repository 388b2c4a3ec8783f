//! When a connection that was asked to end has nothing left to say.

use std::time::Duration;

use tokio::time::Instant;

/// After the GOAWAY, a connection that does nothing for so long is over: whatever was on its way has come.
const QUIET: Duration = Duration::from_secs(1);

/// Watches for the silence after the GOAWAY.
///
/// A call counts until its body has ended, but what it said may then still wait in the buffers of HTTP/2 for a slow
/// reader; as long as bytes go out, the connection is not quiet.
pub(super) struct Quiet {
    since: Instant,
    sent: u64,
}

impl Quiet {
    pub(super) fn begun(now: Instant, sent: u64) -> Self {
        Self { since: now, sent }
    }

    /// Whether it has been quiet for long enough, from the calls in progress and the bytes sent so far.
    pub(super) fn is_over(&mut self, now: Instant, calls: usize, sent: u64) -> bool {
        if calls > 0 || sent != self.sent {
            (self.since, self.sent) = (now, sent);
        }
        now.saturating_duration_since(self.since) >= QUIET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_call_in_progress_nor_bytes_that_go_out_are_quiet() {
        let begun = Instant::now();
        let at = |tenths: u32| begun + QUIET / 10 * tenths;
        let mut quiet = Quiet::begun(begun, 100);
        assert!(!quiet.is_over(at(9), 0, 100));
        assert!(!quiet.is_over(at(15), 1, 100), "a call");
        assert!(!quiet.is_over(at(24), 0, 100));
        assert!(!quiet.is_over(at(30), 0, 101), "a slow reader");
        assert!(!quiet.is_over(at(39), 0, 101));
        assert!(quiet.is_over(at(40), 0, 101));
    }
}
