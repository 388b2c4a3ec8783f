//! A mesh of one caller, and servers that do as told.

mod fake;
mod hole;
mod refusing;
mod reply;

use std::{net::SocketAddr, time::Duration};

pub(crate) use fake::{Call, Fake};
pub(crate) use hole::Hole;
use mesh_client::{CallContext, Endpoints, Mesh, Settings};
use mesh_error::Error;
use mesh_identity::{DevCa, SpiffeId, Tls, TrustDomain};
use mesh_lifecycle::{Drain, Lifecycle};
use mesh_policy::{Contract, Policy, PolicyHandle};
use mesh_proto::auth::v1::{GetJwksRequest, RegisterRequest, auth_service_client::AuthServiceClient};
use mesh_resilience::Deadline;
pub(crate) use refusing::refusing;
pub(crate) use reply::{Reply, late, message, ok, status, stream};

pub(crate) type Client = AuthServiceClient<mesh_client::Channel>;

/// A certificate authority, a policy, and the life of a process.
pub(crate) struct World {
    ca: DevCa,
    pub(crate) lifecycle: Lifecycle,
    policy: String,
    settings: Settings,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            ca: DevCa::new(&trust_domain()).expect("a CA"),
            lifecycle: Lifecycle::new(Drain::default()),
            policy: include_str!("../../../../policies/mesh.yaml").to_owned(),
            settings: Settings::default(),
        }
    }

    /// The same with another text in the policy.
    pub(crate) fn with_policy(mut self, from: &str, to: &str) -> Self {
        assert!(self.policy.contains(from), "the policy does not say {from:?}");
        self.policy = self.policy.replace(from, to);
        self
    }

    pub(crate) fn with_settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    pub(crate) fn tls(&self, workload: &str) -> Tls {
        Tls::new(self.material(workload)).expect("an identity")
    }

    pub(crate) fn material(&self, workload: &str) -> mesh_identity::Material {
        self.material_for(workload, Duration::from_secs(3600))
    }

    pub(crate) fn material_for(&self, workload: &str, left: Duration) -> mesh_identity::Material {
        let id = SpiffeId::workload(&trust_domain(), "quipu", workload).expect("an id");
        self.ca.issue(&id, left).expect("a certificate").material()
    }

    /// The gateway, for which `auth` listens at the given addresses.
    pub(crate) fn gateway(&self, auth: &[SocketAddr]) -> Mesh {
        self.mesh(Endpoints::new().with("auth", auth.to_vec()))
    }

    pub(crate) fn mesh(&self, endpoints: Endpoints) -> Mesh {
        let policy = Policy::parse("mesh.yaml", &self.policy, Contract::quipu()).expect("a good policy");
        Mesh::new(self.tls("gateway"), PolicyHandle::new(policy), endpoints, &self.lifecycle)
            .with_settings(self.settings)
    }

    pub(crate) fn client(&self, auth: &[&Fake]) -> Client {
        let addresses: Vec<_> = auth.iter().map(|fake| fake.address()).collect();
        client(&self.gateway(&addresses))
    }
}

fn trust_domain() -> TrustDomain {
    "quipu.local".parse().expect("a trust domain")
}

pub(crate) fn client(mesh: &Mesh) -> Client {
    Client::new(mesh.channel("auth").expect("auth is known"))
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("its address")
}

/// A call that may be repeated.
pub(crate) async fn get_jwks(client: &Client) -> Result<String, Error> {
    within(Duration::from_secs(10), client).await
}

/// The same with a deadline.
pub(crate) async fn within(left: Duration, client: &Client) -> Result<String, Error> {
    let context = CallContext { deadline: Some(Deadline::after(left)), user: None };
    let response = client.clone().get_jwks(context.request(GetJwksRequest {})).await;
    response.map(|response| response.into_inner().jwks).map_err(Error::from)
}

/// A call that may not be repeated.
pub(crate) async fn register(client: &Client) -> Result<(), Error> {
    let request = RegisterRequest { email: "a@b.example".into(), ..RegisterRequest::default() };
    client.clone().register(request).await.map(drop).map_err(Error::from)
}

/// Until something holds, five seconds at most.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap_or_else(|_| panicked(what));
}

fn panicked(what: &str) {
    assert_eq!(what, "", "this never happened");
}
