//! A write with an idempotency key: once, to its end, and answered from memory afterwards.

use axum::{
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http_body_util::BodyExt as _;
use mesh_error::Error;
use mesh_telemetry::RequestSpan;

use super::{Call, Facts};
use crate::{
    accept, body,
    edge::envelope::survive,
    held::Place,
    idempotency::{self, Begin, Slot, Token},
    problem::Failure,
    state::{Gateway, Shared},
};

/// Runs the rest of the request unless it was run before.
pub(super) async fn once(
    gateway: &Shared,
    facts: &Facts,
    call: &Call,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let Some(key) = idempotency::from_headers(request.headers())? else { return Ok(next.run(request).await) };
    if facts.0.events && accept::wants_events(request.headers()) {
        return Err(idempotency::no_replay());
    }
    let (parts, body) = request.into_parts();
    let bytes = body::collect(&parts, body, facts.0.body_limit).await?;
    // The path as it is, not that of the route: another `{id}` is another write.
    let slot = Slot::derive(&key, &call.principal(), &format!("{} {}", facts.0.method, parts.uri.path()))?;
    let fingerprint = slot.fingerprint(&bytes)?;
    match gateway.idempotency.begin(&slot.id, &fingerprint).await? {
        Begin::InProgress => Err(idempotency::in_progress()),
        Begin::Mismatch => Err(idempotency::mismatch()),
        Begin::Done(sealed) => Ok(idempotency::open(&slot, &fingerprint, sealed)?),
        Begin::Fresh(token) => {
            let write = Write { slot, fingerprint, token };
            let request = Request::from_parts(parts, Body::from(bytes));
            run_to_end(gateway, write, request, next).await
        }
    }
}

/// A write that holds its key.
struct Write {
    slot: Slot,
    fingerprint: [u8; 32],
    token: Token,
}

/// In a task of its own, so that a client that leaves does not undo it.
async fn run_to_end(
    gateway: &Shared,
    write: Write,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let shared = gateway.clone();
    let task = async move {
        let _held = request.extensions().get::<Place>().cloned();
        let response = survive(next.run(request)).await;
        // Nobody may be waiting any more.
        let _ = answer.send(write.settle(&shared, response).await);
    };
    gateway.lifecycle.spawn("idempotent write", RequestSpan::current().follow(task));
    answered.await.map_err(|_| Failure::from(Error::internal("a write ended without an answer")))
}

impl Write {
    /// Keeps an answer of success; frees the key after any other.
    async fn settle(self, gateway: &Gateway, response: Response) -> Response {
        if !response.status().is_success() {
            self.free(gateway).await;
            return response;
        }
        let (parts, body) = response.into_parts();
        let bytes = match body.collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) => {
                self.free(gateway).await;
                return Failure::from(Error::internal(error)).into_response();
            }
        };
        let kept = match idempotency::seal(&self.slot, &self.fingerprint, &parts, &bytes) {
            Ok(sealed) => gateway.idempotency.finish(&self.slot.id, self.token, sealed).await,
            Err(error) => Err(error),
        };
        // The write is done: to fail it now would be a lie. Its key stays held until the lease ends.
        if let Err(error) = kept {
            error.log();
        }
        Response::from_parts(parts, Body::from(bytes))
    }

    async fn free(&self, gateway: &Gateway) {
        if let Err(error) = gateway.idempotency.release(&self.slot.id, self.token).await {
            error.log();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use axum::{Router, extract::State, middleware::from_fn, routing::post};
    use http::StatusCode;
    use mesh_client::Endpoints;
    use mesh_testkit::TestMesh;
    use tower::ServiceExt as _;

    use super::*;
    use crate::{Config, edge::Client, guard::Guarded, route::Route};

    async fn panics_once(State(calls): State<Arc<AtomicUsize>>) -> StatusCode {
        assert!(calls.fetch_add(1, Ordering::SeqCst) > 0, "canary");
        StatusCode::NO_CONTENT
    }

    fn router(mesh: &TestMesh) -> Router {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let endpoints =
            Endpoints::new().with("auth", address).with("jokes", address).with("sentiment", address);
        let own = mesh.mesh_as("gateway", endpoints).unwrap();
        let gateway = crate::app::gateway(&Config::default(), &own, mesh.lifecycle()).unwrap();
        let route = Route::post("/x", crate::routes::no_route).idempotent();
        let guarded = Guarded { gateway: Arc::new(gateway), facts: Facts(Arc::new(route.info)) };
        Router::new().route("/x", post(panics_once)).with_state(Arc::default()).route_layer(from_fn(
            move |request, next| crate::guard::guard(guarded.clone(), Client::default(), request, next),
        ))
    }

    #[tokio::test]
    async fn a_panic_frees_the_key() {
        let mesh = TestMesh::start().unwrap();
        let router = router(&mesh);
        let write = || {
            let request = http::Request::post("/x").header("idempotency-key", "k-1");
            router.clone().oneshot(request.body(Body::empty()).unwrap())
        };
        assert_eq!(write().await.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(write().await.unwrap().status(), StatusCode::NO_CONTENT, "not 409");
    }
}
