//! `/healthz`, `/readyz`, `/version`, `/info`: what the gateway says of itself.

use axum::{extract::State, response::Response};
use chrono::SecondsFormat;
use http::StatusCode;

use crate::{
    api::operations::{Info, Links, Status, Version},
    app::VERSION,
    json::{Json, write},
    route::Route,
    state::Shared,
};

/// The routes of this file.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/healthz", healthz)
            .named("operations", "getHealth", "Whether the process lives")
            .probe()
            .answers::<Status>(200, "It does."),
        Route::get("/readyz", readyz)
            .named("operations", "getReadiness", "Whether the gateway is ready for requests")
            .probe()
            .answers::<Status>(200, "It is.")
            .answers::<Status>(503, "It is not, and why."),
        Route::get("/version", version)
            .named("operations", "getVersion", "Which build this is")
            .answers::<Version>(200, "The version."),
        Route::get("/info", info)
            .named("operations", "getInfo", "What is here")
            .answers::<Info>(200, "Name, version and where to read on."),
    ]
}

async fn healthz() -> Json<Status> {
    Json(Status { status: "ok", checks: Default::default() })
}

async fn readyz(State(gateway): State<Shared>) -> Response {
    let readiness = gateway.lifecycle.readiness();
    let checks =
        readiness.report().into_iter().map(|(name, reason)| (name, reason.unwrap_or("ok".to_owned())));
    let (code, status) = if readiness.is_ready() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    let mut response = write(code, &Status { status, checks: checks.collect() });
    response.extensions_mut().insert(crate::problem::OwnBody);
    response
}

async fn version() -> Json<Version> {
    Json(Version { name: "quipu-gateway", version: VERSION })
}

async fn info(State(gateway): State<Shared>) -> Json<Info> {
    Json(Info {
        name: "quipu",
        description: "A gRPC service mesh of Rust services behind a REST gateway.",
        version: VERSION,
        started_at: gateway.started.to_rfc3339_opts(SecondsFormat::Secs, true),
        links: Links { openapi: "/openapi.json", docs: "/docs/", jwks: "/.well-known/jwks.json" },
    })
}
