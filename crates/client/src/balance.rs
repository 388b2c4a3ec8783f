//! Which endpoint a call goes to: of two drawn at random the one with fewer calls under way.
//!
//! Endpoints that owe an answer and are silent lose against those that are not, ejected ones are left out, and a retry
//! goes elsewhere if there is an elsewhere. There is always a choice: with nothing better left, the worst is tried.

use std::{net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use mesh_resilience::{Deadline, Outliers, Verdict};
use rand::Rng as _;
use tokio::{sync::watch, time::Instant};

use crate::{connect::Dial, endpoint::Endpoint};

/// What is known of where a workload listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    Pending,
    Failed,
    Known,
}

/// The endpoints of one workload.
#[derive(Debug)]
pub(crate) struct Balancer {
    workload: Arc<str>,
    dial: Arc<Dial>,
    set: ArcSwap<Vec<Arc<Endpoint>>>,
    outliers: Outliers<SocketAddr>,
    resolution: watch::Sender<Resolution>,
}

impl Balancer {
    pub(crate) fn new(workload: Arc<str>, dial: Dial) -> Self {
        let outliers = Outliers::new(dial.settings().ejection);
        let resolution = watch::Sender::new(Resolution::Pending);
        Self { workload, dial: Arc::new(dial), set: ArcSwap::default(), outliers, resolution }
    }

    /// The set as it is now. Who stays keeps its connection; who left finishes its calls.
    pub(crate) fn update(&self, mut addresses: Vec<SocketAddr>) {
        addresses.sort_unstable();
        addresses.dedup();
        let old = self.set.load();
        let endpoint = |address: &SocketAddr| {
            let known = old.iter().find(|endpoint| endpoint.address() == *address);
            known.map_or_else(|| Arc::new(Endpoint::new(*address, Arc::clone(&self.dial))), Arc::clone)
        };
        let new = addresses.iter().map(endpoint).collect();
        self.outliers.retain(&addresses);
        self.set.store(Arc::new(new));
        self.resolution.send_replace(Resolution::Known);
    }

    /// Nobody knows where it listens; a set that was known before stays.
    pub(crate) fn unresolved(&self) {
        self.resolution.send_if_modified(|now| {
            let first = *now == Resolution::Pending;
            if first {
                *now = Resolution::Failed;
            }
            first
        });
    }

    pub(crate) fn is_known(&self) -> bool {
        *self.resolution.borrow() == Resolution::Known
    }

    /// Waits for the first look-up, whatever comes of it.
    pub(crate) async fn resolved(&self) {
        if self.is_known() {
            return;
        }
        // Cannot fail: the sender is in `self`.
        let _ = self.resolution.subscribe().wait_for(|now| *now != Resolution::Pending).await;
    }

    /// See [`Endpoint::tidy`].
    pub(crate) fn tidy(&self) {
        self.set.load().iter().for_each(|endpoint| endpoint.tidy());
    }

    /// The endpoint for a call that was at `tried` before.
    pub(crate) fn pick(&self, tried: &[SocketAddr]) -> Option<Arc<Endpoint>> {
        let set = self.set.load();
        if let [only] = set.as_slice() {
            // There is no choice, and if it is ejected this is its probe.
            let _probe = self.outliers.admit(&only.address());
            return Some(Arc::clone(only));
        }
        let mut good: Vec<_> = set.iter().filter(|e| self.outliers.is_available(&e.address())).collect();
        let fresh: Vec<_> = good.iter().copied().filter(|e| !tried.contains(&e.address())).collect();
        if !fresh.is_empty() {
            good = fresh;
        }
        while let Some(chosen) = better_of_two(&good) {
            if self.outliers.admit(&chosen.address()) {
                return Some(Arc::clone(chosen));
            }
            good.retain(|endpoint| endpoint.address() != chosen.address());
        }
        better_of_two(&set.iter().collect::<Vec<_>>()).cloned()
    }

    fn judge(&self, address: SocketAddr, verdict: Verdict, began: Instant) {
        if self.outliers.record(&address, verdict, began) {
            tracing::warn!(workload = &*self.workload, %address, ?verdict, "endpoint ejected");
            metrics::counter!("mesh_client_ejections_total", "workload" => self.workload.to_string())
                .increment(1);
        }
    }
}

/// Power of two choices; of two that are alike the first drawn.
fn better_of_two<'a>(endpoints: &[&'a Arc<Endpoint>]) -> Option<&'a Arc<Endpoint>> {
    let mut random = rand::rng();
    let size = endpoints.len();
    let first = random.random_range(..size.max(1));
    let second = if size > 1 { (first + random.random_range(1..size)) % size } else { first };
    let two = [first, second].into_iter().filter_map(|index| endpoints.get(index).copied());
    two.min_by_key(|endpoint| (endpoint.is_silent(), endpoint.in_flight()))
}

/// A call's place at an endpoint, until its response has ended.
#[derive(Debug)]
pub(crate) struct Ticket {
    balancer: Arc<Balancer>,
    endpoint: Arc<Endpoint>,
    deadline: Deadline,
    began: Instant,
    awaiting: bool,
}

impl Ticket {
    pub(crate) fn take(balancer: &Arc<Balancer>, endpoint: Arc<Endpoint>, deadline: Deadline) -> Self {
        endpoint.enter();
        Self { balancer: Arc::clone(balancer), endpoint, deadline, began: Instant::now(), awaiting: true }
    }

    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// It answered; the body may still come.
    pub(crate) fn answered(&mut self) {
        self.endpoint.hear();
        if std::mem::take(&mut self.awaiting) {
            self.endpoint.answered();
        }
    }

    pub(crate) fn hear(&self) {
        self.endpoint.hear();
    }

    /// What the call told about the endpoint.
    pub(crate) fn judge(&self, verdict: Verdict) {
        self.balancer.judge(self.endpoint.address(), verdict, self.began);
    }

    /// A limit ended the call while it had waited for the body since a moment. As with the answer, that speaks against
    /// the endpoint only if it had fallen silent altogether.
    pub(crate) fn unheard(&self, waiting: Instant) {
        if waiting.elapsed() >= self.endpoint.silence() && !self.endpoint.heard_since(waiting) {
            self.judge(Verdict::Failure);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.awaiting {
            self.endpoint.answered();
            // A deadline that passed says nothing of an endpoint that answers others meanwhile: the method is slow.
            if self.deadline.is_expired() && !self.endpoint.heard_since(self.began) {
                self.judge(Verdict::Failure);
            }
        }
        self.endpoint.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mesh_identity::{DevCa, SpiffeId, Tls, TrustDomain};

    use super::*;
    use crate::Settings;

    fn balancer(ports: std::ops::Range<u16>) -> Balancer {
        let domain: TrustDomain = "quipu.local".parse().unwrap();
        let id = SpiffeId::workload(&domain, "quipu", "gateway").unwrap();
        let issued = DevCa::new(&domain).unwrap().issue(&id, Duration::from_secs(60)).unwrap();
        let dial = Dial::new(Tls::new(issued.material()).unwrap(), id, Settings::default());
        let balancer = Balancer::new("auth".into(), dial);
        balancer.update(ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect());
        balancer
    }

    fn picks(balancer: &Balancer) -> Vec<u16> {
        let mut ports: Vec<_> = (0..64).map(|_| balancer.pick(&[]).unwrap().address().port()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    #[tokio::test(start_paused = true)]
    async fn who_owes_an_answer_and_is_silent_loses_against_who_is_busier() {
        let balancer = balancer(1..3);
        let all = balancer.set.load_full();
        let (quiet, busy) = (&all[0], &all[1]);
        quiet.enter();
        (0..5).for_each(|_| busy.enter());
        assert_eq!(picks(&balancer), [1], "the one with fewer calls");
        tokio::time::advance(Duration::from_millis(1100)).await;
        busy.hear();
        assert_eq!(picks(&balancer), [2], "the one that speaks");
        quiet.hear();
        assert_eq!(picks(&balancer), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_quiet_does_not_make_its_endpoint_silent() {
        let balancer = balancer(1..2);
        let endpoint = Arc::clone(&balancer.set.load()[0]);
        endpoint.enter();
        endpoint.answered();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!endpoint.is_silent());
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_goes_elsewhere_and_an_ejected_endpoint_is_left_out() {
        let balancer = balancer(1..4);
        let all = balancer.set.load_full();
        let tried = [all[0].address(), all[1].address()];
        assert_eq!(balancer.pick(&tried).unwrap().address().port(), 3);
        balancer.judge(all[2].address(), Verdict::Unreachable, Instant::now());
        assert_eq!(picks(&balancer), [1, 2]);
        assert!(balancer.pick(&tried).unwrap().address().port() < 3, "tried before, but not ejected");
    }

    #[tokio::test(start_paused = true)]
    async fn who_stays_in_the_set_keeps_its_connection() {
        let balancer = balancer(1..3);
        let before = balancer.set.load_full();
        balancer.update(vec![before[1].address(), SocketAddr::from(([127, 0, 0, 1], 9))]);
        let after = balancer.set.load_full();
        assert!(after.iter().any(|endpoint| Arc::ptr_eq(endpoint, &before[1])));
        assert_eq!(picks(&balancer), [2, 9]);
    }
}
