//! An open stream of a user: its place among all, and its end when the caller may no longer have it. The token is looked
//! at again and again, and the deadline of the call counts also while nothing reaches the service.

use std::time::Duration;

use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use mesh_error::{Error, Kind};
use mesh_identity::{User, token::TokenVerifier};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};

use crate::{access::Caller, guard::Call, held::OpenStream, problem::Failure, state::Gateway};

/// How often the token is verified: a revocation ends a stream within five seconds, the time to hear of it included.
const CHECK: Duration = Duration::from_secs(2);

/// A stream that is open and watched as long as this lives.
pub(super) struct Watched {
    ended: BoxFuture<'static, Error>,
    _open: OpenStream,
}

impl Watched {
    /// Takes a place for the caller's stream, unless too many are open.
    pub(super) fn begin(gateway: &Gateway, call: &Call) -> Result<Self, Failure> {
        let open = gateway.held.stream(call.caller().map(Caller::account).unwrap_or_default())?;
        let user = call.caller().map(|caller| caller.user.clone());
        let ended = ended(gateway.verifier.clone(), user, call.deadline()).boxed();
        Ok(Self { ended, _open: open })
    }

    /// The reason why it may not go on; to be waited for until it has come, once.
    pub(super) async fn ended(&mut self) -> Error {
        (&mut self.ended).await
    }
}

/// What a client is told when the process drains.
pub(super) fn draining() -> Error {
    Error::unavailable("SHUTTING_DOWN", "the gateway is shutting down; go on with another stream")
}

/// What a client is told when a service says no more before it has said everything.
pub(super) fn ended_early() -> Error {
    Error::unavailable("STREAM_ENDED", "the service ended the stream early")
}

/// The headers of an answer that comes piece by piece.
pub(super) fn piecemeal(headers: &mut HeaderMap, media: &'static str) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    // A proxy that collects the answer would defeat it.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
}

/// Waits for the reason to end. The token has just been verified.
async fn ended(verifier: TokenVerifier, user: Option<User>, deadline: Instant) -> Error {
    let refused = async {
        let mut checks = interval_at(Instant::now() + CHECK, CHECK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            checks.tick().await;
            if let Some(user) = &user
                && let Err(error) = verifier.verify(&user.token).await
            {
                return Error::from(error);
            }
        }
    };
    timeout_at(deadline, refused).await.unwrap_or_else(|_| {
        Error::new(Kind::DeadlineExceeded, "DEADLINE_EXCEEDED", "the stream has lasted as long as it may")
    })
}

#[cfg(test)]
mod tests {
    use mesh_testkit::TestMesh;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_a_stream_whose_token_is_good() {
        let mesh = TestMesh::start().unwrap();
        let (verifier, token) = (mesh.mint().verifier(), mesh.mint().user("u1").sign().unwrap());
        let claims = verifier.verify(&token).await.unwrap();
        let user = User { claims, token: token.into() };
        let start = Instant::now();
        let error = ended(verifier, Some(user), start + Duration::from_secs(60)).await;
        assert_eq!((error.kind(), start.elapsed().as_secs()), (Kind::DeadlineExceeded, 60));
    }
}
