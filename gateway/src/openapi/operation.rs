//! One operation, from the facts of its route.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::{
    ToSchema as _,
    openapi::{
        ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder,
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
fn responses(info: &Info, doc: &Doc) -> BTreeMap<u16, RefOr<Response>> {
    let mut all: BTreeMap<u16, RefOr<Response>> = derived(info)
        .into_iter()
        .map(|status| (status, Ref::from_response_name(failure_name(status)).into()))
        .collect();
    for (status, answer) in &doc.answers {
        let response = if *status >= 400 && answer.bodies.is_empty() {
            failure(answer.description)
        } else {
            let bodies = answer.bodies.iter();
            let bodies = bodies.map(|body| (body, ContentBuilder::new().schema(Some(reference(body)))));
            let all = described(answer.description);
            bodies.fold(all, |all, (body, content)| all.content(body.media, content.build())).build()
        };
        all.insert(*status, response.into());
    }
    all
}

/// A response with the headers that every answer may have.
fn described(description: &str) -> ResponseBuilder {
    headers().into_iter().fold(ResponseBuilder::new().description(description), |response, (name, _)| {
        response.header_ref(name, Ref::new(format!("#/components/headers/{name}")))
    })
}

/// Headers of every answer.
pub(super) fn headers() -> [(&'static str, Header); 3] {
    [
        ("x-request-id", text("Of this request.")),
        ("RateLimit", text("What is left of the quota, on routes that have one.")),
        ("RateLimit-Policy", text("The quota, on routes that have one.")),
    ]
}

/// The failures that routes have in common.
pub(super) const FAILURES: [(u16, &str); 17] = [
    (400, "The request makes no sense."),
    (401, "No valid credentials."),
    (403, "The token lacks the scope."),
    (404, "There is no such object."),
    (408, "The body came too slowly."),
    (409, "Lost against a concurrent change, or a request with this idempotency key is in progress."),
    (413, "The body is too large."),
    (414, "The path and query are too long."),
    (415, "The body is not of the type that is taken."),
    (422, "The idempotency key was used with another body."),
    (429, "Too many requests."),
    (431, "The headers are too large."),
    (499, "The call was cancelled."),
    (500, "A fault of the mesh."),
    (501, "A service does not know the method."),
    (503, "A part of the mesh is away for now."),
    (504, "The deadline has passed."),
];

/// Which of [`FAILURES`] a route has by its facts.
fn derived(info: &Info) -> Vec<u16> {
    let mut all = vec![400, 414, 431, 500, 503];
    let has_body = info.body != BodyKind::None;
    let cases: [(bool, &[u16]); 7] = [
        (info.rate.is_some(), &[429]),
        (matches!(info.access, Access::Scope(_)), &[401, 403]),
        (!info.rpcs.is_empty(), &[499, 501, 504]),
        (has_body, &[408, 413, 415]),
        (info.idempotent, &[422]),
        (info.method != http::Method::GET, &[409]),
        (info.path.contains("{id}") || has_body, &[404]),
    ];
    all.extend(cases.iter().filter(|(applies, _)| *applies).flat_map(|(_, statuses)| *statuses));
    all
}

/// Of a failure among the components.
pub(super) fn failure_name(status: u16) -> String {
    format!("Problem{status}")
}

/// A response with a problem.
pub(super) fn failure(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    described(description).content(PROBLEM_JSON, content).build()
}

fn text(description: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}
