//! Asks each workload's health service, as far as the policy lets the gateway, and remembers the answers for a second.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use mesh_client::CallContext;
use mesh_policy::Policy;
use mesh_resilience::Deadline;
use tokio::{sync::Mutex, time::Instant};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{api::mesh::Health, state::Gateway};

/// The path of the check.
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(1);

/// How long answers are remembered: many who look ask once.
const FRESH: Duration = Duration::from_secs(1);

type Answers = BTreeMap<String, Health>;

/// The last answers, and a lock by which only one request asks.
#[derive(Default)]
pub(crate) struct HealthCache(Mutex<Option<(Instant, Answers)>>);

impl HealthCache {
    /// The health of every workload that the gateway may ask.
    pub(super) async fn of_all(&self, gateway: &Gateway, policy: &Policy) -> Answers {
        let mut known = self.0.lock().await;
        if let Some((at, answers)) = &*known
            && at.elapsed() < FRESH
        {
            return answers.clone();
        }
        let own = gateway.mesh.id();
        let asked = policy.workloads().iter().filter(|w| policy.decide(&w.name, &own, CHECK).is_allowed());
        let mut answers: Answers =
            join_all(asked.map(|w| ask(gateway, w.name.to_string()))).await.into_iter().collect();
        if let Some(own) = policy.workload_of(&own) {
            answers.insert(own.name.to_string(), own_health(gateway));
        }
        *known = Some((Instant::now(), answers.clone()));
        answers
    }
}

fn own_health(gateway: &Gateway) -> Health {
    if gateway.lifecycle.readiness().is_ready() { Health::Serving } else { Health::NotServing }
}

async fn ask(gateway: &Gateway, workload: String) -> (String, Health) {
    let Ok(channel) = gateway.mesh.channel(&workload) else { return (workload, Health::Unknown) };
    let context = CallContext { deadline: Some(Deadline::after(LIMIT)), user: None };
    let request = context.request(HealthCheckRequest { service: String::new() });
    let health = match HealthClient::new(channel).check(request).await {
        Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => Health::Serving,
        Ok(_) => Health::NotServing,
        Err(_) => Health::Unreachable,
    };
    (workload, health)
}
