//! `/.well-known/jwks.json`: the keys that verify access tokens, for whoever verifies them elsewhere.

use std::time::Duration;

use axum::{body::Body, extract::State, response::Response};
use http::{HeaderValue, header::CACHE_CONTROL, header::CONTENT_TYPE};
use mesh_error::Error;
use mesh_proto::auth::v1;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tonic::Status;

use crate::{
    api::operations::JwkSet,
    guard::Call,
    problem::Failure,
    route::{Route, TypeDoc},
    state::Shared,
};

/// How long an answer of `auth` is passed on; keys are published long before they are used.
const FRESH: Duration = Duration::from_secs(30);

/// How long it is passed on while `auth` is away.
const STALE: Duration = Duration::from_secs(600);

const MEDIA: &str = "application/jwk-set+json";

/// How long `auth` may take.
const LIMIT: Duration = Duration::from_secs(1);

/// How long it is left alone after a try that brought nothing: those who wait must not try one after another.
const PAUSE: Duration = Duration::from_secs(2);

/// The last answer, and a lock by which only one request asks.
#[derive(Default)]
pub(crate) struct JwksCache(Mutex<Known>);

#[derive(Default)]
struct Known {
    answer: Option<(Instant, String)>,
    /// The last try that has brought nothing yet.
    tried: Option<Instant>,
}

impl JwksCache {
    /// The keys, asked for by `ask` when they are not known well enough.
    async fn keys<F>(&self, ask: F) -> Result<String, Failure>
    where
        F: Future<Output = Result<String, Status>>,
    {
        let mut known = self.0.lock().await;
        if let Some(keys) = known.younger_than(FRESH) {
            return Ok(keys);
        }
        if known.tried.is_some_and(|at| at.elapsed() < PAUSE) {
            return known.younger_than(STALE).ok_or_else(away);
        }
        // Before it is asked: also one who leaves while it asks has tried.
        known.tried = Some(Instant::now());
        match timeout(LIMIT, ask).await {
            Ok(Ok(keys)) => {
                *known = Known { answer: Some((Instant::now(), keys.clone())), tried: None };
                Ok(keys)
            }
            failed => {
                tracing::warn!(failed = ?failed.map(|asked| asked.map_err(|s| s.code())), "no keys from auth");
                known.younger_than(STALE).ok_or_else(away)
            }
        }
    }
}

impl Known {
    fn younger_than(&self, age: Duration) -> Option<String> {
        self.answer.as_ref().filter(|(at, _)| at.elapsed() < age).map(|(_, keys)| keys.clone())
    }
}

fn away() -> Failure {
    Error::unavailable("KEYS_UNAVAILABLE", "the keys are not known right now").with_retry_after(PAUSE).into()
}

/// The route of this file.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/.well-known/jwks.json", jwks)
            .named("operations", "getJwks", "The keys that verify access tokens")
            .calls(&["quipu.auth.v1.AuthService/GetJwks"])
            .answer(200, "A JWK set (RFC 7517).", Some(TypeDoc::of::<JwkSet>(MEDIA))),
    ]
}

async fn jwks(State(gateway): State<Shared>, call: Call) -> Result<Response, Failure> {
    let ask = async {
        let answer = gateway.auth.clone().get_jwks(call.request(v1::GetJwksRequest {})).await?;
        Ok(answer.into_inner().jwks)
    };
    let body = gateway.jwks.keys(ask).await?;
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::{join_all, pending};
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn while_auth_is_a_black_hole_one_tries_and_nobody_waits_for_more_than_that() {
        let (cache, tries) = (JwksCache::default(), AtomicUsize::new(0));
        assert_eq!(cache.keys(async { Ok("keys".to_owned()) }).await.unwrap(), "keys");
        advance(FRESH).await;
        let start = Instant::now();
        let all = (0..100).map(|_| {
            cache.keys(async {
                tries.fetch_add(1, Ordering::SeqCst);
                pending().await
            })
        });
        for keys in join_all(all).await {
            assert_eq!(keys.unwrap(), "keys");
        }
        assert_eq!((tries.load(Ordering::SeqCst), start.elapsed()), (1, LIMIT));
        advance(PAUSE).await;
        assert_eq!(cache.keys(async { Ok("newer".to_owned()) }).await.unwrap(), "newer");
    }

    #[tokio::test(start_paused = true)]
    async fn keys_too_old_are_not_served_and_who_leaves_has_tried() {
        let cache = JwksCache::default();
        let left = timeout(LIMIT / 2, cache.keys(pending())).await;
        assert!(left.is_err());
        let refused = cache.keys(async { Ok("keys".to_owned()) }).await.unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.error().retry_after()), (503, Some(PAUSE)));
    }
}
