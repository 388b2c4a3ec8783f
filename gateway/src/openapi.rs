//! The OpenAPI 3.1 document, made of the same statements as the router.
//!
//! What a route has in common with others - limits, credentials, idempotency, failures - is derived from its facts, so
//! that no status can be forgotten. `x-rpc` names the methods of services that an operation calls.

mod operation;

use std::sync::LazyLock;

use utoipa::openapi::{
    Components, ComponentsBuilder, Info, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, Tag,
    path::{HttpMethod, PathItemBuilder},
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    tag::TagBuilder,
};

use crate::{
    app::VERSION,
    problem::Problem,
    route::{Doc, Route, TypeDoc},
    routes,
};

/// Name of the security scheme of access tokens.
const BEARER: &str = "bearer";

/// Name of the security scheme of API keys.
const API_KEY: &str = "apiKey";

/// The document as it is served.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut text = openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
});

/// The document as text, the same in every build.
pub(crate) fn document() -> &'static str {
    &DOCUMENT
}

/// The contract of the gateway.
#[must_use]
pub fn openapi() -> OpenApi {
    let routes = routes::all();
    let mut paths = PathsBuilder::new();
    for route in &routes {
        paths = paths.path(route.info.path, item(route));
    }
    OpenApiBuilder::new()
        .info(info())
        .paths(paths)
        .components(Some(components(&routes)))
        .tags(Some(tags()))
        .build()
}

fn info() -> Info {
    InfoBuilder::new()
        .title("Quipu")
        .version(VERSION)
        .description(Some(
            "REST gateway of the Quipu mesh. Every failure is `application/problem+json` (RFC 9457); `reason` tells \
             failures apart. Times are RFC 3339, ids opaque, 64-bit numbers strings unless they stay \
             below 2^53, money US dollars.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build()
}

fn tags() -> Vec<Tag> {
    [
        ("auth", "Accounts, sign-in, sessions and API keys."),
        ("users", "Accounts, for administrators."),
        ("sentiment", "How texts feel."),
        ("jokes", "Jokes and chat from a language model."),
        ("mesh", "The mesh itself."),
        ("operations", "The gateway itself."),
    ]
    .into_iter()
    .map(|(name, description)| TagBuilder::new().name(name).description(Some(description)).build())
    .collect()
}

fn item(route: &Route) -> PathItem {
    let method = match route.info.method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    };
    PathItemBuilder::new().operation(method, operation::of(route)).build()
}

fn components(routes: &[Route]) -> Components {
    let mut components = ComponentsBuilder::new()
        .security_scheme(
            BEARER,
            SecurityScheme::Http(
                HttpBuilder::new()
                    .scheme(HttpAuthScheme::Bearer)
                    .bearer_format("JWT")
                    .description(Some("An access token, or an API key."))
                    .build(),
            ),
        )
        .security_scheme(
            API_KEY,
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("X-Api-Key", "An API key."))),
        );
    let problem = TypeDoc::of::<Problem>(crate::problem::PROBLEM_JSON);
    let types = routes.iter().flat_map(|route| types(&route.doc)).chain([&problem]);
    for doc in types {
        components = components.schema(doc.name.clone(), doc.schema.clone());
        components = components.schemas_from_iter(doc.nested.clone());
    }
    for (name, header) in operation::headers() {
        components = components.header(name, header);
    }
    for (status, description) in operation::FAILURES {
        components = components.response(operation::failure_name(status), operation::failure(description));
    }
    components.build()
}

fn types(doc: &Doc) -> impl Iterator<Item = &TypeDoc> {
    doc.takes.iter().chain(doc.answers.values().flat_map(|answer| &answer.bodies))
}
