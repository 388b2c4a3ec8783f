//! Every route of the gateway, and the router made of them.

mod auth;
mod docs;
mod jokes;
pub(crate) mod jwks;
pub(crate) mod mesh;
mod operations;
mod sentiment;
mod stream;
mod traces;
mod users;
mod watch;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use futures::future::BoxFuture;
use http::StatusCode;

use crate::{
    edge::{Edge, envelope::envelope},
    guard::{Facts, Guarded, guard},
    problem::Failure,
    route::Route,
    state::Shared,
};

/// All of them, in the order of the document.
pub(crate) fn all() -> Vec<Route> {
    [
        auth::routes(),
        users::routes(),
        sentiment::routes(),
        stream::routes(),
        jokes::routes(),
        mesh::routes(),
        traces::routes(),
        operations::routes(),
        jwks::routes(),
        docs::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The router: guard before each handler, envelope around everything, also around what no route matches.
pub(crate) fn router(gateway: &Shared, edge: &Edge) -> Router {
    let mut router = Router::new();
    for Route { info, handler, .. } in all() {
        let path = info.path;
        let guarded = Guarded { gateway: gateway.clone(), facts: Facts(Arc::new(info)) };
        router = router.route(path, handler.route_layer(from_fn_with_state((edge.clone(), guarded), enter)));
    }
    router
        .fallback(stray(edge, no_route))
        .method_not_allowed_fallback(stray(edge, no_method))
        .with_state(gateway.clone())
}

/// The one middleware of a route: layers of their own would each box and copy the request.
async fn enter(State((edge, guarded)): State<(Edge, Guarded)>, request: Request, next: Next) -> Response {
    let route = guarded.facts.0.clone();
    envelope(&edge, Some(&route), request, |request, client| guard(guarded, client, request, next)).await
}

/// The handler of what no route takes.
fn stray<F>(
    edge: &Edge,
    failure: fn() -> F,
) -> impl Fn(Request) -> BoxFuture<'static, Response> + Clone + Send + Sync + 'static
where
    F: Future<Output = Failure> + Send + 'static,
{
    let edge = edge.clone();
    move |request| {
        let edge = edge.clone();
        Box::pin(async move {
            envelope(&edge, None, request, |_, _| async move { failure().await.into_response() }).await
        })
    }
}

pub(crate) async fn no_route() -> Failure {
    Failure::http(StatusCode::NOT_FOUND, "ROUTE_NOT_FOUND", "there is no such route")
}

async fn no_method() -> Failure {
    Failure::http(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "the route does not take this method")
}
