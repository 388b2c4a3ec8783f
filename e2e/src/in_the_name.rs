//! Calls over gRPC in a person's name.

use std::sync::Arc;

use mesh_client::CallContext;
use mesh_identity::{Claims, User};
use tonic::Request;

/// A message in a person's name.
#[must_use]
pub fn for_user<M>(token: &str, message: M) -> Request<M> {
    // Only the token travels; what it says is for its verifier.
    let claims = Claims {
        iss: String::new(),
        sub: String::new(),
        aud: String::new(),
        exp: 0,
        iat: 0,
        nbf: 0,
        jti: String::new(),
        sid: String::new(),
        scope: Default::default(),
        roles: Vec::new(),
        client_id: None,
    };
    let user = User { claims: Arc::new(claims), token: token.into() };
    CallContext { deadline: None, user: Some(user) }.request(message)
}
