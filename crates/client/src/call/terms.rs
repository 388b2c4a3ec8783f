//! The terms of a call, from the policy, the contract and the call that it belongs to.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Request};
use mesh_error::Error;
use mesh_policy::UserRule;
use mesh_resilience::{Deadline, timeout_of};
use mesh_telemetry::red;

use crate::{CallContext, channel::Upstream};

/// What holds for every attempt of a call.
#[derive(Debug)]
pub(crate) struct Terms {
    /// For spans and metrics: of the contract, or a stand-in.
    pub(crate) method: Arc<str>,
    pub(crate) deadline: Deadline,
    /// The longest silence of a stream.
    pub(crate) idle: Option<Duration>,
    pub(crate) retry_safe: bool,
    pub(crate) client_streaming: bool,
    /// `authorization`, when the call is made for a user.
    pub(crate) authorization: Option<HeaderValue>,
}

impl Terms {
    /// The deadline is the earliest of the context's, the policy's, and a `grpc-timeout` that the request has already.
    /// The user's token goes along unless the policy says that nobody looks at it.
    pub(crate) fn of<B>(upstream: &Upstream, request: &Request<B>) -> Result<Self, Error> {
        let path = request.uri().path();
        let policy = upstream.policy.load();
        let rule = policy.decide(&upstream.name, &upstream.own, path).rule();
        let method = policy.method(path);
        let context = request.extensions().get::<CallContext>();
        let asked = timeout_of(request.headers())?;

        let total = rule.map_or(upstream.settings.deadline, |rule| rule.deadline);
        let mut deadline = Deadline::after(asked.map_or(total, |asked| asked.min(total)));
        if let Some(outer) = context.and_then(|context| context.deadline) {
            deadline = deadline.min(outer);
        }
        let wanted = rule.is_none_or(|rule| rule.user != UserRule::None);
        let user = context.and_then(|context| context.user.as_ref()).filter(|_| wanted);
        Ok(Self {
            method: method.map_or_else(|| red::UNKNOWN.into(), |method| Arc::clone(&method.full_name)),
            deadline,
            idle: rule.and_then(|rule| rule.idle),
            retry_safe: method.is_some_and(|method| method.retry_safe),
            // A method that nobody knows is not read into memory.
            client_streaming: method.is_none_or(|method| method.client_streaming),
            authorization: user.map(|user| bearer(&user.token)).transpose()?,
        })
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}
