//! Calls of the services over gRPC with the gateway's identity and a person's token, past every gateway and proxy.

use std::sync::Arc;

use mesh_client::{CallContext, Channel, Endpoints, Mesh};
use mesh_identity::{Claims, User};
use mesh_lifecycle::{Drain, Lifecycle};
use mesh_policy::PolicyHandle;
use mesh_proto::{
    auth::v1::{self as auth, auth_service_client::AuthServiceClient},
    sentiment::v1::{self as sentiment, sentiment_service_client::SentimentServiceClient},
};
use quipu_e2e::ProcessMesh;
use tonic::{Request, Status};

/// A caller with the gateway's certificate.
#[derive(Clone)]
pub(crate) struct Direct {
    pub(crate) auth: AuthServiceClient<Channel>,
    sentiment: SentimentServiceClient<Channel>,
    _lifecycle: Lifecycle,
}

impl Direct {
    /// To be called inside a runtime.
    pub(crate) fn to(mesh: &ProcessMesh) -> Self {
        let endpoints = Endpoints::new()
            .with("auth", mesh.process("auth").address())
            .with("sentiment", mesh.process("sentiment").address());
        let lifecycle = Lifecycle::new(Drain::default().without_endpoints());
        let policy = PolicyHandle::new(mesh.policy());
        let own = Mesh::new(mesh.tls("gateway"), policy, endpoints, &lifecycle);
        Self {
            auth: AuthServiceClient::new(own.channel("auth").unwrap()),
            sentiment: SentimentServiceClient::new(own.channel("sentiment").unwrap()),
            _lifecycle: lifecycle,
        }
    }

    /// Whether `auth` takes a token.
    pub(crate) async fn me(&self, token: &str) -> Result<(), Status> {
        let request = for_user(token, auth::GetMeRequest {});
        self.auth.clone().get_me(request).await.map(drop)
    }

    /// Whether `sentiment` takes a token.
    pub(crate) async fn analyze(&self, token: &str) -> Result<(), Status> {
        let request = sentiment::AnalyzeRequest { text: "Fine.".into(), ..Default::default() };
        self.sentiment.clone().analyze(for_user(token, request)).await.map(drop)
    }
}

/// A message in a person's name.
pub(crate) fn for_user<M>(token: &str, message: M) -> Request<M> {
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
