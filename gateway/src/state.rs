//! What the handlers share: the services behind, and the stores of the edge.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use mesh_client::{Channel, Mesh};
use mesh_error::Error;
use mesh_identity::token::TokenVerifier;
use mesh_lifecycle::Lifecycle;
use mesh_proto::{
    auth::v1::{ExchangeTokenRequest, SubjectTokenType, auth_service_client::AuthServiceClient},
    jokes::v1::joke_service_client::JokeServiceClient,
    sentiment::v1::sentiment_service_client::SentimentServiceClient,
};
use mesh_telemetry::RecentTraces;

use crate::{
    access::{Exchanged, KeyExchange},
    held::Held,
    idempotency,
    problem::Failure,
    rate::RateLimits,
    route::Info,
    routes::{jwks::JwksCache, mesh::HealthCache},
};

/// Shared by every handler.
pub(crate) type Shared = Arc<Gateway>;

/// For routes that call nobody.
const OWN_LIMIT: Duration = Duration::from_secs(10);

/// The gateway behind its edge.
pub(crate) struct Gateway {
    pub(crate) mesh: Mesh,
    pub(crate) auth: AuthServiceClient<Channel>,
    pub(crate) jokes: JokeServiceClient<Channel>,
    pub(crate) sentiment: SentimentServiceClient<Channel>,
    pub(crate) verifier: TokenVerifier,
    pub(crate) keys: KeyExchange,
    pub(crate) limits: RateLimits,
    pub(crate) idempotency: Arc<dyn idempotency::Store>,
    pub(crate) health: HealthCache,
    pub(crate) jwks: JwksCache,
    pub(crate) held: Held,
    pub(crate) traces: Option<RecentTraces>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) started: DateTime<Utc>,
}

impl Gateway {
    /// The time for the call of a route: that of the policy's rule for the method that it calls.
    pub(crate) fn limit(&self, route: &Info) -> Duration {
        route.rpcs.first().map_or(OWN_LIMIT, |rpc| self.limit_of(rpc))
    }

    /// The time for a call of `package.Service/Method`.
    pub(crate) fn limit_of(&self, rpc: &str) -> Duration {
        let policy = self.mesh.policy.load();
        policy.deadline(&self.mesh.id(), &format!("/{rpc}")).unwrap_or(OWN_LIMIT)
    }

    /// Exchanges an API key for a token of its owner.
    pub(crate) async fn ask_for_token(&self, key: &str) -> Result<Exchanged, Error> {
        let message = ExchangeTokenRequest {
            subject_token: key.to_owned(),
            subject_token_type: SubjectTokenType::ApiKey.into(),
            scopes: Vec::new(),
        };
        // The policy's rule for the exchange bounds it.
        let answer = self.auth.clone().exchange_token(message).await;
        let answer = answer.map_err(|status| Failure::from(status).into_error())?.into_inner();
        let lives = Duration::from_secs(answer.expires_in.into());
        Ok(Exchanged { token: answer.access_token.into(), lives })
    }
}
