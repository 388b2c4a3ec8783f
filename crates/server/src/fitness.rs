//! Whether the policy in force lets a server do its work.
//!
//! At the start a policy that does not is a reason not to start. Later it is none to stop, since the same file may be
//! right for everybody else and denying is safe; but it is said aloud, because what is denied then looks like an attack.

use mesh_error::{Error, Result};
use mesh_policy::{Policy, PolicyHandle, UserRule};
use metrics::{counter, describe_counter};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Counts versions of the policy that came into force although they do not fit.
const UNFIT: &str = "mesh_policy_unfit_total";

/// What a server needs of the policy.
pub(crate) struct Fitness {
    workload: &'static str,
    services: Vec<&'static str>,
    verifies: bool,
}

impl Fitness {
    /// For `workload` with these services; `verifies` when it can check the tokens of users.
    pub(crate) fn new(workload: &'static str, services: &[&'static str], verifies: bool) -> Self {
        Self { workload, services: services.to_vec(), verifies }
    }

    /// Whether the policy fits.
    ///
    /// # Errors
    /// When it does not list a service, all of which would be denied, or asks for a user whom nobody can check.
    pub(crate) fn check(&self, policy: &Policy) -> Result<()> {
        self.check_services(policy)?;
        self.check_users(policy)
    }

    /// Checks each new one of `versions` until `stop`.
    pub(crate) async fn follow(
        self,
        policy: PolicyHandle,
        mut versions: watch::Receiver<u64>,
        stop: CancellationToken,
    ) {
        describe_counter!(
            UNFIT,
            "Versions of the call policy under which a server cannot serve all that it should."
        );
        while let Some(Ok(())) = stop.run_until_cancelled(versions.changed()).await {
            if let Err(error) = self.check(&policy.load()) {
                counter!(UNFIT, "quipu_workload" => self.workload).increment(1);
                tracing::error!(
                    workload = self.workload,
                    error = error.chain(),
                    "the call policy in force does not fit this server: calls that it should serve are refused"
                );
            }
        }
    }

    fn check_services(&self, policy: &Policy) -> Result<()> {
        let listed = policy
            .workload(self.workload)
            .and_then(|workload| workload.grpc.as_ref())
            .map(|grpc| &grpc.services);
        let unlisted = self
            .services
            .iter()
            .find(|service| !listed.is_some_and(|listed| listed.iter().any(|name| name == *service)));
        match unlisted {
            Some(service) => Err(Error::internal(format!(
                "the policy does not list {service} as a service of {}",
                self.workload
            ))),
            None => Ok(()),
        }
    }

    fn check_users(&self, policy: &Policy) -> Result<()> {
        let asks = policy.calls().iter().find(|call| {
            *call.callee == *self.workload && matches!(call.rule.user, UserRule::Required { .. })
        });
        match asks {
            Some(call) if !self.verifies => Err(Error::internal(format!(
                "{} asks for a user, but the server has no token verifier",
                call.method.path
            ))),
            _ => Ok(()),
        }
    }
}
