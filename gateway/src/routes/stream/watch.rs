//! Ends a stream whose caller may no longer have it: the token is looked at again and again, and the deadline of the call
//! counts also while nothing reaches the service.

use std::time::Duration;

use mesh_error::{Error, Kind};
use mesh_identity::{User, token::TokenVerifier};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

/// How often the token is verified: a revocation ends a stream within five seconds, the time to hear of it included.
const CHECK: Duration = Duration::from_secs(2);

/// Waits for the reason to end.
pub(super) async fn ended(verifier: TokenVerifier, user: Option<User>, deadline: Instant) -> Error {
    let refused = async {
        let mut checks = interval(CHECK);
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
