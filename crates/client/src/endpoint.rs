//! One endpoint: its connection, made when it is needed and made anew when it broke or its certificates are old.

use std::{
    future::Future,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::time::Instant;

use crate::connect::{ConnectError, Connection, Dial};

type Connecting = Shared<BoxFuture<'static, Result<Arc<Connection>, Arc<ConnectError>>>>;

/// One address of a workload.
#[derive(Debug)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    dial: Arc<Dial>,
    slot: Mutex<Slot>,
    in_flight: AtomicUsize,
    awaiting: AtomicUsize,
    born: Instant,
    /// When it last said something, in microseconds since `born`.
    heard: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot {
    ready: Option<Arc<Connection>>,
    /// Since when `ready` has old certificates.
    old_since: Option<Instant>,
    connecting: Option<Connecting>,
}

impl Endpoint {
    pub(crate) fn new(address: SocketAddr, dial: Arc<Dial>) -> Self {
        Self {
            address,
            dial,
            slot: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            awaiting: AtomicUsize::new(0),
            born: Instant::now(),
            heard: AtomicU64::new(0),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection to send on. However many ask, one is made; it is made to its end even if all of them leave.
    pub(crate) async fn connection(self: &Arc<Self>) -> Result<Arc<Connection>, Arc<ConnectError>> {
        let connecting = {
            let mut slot = self.lock();
            self.retire(&mut slot);
            match &slot.ready {
                Some(ready) if slot.old_since.is_none() => return Ok(Arc::clone(ready)),
                // Old certificates: the successor is made, by its own task, while this one goes on.
                Some(ready) => {
                    let ready = Arc::clone(ready);
                    drop(self.start(&mut slot));
                    return Ok(ready);
                }
                None => self.start(&mut slot),
            }
        };
        connecting.await
    }

    /// Lets go of a connection that no call should use any more, also when there are no calls.
    pub(crate) fn tidy(&self) {
        self.retire(&mut self.lock());
    }

    fn retire(&self, slot: &mut Slot) {
        let Some(ready) = &slot.ready else { return };
        if ready.is_of(self.dial.generation()) {
            slot.old_since = None;
        } else {
            slot.old_since.get_or_insert_with(Instant::now);
        }
        let too_old = slot.old_since.is_some_and(|since| since.elapsed() >= self.dial.settings().retire);
        if too_old || !ready.is_open() {
            slot.ready = None;
            slot.old_since = None;
        }
    }

    fn start(self: &Arc<Self>, slot: &mut Slot) -> Connecting {
        if let Some(connecting) = &slot.connecting {
            return connecting.clone();
        }
        let endpoint = Arc::clone(self);
        self.start_with(slot, async move { endpoint.dial.connect(endpoint.address).await })
    }

    fn start_with(
        self: &Arc<Self>,
        slot: &mut Slot,
        connect: impl Future<Output = Result<Connection, ConnectError>> + Send + 'static,
    ) -> Connecting {
        let endpoint = Arc::clone(self);
        let task = tokio::spawn(async move {
            // A panic must not leave the slot as if somebody were connecting still.
            let connected = AssertUnwindSafe(connect).catch_unwind().await;
            let connected = connected.unwrap_or(Err(ConnectError::GivenUp)).map(Arc::new).map_err(Arc::new);
            let mut slot = endpoint.lock();
            slot.connecting = None;
            if let Ok(connection) = &connected {
                slot.ready = Some(Arc::clone(connection));
                slot.old_since = None;
            }
            connected
        });
        let connecting = task.map(|ended| ended.unwrap_or_else(|_| Err(Arc::new(ConnectError::GivenUp))));
        let connecting = connecting.boxed().shared();
        slot.connecting = Some(connecting.clone());
        connecting
    }

    /// Calls under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it owes an answer and has said nothing at all for too long.
    pub(crate) fn is_silent(&self) -> bool {
        self.awaiting.load(Ordering::Relaxed) > 0
            && self.born.elapsed().saturating_sub(self.heard()) > self.silence()
    }

    /// After how long without a word it counts as silent.
    pub(crate) fn silence(&self) -> Duration {
        self.dial.settings().silence
    }

    /// It said something.
    pub(crate) fn hear(&self) {
        let micros = u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.heard.store(micros, Ordering::Relaxed);
    }

    /// Whether it said anything after a moment.
    pub(crate) fn heard_since(&self, moment: Instant) -> bool {
        self.born + self.heard() > moment
    }

    fn heard(&self) -> Duration {
        Duration::from_micros(self.heard.load(Ordering::Relaxed))
    }

    pub(crate) fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        if self.awaiting.fetch_add(1, Ordering::Relaxed) == 0 {
            self.hear(); // the silence begins now
        }
    }

    pub(crate) fn answered(&self) {
        self.awaiting.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use mesh_identity::{DevCa, SpiffeId, Tls, TrustDomain};

    use super::*;
    use crate::Settings;

    #[tokio::test]
    async fn a_panic_while_connecting_leaves_room_for_the_next_attempt() {
        let domain: TrustDomain = "quipu.local".parse().unwrap();
        let id = SpiffeId::workload(&domain, "quipu", "gateway").unwrap();
        let issued = DevCa::new(&domain).unwrap().issue(&id, Duration::from_secs(60)).unwrap();
        let dial = Dial::new(Tls::new(issued.material()).unwrap(), id, Settings::default());
        let endpoint = Arc::new(Endpoint::new(SocketAddr::from(([127, 0, 0, 1], 1)), Arc::new(dial)));
        let connecting = endpoint.start_with(&mut endpoint.lock(), async { panic!("while connecting") });
        assert!(matches!(*connecting.await.unwrap_err(), ConnectError::GivenUp));
        assert!(endpoint.lock().connecting.is_none());
    }
}
