//! The issuer of users' tokens as the verifiers of the mesh see it: its keys and its revocations, over a [`Channel`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use mesh_error::{BoxError, Error};
use mesh_identity::{
    Claims, Jwks, KeySource, Profile, Revocation, RevocationEvent, RevocationSource, Revocations,
    RevokedSubject, TokenVerifier, follow_revocations,
};
use mesh_lifecycle::Lifecycle;
use mesh_proto::auth::v1::{
    self as proto, CheckSessionRequest, GetJwksRequest, WatchRevocationsRequest, WatchRevocationsResponse,
    auth_service_client::AuthServiceClient, revocation::Subject,
};
use prost_types::Timestamp;
use tokio::time::sleep;

use crate::{Channel, Mesh};

/// The workload that issues tokens.
const AUTH: &str = "auth";

/// How soon the keys are asked for again while `auth` is away.
const KEYS_AGAIN: Duration = Duration::from_millis(200);

/// `auth`, asked over the mesh.
#[derive(Clone, Debug)]
pub struct RemoteAuth {
    client: AuthServiceClient<Channel>,
}

impl RemoteAuth {
    /// Over a channel to `auth`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self { client: AuthServiceClient::new(channel) }
    }
}

/// A verifier of users' tokens with the keys and the revocations of `auth`, which it follows until the process closes.
///
/// The process is not ready before the keys have come: without them no user could be let in.
///
/// # Errors
/// When the mesh does not know `auth`.
pub fn token_verifier(mesh: &Mesh, profile: Profile, lifecycle: &Lifecycle) -> Result<TokenVerifier, Error> {
    let auth = Arc::new(RemoteAuth::new(mesh.channel(AUTH)?));
    let revocations = Revocations::watched(Arc::clone(&auth) as Arc<dyn RevocationSource>);
    lifecycle.spawn("revocations", follow_revocations(revocations.clone(), lifecycle.stop_token()));
    let verifier = TokenVerifier::new(profile, auth, revocations);
    fetch_keys(verifier.clone(), mesh, lifecycle);
    Ok(verifier)
}

/// Asks for the keys until they come.
fn fetch_keys(verifier: TokenVerifier, mesh: &Mesh, lifecycle: &Lifecycle) {
    let id = mesh.id();
    let gate = lifecycle.readiness().gate(format!("{} token keys", id.service_account().unwrap_or_default()));
    let stop = lifecycle.stop_token();
    lifecycle.spawn("token keys", async move {
        loop {
            let Some(fetched) = stop.run_until_cancelled(verifier.warm_up()).await else { return };
            gate.set(&fetched);
            if fetched.is_ok() || stop.run_until_cancelled(sleep(KEYS_AGAIN)).await.is_none() {
                return;
            }
        }
    });
}

#[async_trait]
impl KeySource for RemoteAuth {
    async fn fetch(&self) -> Result<Jwks, BoxError> {
        let response = self.client.clone().get_jwks(GetJwksRequest {}).await.map_err(Error::from)?;
        Ok(Jwks::from_json(&response.into_inner().jwks)?)
    }
}

#[async_trait]
impl RevocationSource for RemoteAuth {
    async fn watch(
        &self,
        cursor: i64,
    ) -> Result<BoxStream<'static, Result<RevocationEvent, BoxError>>, BoxError> {
        let request = WatchRevocationsRequest { cursor };
        let stream = self.client.clone().watch_revocations(request).await.map_err(Error::from)?;
        let events = stream.into_inner().map(|message| event(message.map_err(Error::from)?));
        Ok(events.boxed())
    }

    async fn check(&self, claims: &Claims) -> Result<bool, BoxError> {
        let request = CheckSessionRequest {
            session_id: claims.sid.clone(),
            user_id: claims.sub.clone(),
            issued_at: Some(Timestamp { seconds: i64::try_from(claims.iat)?, nanos: 0 }),
        };
        let response = self.client.clone().check_session(request).await.map_err(Error::from)?;
        Ok(response.into_inner().active)
    }
}

/// A message of the stream; one that is not understood ends it, since what it revoked would be missed.
fn event(message: WatchRevocationsResponse) -> Result<RevocationEvent, BoxError> {
    let cursor = message.cursor;
    let Some(proto::Revocation { subject, revoked_at }) = message.revocation else {
        return Ok(RevocationEvent::Heartbeat { cursor });
    };
    let subject = match subject.ok_or("a revocation of nothing")? {
        Subject::SessionId(id) => RevokedSubject::Session(id),
        Subject::UserId(id) => RevokedSubject::User(id),
    };
    let revoked_at = u64::try_from(revoked_at.ok_or("a revocation without its time")?.seconds)?;
    Ok(RevocationEvent::Revoked(Revocation { subject, revoked_at, cursor }))
}
