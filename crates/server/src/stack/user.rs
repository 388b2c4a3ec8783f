//! Checks the user's token where the method's rule asks for one.
//!
//! Whatever is wrong with a token, the caller learns the same. Where the rule asks for no user the token is taken away
//! unseen, so that no handler can believe one that nobody checked.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use mesh_error::Error;
use mesh_identity::{Principal, TokenError, TokenVerifier, User};
use mesh_policy::UserRule;
use metrics::counter;
use tonic::body::Body;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::policy::Terms;
use crate::grpc;

/// The layer; without a verifier every call that asks for a user is refused.
pub(super) fn layer<S>(verifier: Option<TokenVerifier>) -> impl Layer<S, Service = CheckUser<S>> + Clone {
    layer_fn(move |inner| CheckUser { inner, verifier: verifier.clone() })
}

/// Adds the user to the principal.
#[derive(Clone)]
pub(super) struct CheckUser<S> {
    inner: S,
    verifier: Option<TokenVerifier>,
}

impl<S, B> Service<Request<B>> for CheckUser<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let token = bearer(request.headers());
        request.headers_mut().remove(AUTHORIZATION);
        let rule = request.extensions_mut().remove::<Terms>().map(|Terms(rule)| rule);
        let scope = match rule {
            Some(UserRule::None) => return Box::pin(inner.call(request)),
            Some(UserRule::Required { scope }) => scope,
            None => {
                return Box::pin(async { Ok(grpc::trailers_only(Error::internal("the call has no terms"))) });
            }
        };
        let verifier = self.verifier.clone();
        Box::pin(async move {
            match check(verifier, token, scope).await {
                Ok(user) => {
                    if let Some(principal) = request.extensions_mut().get_mut::<Principal>() {
                        principal.user = Some(user);
                    }
                    inner.call(request).await
                }
                Err(error) => {
                    error.log();
                    Ok(grpc::trailers_only(error))
                }
            }
        })
    }
}

/// The token of the one `authorization` value; `None` when there is none, or several, or another scheme.
fn bearer(headers: &HeaderMap) -> Option<Arc<str>> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.into())
}

async fn check(
    verifier: Option<TokenVerifier>,
    token: Option<Arc<str>>,
    scope: Option<String>,
) -> Result<User, Error> {
    let verifier = verifier.ok_or_else(|| Error::internal("the server has no token verifier"))?;
    let claims = match token.clone() {
        Some(token) => verifier.verify(&token).await,
        None => Err(TokenError::Invalid("missing")),
    };
    let claims = claims.inspect_err(count)?;
    if let Some(scope) = scope.filter(|scope| !claims.scope.contains(scope)) {
        return Err(Error::denied("INSUFFICIENT_SCOPE", "the access token lacks a scope")
            .with_metadata("scope", scope));
    }
    Ok(User { claims, token: token.unwrap_or_default() })
}

fn count(error: &TokenError) {
    let reason = match error {
        TokenError::Invalid(reason) => reason,
        TokenError::Revoked => "revoked",
        TokenError::Unavailable => "unavailable",
    };
    counter!("mesh_tokens_refused_total", "reason" => reason).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Option<String> {
        let headers =
            values.iter().map(|value| (AUTHORIZATION, value.parse().expect("a header value"))).collect();
        bearer(&headers).map(|token| token.to_string())
    }

    #[test]
    fn exactly_one_bearer_token_is_read() {
        assert_eq!(read(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(read(&["bearer abc"]).as_deref(), Some("abc"));
        for none in [&[][..], &["Bearer"], &["Bearer "], &["Basic abc"], &["abc"], &["Bearer a", "Bearer a"]]
        {
            assert_eq!(read(none), None, "{none:?}");
        }
        // Kept as it is, for the verifier to refuse.
        assert_eq!(read(&["Bearer  abc"]).as_deref(), Some(" abc"));
    }
}
