//! Keeps the set of endpoints current.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{Target, balance::Balancer};

/// A look-up that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(2);
/// Until the name is known for the first time.
const IMPATIENT: Duration = Duration::from_secs(1);

/// Looks the name up again and again until nobody holds the balancer or the process closes. When a look-up fails the
/// last good set stays: a name server that is down is no reason to stop calling those who are up.
pub(crate) async fn follow(
    target: Target,
    balancer: Weak<Balancer>,
    every: Duration,
    stop: CancellationToken,
) {
    loop {
        let Some(balancer) = balancer.upgrade() else { return };
        if let Target::Dns { host, port } = &target {
            look_up(&balancer, host, *port).await;
        }
        balancer.tidy();
        let pause = if balancer.is_known() { every } else { IMPATIENT.min(every) };
        drop(balancer);
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return;
        }
    }
}

async fn look_up(balancer: &Arc<Balancer>, host: &str, port: u16) {
    let found = timeout(LIMIT, tokio::net::lookup_host((host, port))).await;
    let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let found = found.map(|addresses| addresses.collect::<Vec<SocketAddr>>());
    match found {
        Ok(addresses) if !addresses.is_empty() => balancer.update(addresses),
        Ok(_) => balancer.unresolved(),
        Err(error) => {
            tracing::debug!(host, %error, "name not resolved");
            metrics::counter!("mesh_client_resolution_failures_total").increment(1);
            balancer.unresolved();
        }
    }
}
