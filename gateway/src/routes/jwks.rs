//! `/.well-known/jwks.json`: the keys that verify access tokens, for whoever verifies them elsewhere.

use std::time::Duration;

use axum::{body::Body, extract::State, response::Response};
use http::{HeaderValue, header::CACHE_CONTROL, header::CONTENT_TYPE};
use mesh_proto::auth::v1;
use tokio::{sync::Mutex, time::Instant};

use crate::{
    api::operations::JwkSet,
    guard::{Call, backend},
    problem::Failure,
    route::{Route, TypeDoc},
    state::Shared,
};

/// How long an answer of `auth` is passed on; keys are published long before they are used.
const FRESH: Duration = Duration::from_secs(30);

/// How long it is passed on while `auth` is away.
const STALE: Duration = Duration::from_secs(600);

const MEDIA: &str = "application/jwk-set+json";

/// The last answer, and a lock by which only one request asks.
#[derive(Default)]
pub(crate) struct JwksCache(Mutex<Option<(Instant, String)>>);

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
    let mut known = gateway.jwks.0.lock().await;
    let fresh = known.as_ref().is_some_and(|(at, _)| at.elapsed() < FRESH);
    if !fresh {
        match gateway.auth.clone().get_jwks(call.request(v1::GetJwksRequest {})).await {
            Ok(answer) => *known = Some((Instant::now(), answer.into_inner().jwks)),
            Err(status) if known.as_ref().is_some_and(|(at, _)| at.elapsed() < STALE) => {
                tracing::warn!(code = ?status.code(), "keys are served stale");
            }
            Err(status) => return Err(backend(status)),
        }
    }
    let body = known.as_ref().map(|(_, jwks)| jwks.clone()).unwrap_or_default();
    drop(known);
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    Ok(response)
}
