//! One call: its terms, its attempts, its answer.

mod attempt;
mod terms;

use http::{Request, Response};
use mesh_error::{Error, Kind};
use mesh_resilience::{BoundedBody, Deadline};
use tokio::time::{sleep, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Status, body::Body};
use tracing::Instrument as _;

use self::{
    attempt::{Answer, Failure, attempt},
    terms::Terms,
};
use crate::{
    body::{CallBody, Open, code_of},
    channel::Upstream,
    failure::is_own_denial,
    outgoing::Outgoing,
    record::Record,
    retry::Fate,
};

/// Makes a call. Every failure is a response with a status.
pub(crate) async fn call(upstream: &Upstream, request: Request<Body>) -> Response<Body> {
    let terms = match Terms::of(upstream, &request) {
        Ok(terms) => terms,
        Err(error) => return refuse(error),
    };
    let method = terms.method.clone();
    let record = Record::begin(upstream.own_name.clone(), upstream.name.clone(), method);
    let span = record.span().clone();
    // Only a stream of the caller's has to be told that its call has ended.
    let ended = terms.client_streaming.then(CancellationToken::new);
    let end = ended.clone().map(CancellationToken::drop_guard);
    let answer = run(upstream, &terms, request, (&record, ended)).instrument(span).await;
    match answer {
        Ok(answer) => finish(upstream, &terms, answer, (record, end)),
        Err(error) => {
            record.log(|| error.log());
            record.end(error.kind().grpc_code() as i32);
            refuse(error)
        }
    }
}

fn refuse(error: Error) -> Response<Body> {
    error.into_status().into_http()
}

/// All attempts, until the deadline.
async fn run(
    upstream: &Upstream,
    terms: &Terms,
    request: Request<Body>,
    (record, ended): (&Record, Option<CancellationToken>),
) -> Result<Answer, Error> {
    if terms.deadline.is_expired() {
        return Err(Deadline::error());
    }
    let attempts = async {
        let (head, body) = request.into_parts();
        let mut outgoing = match ended {
            Some(ended) => Outgoing::once(body, ended),
            None => Outgoing::keep(body, upstream.settings.replay).await.map_err(Error::from)?,
        };
        upstream.budget.deposit();
        let mut tried = Vec::new();
        let mut retries = 0;
        loop {
            let result = attempt(upstream, terms, (&head, &mut outgoing), (&mut tried, retries)).await;
            if !again(upstream, terms, fate(&result), outgoing.is_at_hand(), retries).await {
                return result.map_err(|failure| failure.error);
            }
            retries += 1;
            record.retried(retries);
        }
    };
    timeout_at(terms.deadline.instant(), attempts).await.unwrap_or_else(|_| Err(Deadline::error()))
}

fn fate(result: &Result<Answer, Failure>) -> Fate {
    match result {
        Ok(answer) => Fate::of_answer(answer.response.headers()),
        Err(failure) => Fate::of_failure(&failure.error, failure.sent),
    }
}

/// Whether to try again; the wait before it is over then, and the retry paid for.
async fn again(upstream: &Upstream, terms: &Terms, fate: Fate, has_body: bool, retries: u32) -> bool {
    let asked = match fate {
        Fate::Untouched => None,
        Fate::Unavailable(asked) if terms.retry_safe => asked,
        Fate::Unavailable(_) | Fate::Final => return false,
    };
    if !has_body || retries >= upstream.settings.retries {
        return false;
    }
    let jitter = upstream.settings.backoff.delay(retries + 1, &mut rand::rng());
    let delay = asked.unwrap_or_default().saturating_add(jitter);
    if delay >= terms.deadline.remaining() {
        return false;
    }
    let outcome = if upstream.budget.withdraw() { "sent" } else { "over_budget" };
    let server = upstream.name.to_string();
    metrics::counter!("mesh_client_retries_total", "server" => server, "outcome" => outcome).increment(1);
    if outcome == "sent" {
        sleep(delay).await;
    }
    outcome == "sent"
}

/// The answer as the caller gets it.
fn finish(
    upstream: &Upstream,
    terms: &Terms,
    answer: Answer,
    (record, end): (Record, Option<DropGuard>),
) -> Response<Body> {
    let Answer { response, ticket } = answer;
    if let Some(status) = Status::from_header_map(response.headers()) {
        let error = Error::from_status(&status);
        if error.kind() == Kind::PermissionDenied && is_own_denial(&error) {
            let (server, method) = (&*upstream.name, &*terms.method);
            record.log(|| tracing::error!(server, method, "this workload may not call it"));
            metrics::counter!("mesh_client_denied_total", "server" => upstream.name.to_string()).increment(1);
        }
        record.end(code_of(response.headers()));
        return response.map(|_| Body::empty());
    }
    let idle = terms.idle;
    response.map(|body| {
        let bounded = BoundedBody::new(body, terms.deadline, idle);
        Body::new(CallBody::new(bounded, terms.deadline, Open { ticket, record, _end: end }))
    })
}
