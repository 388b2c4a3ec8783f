//! Every route of the gateway, and the router made of them.

mod auth;
mod docs;
pub(crate) mod jwks;
pub(crate) mod mesh;
mod operations;
mod sentiment;
mod stream;
mod traces;
mod users;

use std::sync::Arc;

use axum::{Router, middleware::from_fn_with_state};
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
pub(crate) fn router(gateway: &Shared, edge: Edge) -> Router {
    let mut router = Router::new();
    for Route { info, handler, .. } in all() {
        let path = info.path;
        let guarded = Guarded { gateway: gateway.clone(), facts: Facts(Arc::new(info)) };
        router = router.route(path, handler.route_layer(from_fn_with_state(guarded, guard)));
    }
    router
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(gateway.clone())
        .layer(from_fn_with_state(edge, envelope))
}

pub(crate) async fn no_route() -> Failure {
    Failure::http(StatusCode::NOT_FOUND, "ROUTE_NOT_FOUND", "there is no such route")
}

async fn no_method() -> Failure {
    Failure::http(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "the route does not take this method")
}
