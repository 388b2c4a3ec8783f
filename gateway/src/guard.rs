//! What stands before each handler, in this order: the caller, its limit, its scope, the idempotency key.

use std::{net::IpAddr, time::Duration};

use axum::{
    extract::{FromRequestParts, Request},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::request::Parts;
use mesh_client::CallContext;
use mesh_error::Error;
use mesh_resilience::Deadline;
use mesh_telemetry::audit::{AuditEvent, Outcome, audit};

use crate::{
    access::{self, Caller, Credentials},
    edge::Client,
    problem::Failure,
    rate::{Charge, Class},
    route::{Access, BodyKind, SharedInfo},
    state::{Gateway, Shared},
};

mod writes;

/// The facts of the route that a request was matched to.
#[derive(Clone)]
pub(crate) struct Facts(pub(crate) SharedInfo);

/// What a handler knows of a request that passed.
#[derive(Clone)]
pub(crate) struct Call {
    /// Where it comes from.
    pub(crate) client: Client,
    caller: Option<Caller>,
    limit: Duration,
}

/// What the guard of one route has at hand.
#[derive(Clone)]
pub(crate) struct Guarded {
    pub(crate) gateway: Shared,
    pub(crate) facts: Facts,
}

impl Call {
    /// A message to a service, with the caller's own token. The time begins now: how long a client takes to send its
    /// body is bounded elsewhere.
    pub(crate) fn request<M>(&self, message: M) -> tonic::Request<M> {
        let user = self.caller.as_ref().map(|caller| caller.user.clone());
        CallContext { deadline: Some(Deadline::after(self.limit)), user }.request(message)
    }

    /// The same with another time for the call.
    pub(crate) fn lasting(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Who calls, if somebody is signed in.
    pub(crate) fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// The end of a call that begins now.
    pub(crate) fn deadline(&self) -> tokio::time::Instant {
        tokio::time::Instant::now() + self.limit
    }

    /// Whom a write belongs to.
    fn principal(&self) -> String {
        match &self.caller {
            Some(caller) => caller.subject(),
            None => format!("address:{}", crate::edge::proxies::source_of(self.client.address)),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let call = parts.extensions.remove::<Self>();
        call.ok_or_else(|| Error::internal("a handler without a guard").into())
    }
}

/// What stands before the handler of every route.
pub(crate) async fn guard(guarded: Guarded, client: Client, mut request: Request, next: Next) -> Response {
    let Guarded { gateway, facts } = guarded;
    let mut charge = None;
    let arrived = Arrived { credentials: Credentials::from_headers(request.headers()), client };
    let mut response = match admit(&gateway, &facts, arrived, &mut charge).await {
        Ok(call) => {
            // The body counts until the answer begins.
            let _held = (facts.0.body != BodyKind::None).then(|| {
                let place = gateway.held.place();
                request.extensions_mut().insert(facts.clone());
                request.extensions_mut().insert(place.clone());
                place
            });
            if facts.0.idempotent {
                request.extensions_mut().insert(call.clone());
                Box::pin(writes::once(&gateway, &facts, &call, request, next)).await.into_response()
            } else {
                request.extensions_mut().insert(call);
                next.run(request).await
            }
        }
        Err(failure) => failure.into_response(),
    };
    for (name, value) in charge.iter().flat_map(Charge::headers) {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// What of a request decides whether it may pass.
struct Arrived {
    credentials: Result<Option<Credentials>, Failure>,
    client: Client,
}

/// Decides whether a request may pass; `charge` is what it was charged, also when it may not.
async fn admit(
    gateway: &Gateway,
    facts: &Facts,
    arrived: Arrived,
    charge: &mut Option<Charge>,
) -> Result<Call, Failure> {
    let Arrived { credentials, client } = arrived;
    let limit = gateway.limit(&facts.0);
    let Access::Scope(scope) = facts.0.access else {
        if let Some(class) = facts.0.rate {
            settle(charge, gateway.limits.charge_address(class, client.address).await?)?;
        }
        return Ok(Call { client, caller: None, limit });
    };
    let caller = match authenticate(gateway, credentials, client.address).await {
        Ok(caller) => caller,
        // Whoever fails to say who it is counts as nobody.
        Err(failure) if failure.status() == http::StatusCode::UNAUTHORIZED => {
            settle(charge, gateway.limits.charge_address(Class::Anonymous, client.address).await?)?;
            return Err(failure);
        }
        Err(failure) => return Err(failure),
    };
    settle(charge, gateway.limits.charge(Class::User, &caller.account()).await?)?;
    if !caller.has_scope(scope) {
        note_denial(&caller, facts, &client, scope);
        return Err(Failure::insufficient_scope(scope));
    }
    if facts.0.generates
        && let Some(generation) = gateway.limits.charge(Class::Generation, &caller.account()).await?
    {
        // The scarcer quota is the one that is told.
        settle(charge, Some(generation))?;
    }
    Ok(Call { client, caller: Some(caller), limit })
}

/// A refusal of somebody known belongs in the audit trail.
fn note_denial(caller: &Caller, facts: &Facts, client: &Client, scope: &str) {
    audit(&AuditEvent {
        action: "request.denied",
        outcome: Outcome::Denied,
        actor: &caller.user.claims.sub,
        subject: &format!("{} {}", facts.0.method, facts.0.path),
        client: &client.address.to_string(),
        detail: &format!("lacks the scope {scope}"),
    });
}

/// Notes a charge and refuses when nothing was left.
fn settle(noted: &mut Option<Charge>, charge: Option<Charge>) -> Result<(), Failure> {
    *noted = charge;
    if let Some(charge) = charge {
        charge.admit()?;
    }
    Ok(())
}

async fn authenticate(
    gateway: &Gateway,
    credentials: Result<Option<Credentials>, Failure>,
    address: IpAddr,
) -> Result<Caller, Failure> {
    match credentials? {
        None => {
            Err(Failure::unauthenticated(Error::unauthenticated("UNAUTHENTICATED", "sign in first"), false))
        }
        Some(Credentials::Token(token)) => access::verify(&gateway.verifier, token, false).await,
        // Rare, and its state is large: the future of every request would carry it along.
        Some(Credentials::Key(key)) => Box::pin(by_key(gateway, &key, address)).await,
    }
}

/// Who shows an API key.
async fn by_key(gateway: &Gateway, key: &str, address: IpAddr) -> Result<Caller, Failure> {
    if let Some(known) = gateway.keys.known(key).await {
        let token = known?;
        let verified = access::verify(&gateway.verifier, token.clone(), true).await;
        if !is_refused(&verified) {
            return verified;
        }
        // A change of the owner's roles ends tokens and not keys: only a new token tells.
        gateway.keys.forget(key, &token).await;
    }
    let token = token_for_key(gateway, key, address).await?;
    let verified = access::verify(&gateway.verifier, token.clone(), true).await;
    if is_refused(&verified) {
        gateway.keys.forget(key, &token).await;
    }
    verified
}

fn is_refused(verified: &Result<Caller, Failure>) -> bool {
    verified.as_ref().is_err_and(|failure| failure.status() == http::StatusCode::UNAUTHORIZED)
}

/// Who asks is charged; who waits for another's question is not, and asks for itself when the other's quota was empty.
async fn token_for_key(
    gateway: &Gateway,
    key: &str,
    address: IpAddr,
) -> Result<std::sync::Arc<str>, Failure> {
    for again in [false, true] {
        let (mut asked, mut charge) = (false, None);
        let ask = async {
            asked = true;
            let charged = gateway.limits.charge_address(Class::Exchange, address).await;
            charge = charged.map_err(Failure::into_error)?;
            charge.map(Charge::admit).transpose().map_err(Failure::into_error)?;
            gateway.ask_for_token(key).await
        };
        let token = gateway.keys.exchange(key, ask).await;
        // Refused by the own quota: said with its headers.
        charge.map(Charge::admit).transpose()?;
        let by_another =
            token.as_ref().is_err_and(|f| f.status() == http::StatusCode::TOO_MANY_REQUESTS && !asked);
        if again || !by_another {
            return token;
        }
    }
    Err(Error::internal("a key was asked about too often").into())
}
