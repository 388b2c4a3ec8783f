//! The load: closed, where each caller asks again as soon as it was answered, and open, where requests begin at their times
//! whether others were answered or not. In the open form latency counts from the moment at which a request was meant to
//! begin, so that a target that stalls does not hide its stall (no coordinated omission).

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{Result, grpc, http, process::Clock};

/// Somebody who asks, one request at a time.
pub trait Caller: Send + 'static {
    /// One request and its answer, or as much of it as is waited for.
    fn ask(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// What is still to come of that answer: the next request begins after it, and its time does not count.
    fn rest(&mut self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}

impl Caller for http::Connection {
    async fn ask(&mut self) -> Result<()> {
        self.call().await.map(|_| ())
    }
}

impl Caller for grpc::Connection {
    async fn ask(&mut self) -> Result<()> {
        self.call().await
    }
}

/// Several callers of whom one asks at a time, in turns.
#[derive(Debug)]
pub struct Turns<C>(std::collections::VecDeque<C>);

impl<C> Turns<C> {
    /// In this order, again and again.
    pub fn of(callers: impl IntoIterator<Item = C>) -> Self {
        Self(callers.into_iter().collect())
    }
}

impl<C: Caller> Caller for Turns<C> {
    async fn ask(&mut self) -> Result<()> {
        self.0.rotate_left(1);
        self.0.front_mut().ok_or("nobody to ask")?.ask().await
    }

    async fn rest(&mut self) -> Result<()> {
        self.0.front_mut().ok_or("nobody to ask")?.rest().await
    }
}

/// When requests begin.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// As soon as the caller's last one was answered.
    Closed,
    /// So many a second, evenly, each by the next caller in turn.
    Open(u32),
}

/// How long.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Before anything counts.
    pub warm: Duration,
    /// While it counts.
    pub measured: Duration,
}

/// What one measurement found.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Requests that were answered well.
    pub answered: u64,
    /// Requests that were not.
    pub failed: u64,
    /// Answers a second.
    pub rate: f64,
    /// Processor time of all processes of the target for one answer, microseconds.
    pub cpu: f64,
    /// The same of each of them.
    pub each: Vec<f64>,
    /// Latencies in nanoseconds.
    pub latency: Histogram<u64>,
    /// The first failure.
    pub fault: Option<String>,
}

impl Measured {
    /// A percentile of the latency in microseconds.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> f64 {
        // A latency is far below 2^53 nanoseconds.
        Duration::from_nanos(self.latency.value_at_percentile(percent)).as_secs_f64() * 1e6
    }
}

#[derive(Debug)]
struct Count {
    latency: Histogram<u64>,
    failed: u64,
    fault: Option<String>,
}

/// What the callers share.
#[derive(Debug)]
struct Shared {
    counts: AtomicBool,
    ends: AtomicBool,
    count: Mutex<Count>,
}

impl Shared {
    fn new() -> Result<Arc<Self>> {
        let latency = Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?;
        let count = Mutex::new(Count { latency, failed: 0, fault: None });
        Ok(Arc::new(Self { counts: AtomicBool::new(false), ends: AtomicBool::new(false), count }))
    }

    fn note(&self, began: Instant, answer: Result<()>) {
        if !self.counts.load(Ordering::Relaxed) {
            return;
        }
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(()) => count.latency.saturating_record(took),
            Err(fault) => {
                count.failed += 1;
                count.fault.get_or_insert_with(|| fault.to_string());
            }
        }
    }
}

/// Puts the load of all callers on a target and measures what its processes use meanwhile.
///
/// # Errors
/// When a process of the target has ended.
pub async fn run<C: Caller>(
    callers: Vec<C>,
    mode: Mode,
    times: Times,
    target: &[impl Clock],
) -> Result<Measured> {
    let shared = Shared::new()?;
    let mut tasks = JoinSet::new();
    match mode {
        Mode::Closed => callers.into_iter().for_each(|caller| {
            tasks.spawn(closed(caller, Arc::clone(&shared)));
        }),
        Mode::Open(rate) => open(callers, rate, &shared, &mut tasks)?,
    }
    tokio::time::sleep(times.warm).await;
    let before = cpu(target)?;
    shared.counts.store(true, Ordering::Relaxed);
    let began = Instant::now();
    tokio::time::sleep(times.measured).await;
    shared.counts.store(false, Ordering::Relaxed);
    let (took, after) = (began.elapsed(), cpu(target)?);
    shared.ends.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    let mut count = shared.count.lock().unwrap_or_else(PoisonError::into_inner);
    let answered = count.latency.len();
    let used = after.iter().zip(before).map(|(after, before)| real(after.saturating_sub(before)));
    let each: Vec<_> = used.map(|used| used / real(answered.max(1))).collect();
    Ok(Measured {
        answered,
        failed: count.failed,
        rate: real(answered) / took.as_secs_f64(),
        cpu: each.iter().sum(),
        each,
        latency: count.latency.clone(),
        fault: count.fault.take(),
    })
}

fn cpu(target: &[impl Clock]) -> Result<Vec<u64>> {
    target.iter().map(Clock::cpu_micros).collect()
}

/// Counts of a benchmark are far below 2^53.
fn real(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let real = count as f64;
    real
}

async fn closed<C: Caller>(mut caller: C, shared: Arc<Shared>) {
    while !shared.ends.load(Ordering::Relaxed) {
        let began = Instant::now();
        let answered = exchange(&mut caller, began, &shared).await;
        if !answered {
            // Whoever is refused does not turn into a busy loop.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// One request, its note and the rest of its answer; whether all went well.
async fn exchange<C: Caller>(caller: &mut C, began: Instant, shared: &Shared) -> bool {
    let answer = caller.ask().await;
    let mut is_well = answer.is_ok();
    shared.note(began, answer);
    if is_well && let Err(fault) = caller.rest().await {
        is_well = false;
        shared.note(began, Err(fault));
    }
    is_well
}

/// A thread of its own keeps the time: the timers of tokio are a millisecond coarse.
fn open<C: Caller>(callers: Vec<C>, rate: u32, shared: &Arc<Shared>, tasks: &mut JoinSet<()>) -> Result<()> {
    let mut desks = Vec::new();
    for mut caller in callers {
        let (desk, mut times) = mpsc::unbounded_channel::<Instant>();
        let shared = Arc::clone(shared);
        desks.push(desk);
        tasks.spawn(async move {
            while let Some(meant) = times.recv().await {
                exchange(&mut caller, meant, &shared).await;
            }
        });
    }
    let (shared, step) = (Arc::clone(shared), Duration::from_secs(1) / rate.max(1));
    thread::Builder::new().name("clock".into()).spawn(move || {
        let mut next = Instant::now();
        for desk in desks.iter().cycle() {
            if shared.ends.load(Ordering::Relaxed) {
                return;
            }
            #[expect(clippy::disallowed_methods, reason = "a thread of its own, that does nothing else")]
            thread::sleep(next.saturating_duration_since(Instant::now()));
            // The caller is there until its desk is closed.
            let _ = desk.send(next);
            next += step;
        }
    })?;
    Ok(())
}
