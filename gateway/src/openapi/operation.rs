//! One operation, from the facts of its route.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::{
    ToSchema as _,
    openapi::{
        ContentBuilder, Ref, Required, Response, ResponseBuilder,
        extensions::ExtensionsBuilder,
        header::{Header, HeaderBuilder},
        path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::{RequestBody, RequestBodyBuilder},
        schema::{ObjectBuilder, Type},
        security::SecurityRequirement,
    },
};

use super::{API_KEY, BEARER};
use crate::{
    problem::{PROBLEM_JSON, Problem},
    route::{Access, BodyKind, Doc, Info, Route, TypeDoc},
};

/// A structured string, or its content bare: 1 to 255 visible ASCII characters but `"`, `,`, `;` and `\`.
const IDEMPOTENCY_KEY: &str = r#"^("[!#-+\-.-:<-\[\]-~]{1,255}"|[!#-+\-.-:<-\[\]-~]{1,255})$"#;

/// The operation of a route.
pub(super) fn of(route: &Route) -> Operation {
    let Route { info, doc, .. } = route;
    let mut operation = OperationBuilder::new()
        .operation_id(Some(doc.id))
        .tag(doc.tag)
        .summary(Some(doc.summary))
        .description((!doc.description.is_empty()).then_some(doc.description))
        .request_body(request(info, doc))
        .extensions(Some(ExtensionsBuilder::new().add("x-rpc", json!(info.rpcs)).build()));
    for parameter in doc.parameters.iter().cloned().chain(idempotency_key(info)) {
        operation = operation.parameter(parameter);
    }
    if let Access::Scope(scope) = info.access {
        for scheme in [BEARER, API_KEY] {
            operation = operation.security(SecurityRequirement::new(scheme, [scope]));
        }
    }
    for (status, response) in responses(info, doc) {
        operation = operation.response(status.to_string(), response);
    }
    operation.build()
}

fn request(info: &Info, doc: &Doc) -> Option<RequestBody> {
    let body = doc.takes.as_ref()?;
    let limit = match info.body {
        BodyKind::Lines => "One object on each line.".to_owned(),
        _ => format!("At most {} KiB.", info.body_limit / 1024),
    };
    let content = ContentBuilder::new().schema(Some(reference(body))).build();
    let request = RequestBodyBuilder::new()
        .description(Some(limit))
        .required(Some(Required::True))
        .content(body.media, content);
    Some(request.build())
}

fn reference(doc: &TypeDoc) -> Ref {
    Ref::from_schema_name(doc.name.clone())
}

fn idempotency_key(info: &Info) -> Option<Parameter> {
    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(IDEMPOTENCY_KEY));
    info.idempotent.then(|| {
        ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "Sent again with the same body, the request has one effect and one answer (24 hours).",
            ))
            .schema(Some(schema))
            .build()
    })
}

/// Every status that a request can be answered with: its own, and those that come with its facts.
fn responses(info: &Info, doc: &Doc) -> BTreeMap<u16, Response> {
    let mut all: BTreeMap<u16, Response> = derived(info).into_iter().map(|(s, d)| (s, failure(d))).collect();
    for (status, answer) in &doc.answers {
        let response = match &answer.body {
            Some(body) => {
                let content = ContentBuilder::new().schema(Some(reference(body))).build();
                ResponseBuilder::new().description(answer.description).content(body.media, content).build()
            }
            None if *status >= 400 => failure(answer.description),
            None => ResponseBuilder::new().description(answer.description).build(),
        };
        all.insert(*status, response);
    }
    for response in all.values_mut() {
        response.headers.insert("x-request-id".into(), text("Of this request.").into());
        if info.rate.is_some() {
            response.headers.insert("RateLimit".into(), text("What is left of the quota.").into());
            response.headers.insert("RateLimit-Policy".into(), text("The quota.").into());
        }
    }
    all
}

fn derived(info: &Info) -> Vec<(u16, &'static str)> {
    let mut all = vec![
        (400, "The request makes no sense."),
        (414, "The path and query are too long."),
        (431, "The headers are too large."),
        (500, "A fault of the mesh."),
        (503, "A part of the mesh is away for now."),
    ];
    if info.rate.is_some() {
        all.push((429, "Too many requests."));
    }
    if matches!(info.access, Access::Scope(_)) {
        all.push((401, "No valid credentials."));
        all.push((403, "The token lacks the scope."));
    }
    if !info.rpcs.is_empty() {
        all.push((499, "The call was cancelled."));
        all.push((501, "A service does not know the method."));
        all.push((504, "The deadline has passed."));
    }
    if info.body != BodyKind::None {
        all.push((415, "The body is not of the type that is taken."));
        all.push((413, "The body is too large."));
        all.push((408, "The body came too slowly."));
    }
    if info.idempotent {
        all.push((422, "The idempotency key was used with another body."));
    }
    if info.method != http::Method::GET {
        all.push((409, "Lost against a concurrent change."));
    }
    if info.path.contains("{id}") || info.body != BodyKind::None || info.rpcs.len() > 1 {
        all.push((404, "There is no such object."));
    }
    all
}

fn failure(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build()
}

fn text(description: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}
