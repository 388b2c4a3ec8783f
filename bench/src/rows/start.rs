//! How long everything takes until it is ready.

use super::{Plan, Row, median, spread};
use crate::{
    Result,
    mesh::{Mesh, program},
    process::{Process, free_ports},
};

/// Each service in an empty folder; `auth` makes its database and its keys.
pub(super) async fn services(plan: &Plan) -> Result<Vec<Row>> {
    let mut ready = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..plan.starts {
        let mesh = Mesh::start().await?;
        for (times, service) in ready.iter_mut().zip([&mesh.auth, &mesh.sentiment, &mesh.gateway]) {
            times.push(service.ready.as_secs_f64());
        }
    }
    let row = |(name, times): (&str, Vec<f64>)| {
        let from = format!("{} starts, {} s", times.len(), spread(times.iter().copied()));
        Row::most(format!("start: `{name}` ready"), median(times), 0.5, " s", from)
    };
    Ok(["auth", "sentiment", "gateway"].into_iter().zip(ready).map(row).collect())
}

/// `quipu up` in an empty folder, with its own authority, keys and database.
pub(super) async fn up(plan: &Plan) -> Result<Row> {
    let mut times = Vec::new();
    for _ in 0..plan.starts {
        let folder = tempfile::Builder::new().prefix("quipu-bench.").tempdir()?;
        let [listen] = free_ports()?;
        let data = folder.path().join("data").display().to_string();
        let arguments = ["up", "--free-ports", "--listen", &listen.to_string(), "--data", &data];
        let arguments = arguments.map(str::to_owned);
        let process = Process::start(&program("quipu")?, &arguments, &[], None)?;
        times.push(process.ready(listen, "/readyz").await?.as_secs_f64());
    }
    let from = format!("{} starts, {} s", times.len(), spread(times.iter().copied()));
    Ok(Row::most("start: `quipu up` ready", median(times), 1.0, " s", from))
}
