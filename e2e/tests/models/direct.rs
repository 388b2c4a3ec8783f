//! Calls of the jokes service over gRPC with the gateway's identity and a person's token, past the gateway and its limits.

use mesh_client::{Channel, Endpoints, Mesh};
use mesh_lifecycle::{Drain, Lifecycle};
use mesh_policy::PolicyHandle;
use mesh_proto::jokes::v1::{self as jokes, joke_service_client::JokeServiceClient};
use quipu_e2e::{ProcessMesh, for_user};
use tonic::Status;

/// A caller with the gateway's certificate and a connection of its own; clones share it.
#[derive(Clone)]
pub(crate) struct Direct {
    pub(crate) jokes: JokeServiceClient<Channel>,
    _lifecycle: Lifecycle,
}

/// What was used of a budget, or is reserved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) calls: i64,
    pub(crate) tokens: i64,
    pub(crate) cost: i64,
}

impl Direct {
    /// To be called inside a runtime.
    pub(crate) fn to(mesh: &ProcessMesh) -> Self {
        let endpoints = Endpoints::new().with("jokes", mesh.process("jokes").address());
        let lifecycle = Lifecycle::new(Drain::default().without_endpoints());
        let policy = PolicyHandle::new(mesh.policy());
        let own = Mesh::new(mesh.tls("gateway"), policy, endpoints, &lifecycle);
        Self { jokes: JokeServiceClient::new(own.channel("jokes").unwrap()), _lifecycle: lifecycle }
    }

    /// What the owner of a token has used of the budget for a day.
    pub(crate) async fn used(&self, token: &str) -> Result<Used, Status> {
        let answer = self.jokes.clone().get_usage(for_user(token, jokes::GetUsageRequest {})).await?;
        let budgets = answer.into_inner().budgets;
        let day = budgets.iter().find(|b| b.scope == "user" && b.period == "day").unwrap();
        let used = |spent: &Option<jokes::Spent>| spent.as_ref().unwrap().used;
        Ok(Used { calls: used(&day.calls), tokens: used(&day.tokens), cost: used(&day.cost_nanos) })
    }
}
