//! One attempt: an endpoint, a connection, a request on it.

use std::net::SocketAddr;

use http::{
    HeaderValue, Request, Response, Uri, Version,
    header::{AUTHORIZATION, USER_AGENT},
    request::Parts,
    uri,
    uri::{PathAndQuery, Scheme},
};
use mesh_error::{BoxError, Error};
use mesh_resilience::{Deadline, GRPC_TIMEOUT, Verdict};
use mesh_telemetry::propagation;

use super::Terms;
use crate::{
    balance::Ticket,
    body::{code_of, verdict},
    channel::Upstream,
    connect::Connection,
    failure::{self, was_refused},
    outgoing::Outgoing,
    stream::Received,
};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("quipu/", env!("CARGO_PKG_VERSION")));
/// Tells the server that this is not the first attempt (gRPC A6).
const ATTEMPTS: &str = "grpc-previous-rpc-attempts";

/// The beginning of a response, and the place that its call keeps.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response<Received>,
    pub(crate) ticket: Ticket,
}

/// There is no response.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Whether the peer may have handled the request.
    pub(crate) sent: bool,
}

impl Failure {
    fn unreachable(source: impl Into<BoxError>) -> Self {
        Self { error: failure::unreachable(source), sent: false }
    }
}

/// Sends the request once, after `retries` others, to an endpoint that was not tried before if there is one.
pub(crate) async fn attempt(
    upstream: &Upstream,
    terms: &Terms,
    (head, outgoing): (&Parts, &mut Outgoing),
    (tried, retries): (&mut Vec<SocketAddr>, u32),
) -> Result<Answer, Failure> {
    upstream.balancer.resolved().await;
    let endpoint = upstream.balancer.pick(tried);
    let endpoint = endpoint.ok_or_else(|| Failure::unreachable("no endpoint is known"))?;
    tried.push(endpoint.address());
    let ticket = Ticket::take(&upstream.balancer, endpoint, terms.deadline);
    let connection = ticket.endpoint().connection().await.map_err(|error| {
        ticket.judge(Verdict::Unreachable);
        Failure::unreachable(error)
    })?;
    if terms.deadline.is_expired() {
        return Err(Failure { error: Deadline::error(), sent: false });
    }
    let request = dress(upstream, terms, head, retries).map_err(|error| Failure { error, sent: true })?;
    send(&connection, request, ticket, outgoing).await
}

async fn send(
    connection: &Connection,
    request: Request<()>,
    mut ticket: Ticket,
    outgoing: &mut Outgoing,
) -> Result<Answer, Failure> {
    let (response, stream) = connection.send(request).map_err(|error| {
        connection.give_up();
        Failure::unreachable(error)
    })?;
    // What goes wrong here is said by the response.
    let _ = outgoing.send(stream);
    match response.await {
        Ok(response) => {
            let response = response.map(Received::new);
            ticket.answered();
            if !response.status().is_success() {
                ticket.judge(Verdict::Failure);
            } else if response.headers().contains_key("grpc-status") {
                ticket.judge(verdict(code_of(response.headers())));
            }
            // Bare headers say nothing yet: the body tells.
            Ok(Answer { response, ticket })
        }
        Err(error) => {
            // Otherwise only the stream ended.
            if !error.is_reset() {
                connection.give_up();
            }
            if was_refused(&error) {
                return Err(Failure::unreachable(error));
            }
            ticket.judge(Verdict::Failure);
            Err(Failure { error: failure::lost(error), sent: true })
        }
    }
}

/// The request as it goes out.
fn dress(upstream: &Upstream, terms: &Terms, head: &Parts, retries: u32) -> Result<Request<()>, Error> {
    let mut uri = uri::Parts::default();
    uri.scheme = Some(Scheme::HTTPS);
    uri.authority = Some(upstream.authority.clone());
    uri.path_and_query = head.uri.path_and_query().cloned().or(Some(PathAndQuery::from_static("/")));
    let uri = Uri::from_parts(uri);
    let mut request = Request::new(());
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = uri.map_err(Error::internal)?;
    *request.version_mut() = Version::HTTP_2;
    let headers = request.headers_mut();
    *headers = head.headers.clone();
    headers.insert(GRPC_TIMEOUT, terms.deadline.to_grpc_timeout());
    headers.insert(USER_AGENT, AGENT);
    if let Some(authorization) = &terms.authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    headers.remove(ATTEMPTS);
    if retries > 0 {
        headers.insert(ATTEMPTS, retries.into());
    }
    propagation::inject(headers);
    // No call repeats these: in HPACK's table (RFC 7541 §6.2.3) they would only drive out what every call has.
    for name in [GRPC_TIMEOUT, propagation::TRACEPARENT] {
        if let Some(value) = headers.get_mut(name) {
            value.set_sensitive(true);
        }
    }
    Ok(request)
}
