//! What wraps every request, matched or not: its id, its span, its metric, the form of its failure and its headers.

use std::{net::IpAddr, panic::AssertUnwindSafe, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE, header::USER_AGENT};
use mesh_error::Error;
use mesh_telemetry::{Describe, RequestSpan, propagation};
use tracing::{Span, field};

use super::{
    Client, Peer, cors::Cors, hygiene, proxies::TrustedProxies, request_id, timer::Timer, told::Told,
};
use crate::{
    problem::{Failure, OwnBody, PROBLEM_JSON},
    route::Info,
};

/// What the edge knows.
#[derive(Clone)]
pub(crate) struct Edge(Arc<Inner>);

struct Inner {
    cors: Cors,
    proxies: TrustedProxies,
}

impl Edge {
    /// With the exact list of origins and of proxies.
    pub(crate) fn new(cors: Cors, proxies: TrustedProxies) -> Self {
        Self(Arc::new(Inner { cors, proxies }))
    }
}

/// So many bytes of a path are repeated in spans and answers.
const MAX_PATH: usize = 1024;

/// So many bytes of a `User-Agent` are kept.
const MAX_AGENT: usize = 256;

/// Headers of an answer, so that their map does not grow twice.
const ROOM: usize = 12;

/// What is known of a request before anything is decided.
struct Arrival {
    id: HeaderValue,
    method: &'static str,
    route: Option<&'static str>,
    path: String,
    address: IpAddr,
    secure: bool,
    origin: Option<HeaderValue>,
}

impl Arrival {
    fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    /// The name of the span: method and route, never the path, which anybody can choose.
    fn title(&self) -> String {
        self.route.map_or_else(|| self.method.to_owned(), |route| format!("{} {route}", self.method))
    }
}

impl Describe for Arrival {
    fn span(&self) -> Span {
        tracing::info_span!(
            "http request",
            otel.name = self.title(),
            otel.kind = "server",
            otel.status_code = field::Empty,
            quipu.workload = "gateway",
            http.request.method = self.method,
            url.path = self.path,
            http.route = self.route,
            http.response.status_code = field::Empty,
            client.address = %self.address,
            request_id = self.id(),
        )
    }

    fn name(&self) -> &'static str {
        "http request"
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, &str)) {
        field("quipu.workload", "gateway");
        field("http.request.method", self.method);
        field("url.path", &self.path);
        if let Some(route) = self.route {
            field("http.route", route);
        }
        field("client.address", &self.address.to_string());
        field("request_id", self.id());
    }
}

/// What is outermost: around the answer to every request, of a `route` or of none.
pub(crate) async fn envelope<F: Future<Output = Response>>(
    edge: &Edge,
    route: Option<&Info>,
    mut request: Request,
    answer: impl FnOnce(Request, Client) -> F,
) -> Response {
    let mut timer = Timer::start(request.method(), route.map(|route| route.path));
    let (arrival, client) = arrive(&edge.0, &mut request, &timer);
    let span = match route {
        Some(route) if route.is_probe() => RequestSpan::untraced(),
        _ => RequestSpan::begin(request.headers(), arrival.clone()),
    };
    let answer = async {
        let mut response = check(&edge.0, request, |request| answer(request, client)).await;
        finish(&edge.0, &arrival, &mut response);
        response
    };
    let mut response = span.follow(answer).await;
    record(&span, response.status());
    timer.answered(response.status());
    if let Some(told) = response.extensions_mut().remove::<Told>() {
        told.measure(timer);
    }
    response
}

fn arrive(edge: &Inner, request: &mut Request, timer: &Timer) -> (Arc<Arrival>, Client) {
    // A stranger's trace goes on by its id; what its tracing says to itself stays outside.
    request.headers_mut().remove(propagation::TRACESTATE);
    let id = request_id::of(request.headers());
    let peer = request.extensions().get::<Peer>().copied();
    let (address, secure) = match peer {
        Some(peer) => {
            let ip = peer.address.ip();
            let secure = peer.tls || edge.proxies.says_tls(ip, request.headers());
            (edge.proxies.client_of(ip, request.headers()), secure)
        }
        None => (Client::default().address, false),
    };
    let agent = request.headers().get(USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let client = Client { address, user_agent: cut(agent, MAX_AGENT) };
    let arrival = Arrival {
        id,
        method: timer.method,
        route: timer.route,
        // Before its length was looked at: neither span nor answer repeats more of it.
        path: cut(request.uri().path(), MAX_PATH),
        address,
        secure,
        origin: edge.cors.allowed(request.headers()),
    };
    (Arc::new(arrival), client)
}

/// At most so many bytes of a text.
fn cut(text: &str, most: usize) -> String {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default().to_owned()
}

async fn check<F: Future<Output = Response>>(
    edge: &Inner,
    mut request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    let checks = [hygiene::check_host, hygiene::check_coding, hygiene::check_size];
    if let Some(failure) = checks.iter().find_map(|check| check(&request).err()) {
        return failure.into_response();
    }
    hygiene::strip(request.headers_mut());
    if let Some(preflight) = edge.cors.preflight(request.method(), request.headers()) {
        return preflight;
    }
    survive(answer(request)).await
}

/// A panic becomes a 500 that is counted.
pub(crate) async fn survive(answer: impl Future<Output = Response>) -> Response {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            metrics::counter!("gateway_panics_total").increment(1);
            Failure::from(Error::internal("a handler panicked")).into_response()
        }
    }
}

/// Writes the body of a failure and the headers of every answer.
fn finish(edge: &Inner, arrival: &Arrival, response: &mut Response) {
    let failure = response.extensions_mut().remove::<Arc<Failure>>().or_else(|| bare_failure(response));
    if let Some(failure) = failure {
        failure.error().log();
        let problem = failure.problem(arrival.id(), propagation::trace_id(), Some(&arrival.path));
        *response.status_mut() = failure.status();
        *response.body_mut() = Body::from(serde_json::to_vec(&problem).unwrap_or_default());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    }
    if let Some(told) = response.extensions().get::<Told>() {
        told.tell(arrival.id(), propagation::trace_id(), &arrival.path);
    }
    let headers = response.headers_mut();
    headers.reserve(ROOM);
    propagation::inject(headers);
    headers.remove(propagation::TRACESTATE);
    hygiene::secure(headers, arrival.secure);
    edge.cors.apply(arrival.origin.clone(), headers);
    headers.insert(request_id::X_REQUEST_ID, arrival.id.clone());
}

/// A failure that some library answered without the gateway's form.
fn bare_failure(response: &Response) -> Option<Arc<Failure>> {
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    if !failed || response.extensions().get::<OwnBody>().is_some() {
        return None;
    }
    let failure = match status {
        status if status.is_server_error() => Failure::from(Error::internal(format!("bare status {status}"))),
        status => Failure::http(status, "REQUEST_REFUSED", "the request is refused"),
    };
    Some(Arc::new(failure))
}

fn record(span: &RequestSpan, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        extract::State,
        middleware::{Next, from_fn_with_state},
        routing::get,
    };
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn answer_of(path: &str) -> (StatusCode, serde_json::Value) {
        async fn panics() -> &'static str {
            panic!("canary")
        }
        async fn around(State(edge): State<Edge>, request: Request, next: Next) -> Response {
            envelope(&edge, None, request, |request, _| next.run(request)).await
        }
        let edge = Edge::new(Cors::default(), TrustedProxies::default());
        let router = Router::new()
            .route("/panics", get(panics))
            .route("/bare", get(|| async { StatusCode::BAD_GATEWAY }))
            .route("/conflict", get(|| async { (StatusCode::CONFLICT, "text of a library") }))
            .layer(from_fn_with_state(edge, around));
        let request = http::Request::get(path).header("host", "a").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_says_nothing() {
        let (status, problem) = answer_of("/panics").await;
        assert_eq!((status.as_u16(), problem["reason"].as_str()), (500, Some("INTERNAL")));
        assert!(!problem.to_string().contains("canary"));
    }

    #[tokio::test]
    async fn a_path_without_end_is_not_repeated() {
        let (status, problem) = answer_of(&format!("/{}", "a".repeat(20_000))).await;
        assert_eq!(status, StatusCode::URI_TOO_LONG);
        assert_eq!(problem["instance"].as_str().map(str::len), Some(MAX_PATH));
    }

    #[tokio::test]
    async fn failures_of_libraries_get_the_one_form() {
        let (status, problem) = answer_of("/bare").await;
        assert_eq!((status.as_u16(), problem["status"].as_u64()), (500, Some(500)));
        let (status, problem) = answer_of("/conflict").await;
        assert_eq!((status.as_u16(), problem["reason"].as_str()), (409, Some("REQUEST_REFUSED")));
    }
}
