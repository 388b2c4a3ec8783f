//! Assembling, binding and serving.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_client::Mesh;
use mesh_error::{Error, Result};
use mesh_identity::{Tls, TokenVerifier};
use mesh_lifecycle::{Gate, Lifecycle};
use mesh_policy::PolicyHandle;
use metrics::counter;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use crate::connection::{self, Shared};
use crate::fitness::Fitness;
use crate::listen::listen;
use crate::stack::{self, GrpcService, Parts, Routes};
use crate::{Limits, health, reflection};

/// A pause after an accept that failed, usually for want of file descriptors: trying again at once would burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The limit for messages to health and reflection: names of services.
pub(crate) const SURFACE_MESSAGE: usize = 64 * 1024;

/// Adds a service to the routes, with the limit for messages that holds when it named none.
type AddRoute = Box<dyn FnOnce(&mut Routes, usize) + Send>;

/// A server of one workload, before it is bound.
pub struct Server {
    workload: &'static str,
    tls: Tls,
    policy: PolicyHandle,
    lifecycle: Lifecycle,
    verifier: Option<TokenVerifier>,
    limits: Limits,
    routes: Vec<AddRoute>,
    services: Vec<&'static str>,
    watches: Vec<String>,
}

impl Server {
    /// A server of `workload` (its name in the policy) with the mesh's certificates and policy.
    #[must_use]
    pub fn new(workload: &'static str, mesh: &Mesh, lifecycle: &Lifecycle) -> Self {
        Self {
            workload,
            tls: mesh.tls.clone(),
            policy: mesh.policy.clone(),
            lifecycle: lifecycle.clone(),
            verifier: None,
            limits: Limits::default(),
            routes: Vec::new(),
            services: Vec::new(),
            watches: vec![
                format!("/{}/Watch", health::HEALTH),
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo".to_owned(),
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo".to_owned(),
            ],
        }
    }

    /// Who checks the tokens of users; needed as soon as a rule asks for a user.
    #[must_use]
    pub fn verifier(mut self, verifier: TokenVerifier) -> Self {
        self.verifier = Some(verifier);
        self
    }

    /// Other limits than the default ones.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves a generated service, with request messages of at most [`Limits::message`] bytes.
    #[must_use]
    pub fn service(self, service: impl GrpcService) -> Self {
        self.add(service, None)
    }

    /// Serves a generated service with another limit for its request messages. Above 4 MiB the service itself must be
    /// told too (`max_decoding_message_size`).
    #[must_use]
    pub fn service_with_limit(self, service: impl GrpcService, bytes: usize) -> Self {
        self.add(service, Some(bytes))
    }

    /// Names a method (`/package.Service/Method`) whose stream has no end of its own: it ends with UNAVAILABLE when the
    /// server closes, so that it does not hold the drain.
    #[must_use]
    pub fn watch(mut self, path: impl Into<String>) -> Self {
        self.watches.push(path.into());
        self
    }

    fn add<S: GrpcService>(mut self, service: S, limit: Option<usize>) -> Self {
        self.services.push(S::NAME);
        self.routes.push(Box::new(move |routes, default| {
            routes.add(service, limit.unwrap_or(default));
        }));
        self
    }

    /// Binds the port. The process does not become ready before [`Bound::serve`].
    ///
    /// # Errors
    /// When the port is taken, a rule of the policy asks for a user and there is no verifier, or the policy does not say
    /// that this workload serves these services: all of it would be denied.
    pub async fn bind(mut self, addr: SocketAddr) -> Result<Bound> {
        let versions = self.policy.versions();
        let fitness = Fitness::new(self.workload, &self.services, self.verifier.is_some());
        fitness.check(&self.policy.load())?;
        let (reporter, health) = tonic_health::server::health_reporter();
        health::report(&reporter, &self.services, self.lifecycle.readiness()).await;
        let mut routes = Routes::default();
        for add in std::mem::take(&mut self.routes) {
            add(&mut routes, self.limits.message);
        }
        routes.add(health, SURFACE_MESSAGE);
        reflection::add(&mut routes, &self.services)?;
        let listener = listen(addr)?;
        let local = listener.local_addr().map_err(Error::internal)?;
        let gate = self.lifecycle.readiness().gate(format!("{} listener", self.workload));
        let services = std::mem::take(&mut self.services);
        let follow = fitness.follow(self.policy.clone(), versions, self.lifecycle.stop_token());
        self.lifecycle.spawn("policy fitness", follow);
        let shared = self.share(routes);
        let lifecycle = shared.lifecycle.clone();
        lifecycle.spawn("health", health::follow(reporter, services, lifecycle.clone()));
        Ok(Bound { shared: Arc::new(shared), listener, local, gate })
    }

    fn share(self, routes: Routes) -> Shared {
        let workload: Arc<str> = self.workload.into();
        let parts = Parts {
            workload: Arc::clone(&workload),
            policy: self.policy,
            verifier: self.verifier,
            limits: self.limits,
            lifecycle: self.lifecycle.clone(),
            watches: self.watches.into(),
        };
        let stack = stack::build(&parts, routes);
        Shared { workload, tls: self.tls, limits: self.limits, lifecycle: self.lifecycle, stack }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("workload", &self.workload)
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

/// A server that has its port.
pub struct Bound {
    shared: Arc<Shared>,
    listener: TcpListener,
    local: SocketAddr,
    gate: Gate,
}

impl Bound {
    /// The address that it is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Accepts until the process closes, then waits until every connection has ended, which the drain bounds.
    pub async fn serve(self) {
        let Self { shared, listener, gate, local } = self;
        let connections = TaskTracker::new();
        let places = Arc::new(Semaphore::new(shared.limits.connections));
        let closing = shared.lifecycle.stop_token();
        gate.open();
        tracing::info!(workload = &*shared.workload, addr = %local, "serving gRPC");
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = closing.cancelled() => break,
            };
            match accepted {
                Ok((socket, addr)) => match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => start(&shared, &connections, socket, addr, place),
                    Err(_) => refuse(&shared),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // The port is free before the last call has finished.
        drop(listener);
        connections.close();
        connections.wait().await;
    }
}

/// Serves the connection in a task that both the server and the drain wait for.
fn start(
    shared: &Arc<Shared>,
    connections: &TaskTracker,
    socket: TcpStream,
    addr: SocketAddr,
    place: OwnedSemaphorePermit,
) {
    let token = connections.token();
    let connection = connection::serve(Arc::clone(shared), socket, addr);
    shared.lifecycle.spawn("connection", async move {
        connection.await;
        drop((place, token));
    });
}

fn refuse(shared: &Shared) {
    counter!("mesh_connections_total", "quipu_workload" => Arc::clone(&shared.workload), "end" => "refused")
        .increment(1);
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("local", &self.local).finish_non_exhaustive()
    }
}
