//! Keeps a list of revocations complete by the issuer's stream, for as long as the process runs.
//!
//! A stream that ends, fails or falls silent is opened again at the last cursor, after a pause that grows while
//! nothing is heard and is different for each follower.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use mesh_error::BoxError;
use metrics::counter;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{MAX_SILENCE, RevocationEvent, RevocationSource, Revocations};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why a stream was left.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the issuer did not open the stream")]
    Refused(#[source] BoxError),
    #[error("the issuer was silent")]
    Silent,
    #[error("the issuer ended the stream")]
    Closed,
    #[error("the stream failed")]
    Failed(#[source] BoxError),
    #[error("the issuer knows less than it did; all revocations are read again")]
    WentBack,
}

impl End {
    fn label(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Silent => "silent",
            Self::Closed => "closed",
            Self::Failed(_) => "failed",
            Self::WentBack => "went_back",
        }
    }
}

/// Follows the issuer's revocations until `stop`. Returns at once for [`Revocations::local`].
pub async fn follow_revocations(revocations: Revocations, stop: CancellationToken) {
    let Some(source) = revocations.source() else { return };
    stop.run_until_cancelled(follow(source, revocations)).await;
}

async fn follow(source: Arc<dyn RevocationSource>, revocations: Revocations) {
    let mut failures = 0;
    loop {
        let mut heard = false;
        let end = follow_once(&*source, &revocations, &mut heard).await;
        failures = if heard { 0 } else { failures + 1 };
        report(&end, failures);
        tokio::time::sleep(pause(failures)).await;
    }
}

async fn follow_once(source: &dyn RevocationSource, revocations: &Revocations, heard: &mut bool) -> End {
    let mut stream = match timeout(MAX_SILENCE, source.watch(revocations.cursor())).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return End::Refused(error),
        Err(_) => return End::Silent,
    };
    loop {
        match timeout(MAX_SILENCE, stream.next()).await {
            Ok(Some(Ok(RevocationEvent::Revoked(revocation)))) => revocations.apply(revocation),
            Ok(Some(Ok(RevocationEvent::Heartbeat { cursor }))) if cursor < revocations.cursor() => {
                revocations.rewind();
                return End::WentBack;
            }
            Ok(Some(Ok(RevocationEvent::Heartbeat { cursor }))) => {
                revocations.heartbeat(cursor);
                *heard = true;
            }
            Ok(Some(Err(error))) => return End::Failed(error),
            Ok(None) => return End::Closed,
            Err(_) => return End::Silent,
        }
    }
}

/// A stream that lived is resumed as a matter of course; one that never did is a fault.
fn report(end: &End, failures: u32) {
    counter!("revocation_stream_ends_total", "reason" => end.label()).increment(1);
    let error = end as &dyn std::error::Error;
    if failures == 0 {
        tracing::info!(error, "the stream of revocations ended; it is resumed");
    } else {
        tracing::warn!(error, failures, "no stream of revocations");
    }
}

/// Doubles with each failure in a row; between half and all of it, by chance.
fn pause(failures: u32) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(1 << failures.min(8)).min(LONGEST_PAUSE);
    full.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        for failures in 0..40 {
            let full = Duration::from_millis(100 << failures.min(8)).min(LONGEST_PAUSE);
            let pauses: Vec<_> = (0..20).map(|_| pause(failures)).collect();
            assert!(pauses.iter().all(|p| *p >= full / 2 && *p <= full), "{failures}: {pauses:?}");
            assert!(pauses.iter().any(|p| *p != pauses[0]));
        }
    }
}
