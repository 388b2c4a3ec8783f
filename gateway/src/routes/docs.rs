//! `/openapi.json` and `/docs`: the contract, and the same to browse, from files inside the program.

use std::sync::{Arc, LazyLock};

use axum::{
    body::Body,
    extract::Path,
    response::{IntoResponse as _, Redirect, Response},
};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};
use mesh_error::Error;
use utoipa::openapi::{
    Required,
    path::{ParameterBuilder, ParameterIn},
    schema::{ObjectBuilder, Type},
};
use utoipa_swagger_ui::Config;

use crate::{body, openapi::document, problem::Failure, route::Route};

/// What Swagger UI needs: its own files, its inline styles, and its pictures as data.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; frame-ancestors 'none'";

static CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json").validator_url("none")));

/// The routes of this file.
pub(super) fn routes() -> Vec<Route> {
    let file = ParameterBuilder::new()
        .name("file")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("Name of a file of the page."))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build();
    vec![
        Route::get("/openapi.json", openapi).named("operations", "getOpenApi", "This document").answer(
            200,
            "OpenAPI 3.1.",
            None,
        ),
        Route::get("/docs", redirect).named("operations", "getDocs", "This document to browse").answer(
            308,
            "To /docs/.",
            None,
        ),
        Route::get("/docs/", index).named("operations", "getDocsPage", "The page").answer(200, "HTML.", None),
        Route::get("/docs/{file}", asset)
            .named("operations", "getDocsFile", "A file of the page")
            .parameter(file)
            .answer(200, "Script, style or picture.", None)
            .fails(404, "There is no such file."),
    ]
}

async fn openapi() -> Response {
    let mut response = Response::new(Body::from(document()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(body::JSON));
    response
}

async fn redirect() -> Response {
    Redirect::permanent("/docs/").into_response()
}

async fn index() -> Result<Response, Failure> {
    file("index.html")
}

async fn asset(Path(name): Path<String>) -> Result<Response, Failure> {
    file(&name)
}

fn file(name: &str) -> Result<Response, Failure> {
    let found = utoipa_swagger_ui::serve(name, CONFIG.clone())
        .map_err(|error| Error::internal(error.to_string()))?
        .ok_or_else(|| Error::not_found("file"))?;
    let mut response = Response::new(Body::from(found.bytes.into_owned()));
    let headers = response.headers_mut();
    let media = HeaderValue::try_from(found.content_type).map_err(Error::internal)?;
    headers.insert(CONTENT_TYPE, media);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(response)
}
