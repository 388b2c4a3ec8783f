//! `GET /v1/mesh`: the mesh as its policy states it, how each part feels just now, and which calls were seen.

mod health;
mod seen;

use axum::extract::State;
use mesh_policy::{Policy, UserRule};

pub(crate) use self::health::HealthCache;
use crate::{
    api::mesh::{CallAnswer, Health, MeshAnswer, WorkloadAnswer},
    json::Json,
    route::Route,
    state::Shared,
};

/// The route of this file.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/mesh", mesh)
            .named("mesh", "getMesh", "Workloads, allowed calls and health")
            .about("Counts of calls are those of this process, since it started.")
            .calls(&["grpc.health.v1.Health/Check"])
            .needs("mesh:read")
            .answers::<MeshAnswer>(200, "The mesh."),
    ]
}

async fn mesh(State(gateway): State<Shared>) -> Json<MeshAnswer> {
    let policy = gateway.mesh.policy.load();
    let health = gateway.health.of_all(&gateway, &policy).await;
    let workloads = policy.workloads().iter().map(|workload| WorkloadAnswer {
        name: workload.name.to_string(),
        identity: workload.id.to_string(),
        external: workload.external,
        services: workload.grpc.as_ref().map(|grpc| grpc.services.clone()).unwrap_or_default(),
        uses: workload.uses.clone(),
        health: health.get(&*workload.name).copied().unwrap_or(Health::Unknown),
    });
    Json(MeshAnswer {
        trust_domain: policy.trust_domain().to_string(),
        workloads: workloads.collect(),
        calls: calls(&policy),
    })
}

fn calls(policy: &Policy) -> Vec<CallAnswer> {
    let seen = seen::calls(&mesh_telemetry::metrics_text());
    let calls = policy.calls().iter().map(|call| {
        let method = call.method.path.trim_start_matches('/').to_owned();
        let key = (call.caller.to_string(), call.callee.to_string(), method.clone());
        CallAnswer {
            caller: key.0.clone(),
            callee: key.1.clone(),
            method,
            deadline_ms: u32::try_from(call.rule.deadline.as_millis()).unwrap_or(u32::MAX),
            scope: match &call.rule.user {
                UserRule::Required { scope } => scope.as_ref().map(ToString::to_string),
                UserRule::None => None,
            },
            seen: seen.get(&key).copied(),
        }
    });
    calls.collect()
}
