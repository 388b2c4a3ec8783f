//! What a process takes that does nothing.

use super::{Plan, Row};
use crate::{Result, mesh::Mesh};

/// Resident memory some seconds after the start, without a request.
pub(super) async fn idle(plan: &Plan) -> Result<Vec<Row>> {
    let mesh = Mesh::start().await?;
    tokio::time::sleep(plan.idle).await;
    let row = |process: &crate::process::Process| {
        // A process has far less than 2^53 bytes.
        let mib = f64::from(u32::try_from(process.resident()? / 1024)?) / 1024.0;
        let what = format!("idle: `{}`", process.name());
        Ok(Row::most(what, mib, 20.0, " MiB", "resident, without a request".to_owned()))
    };
    mesh.processes().into_iter().map(row).collect()
}
