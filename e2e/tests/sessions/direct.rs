//! Calls of the services over gRPC with the gateway's identity and a person's token, past every gateway and proxy.

use mesh_client::{Channel, Endpoints, Mesh};
use mesh_lifecycle::{Drain, Lifecycle};
use mesh_policy::PolicyHandle;
use mesh_proto::{
    auth::v1::{self as auth, auth_service_client::AuthServiceClient},
    sentiment::v1::{self as sentiment, sentiment_service_client::SentimentServiceClient},
};
use quipu_e2e::{ProcessMesh, for_user};
use tonic::Status;

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
