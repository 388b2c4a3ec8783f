//! Where models work: a bounded number of threads beside the asynchronous ones, behind a bounded queue.
//!
//! A job that waits belongs to its caller: it is forgotten when the caller leaves and never begun after its deadline. A job
//! that runs asks [`Call::is_over`] between texts. The permits travel into the thread, so that a caller who left does not
//! make room for more work than there are threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mesh_resilience::Deadline;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

/// A bounded pool of threads.
#[derive(Clone, Debug)]
pub struct Pool {
    /// One permit for each job that runs or waits.
    places: Arc<Semaphore>,
    /// One permit for each job that runs.
    workers: Arc<Semaphore>,
    size: PoolSize,
    /// Mean time of a job in nanoseconds, for the advice when to come again.
    mean: Arc<AtomicU64>,
}

/// How many jobs run and how many wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// Jobs that run at once; at least 1.
    pub workers: u16,
    /// Jobs that wait for a worker.
    pub queue: u16,
}

impl Default for PoolSize {
    /// One worker for each core but one, which is left to the asynchronous threads; 32 waiting jobs for each.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let workers = u16::try_from(cores.saturating_sub(1).max(1)).unwrap_or(u16::MAX);
        Self { workers, queue: workers.saturating_mul(32) }
    }
}

/// What a job does when all places are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is refused at once.
    Refuse,
    /// It waits: for callers whose number and whose number of jobs is bounded elsewhere, as that of a stream.
    Wait,
}

/// Why a job was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolFault {
    /// All places are taken.
    #[error("the inference pool is full")]
    Full {
        /// When a place is likely to be free.
        retry_after: Duration,
    },
    /// Its deadline passed.
    #[error("the deadline has passed")]
    Expired,
    /// It panicked, or the runtime is going down.
    #[error("the job did not end")]
    Lost,
}

/// What a running job knows of its caller.
#[derive(Clone, Debug)]
pub struct Call {
    deadline: Option<Deadline>,
    left: Arc<AtomicBool>,
}

impl Call {
    /// Whether nobody waits for the answer any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.left.load(Ordering::Relaxed) || self.deadline.is_some_and(Deadline::is_expired)
    }
}

/// Tells the job when the caller leaves.
struct LeaveOnDrop(Arc<AtomicBool>);

impl Drop for LeaveOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const SHORTEST_ADVICE: Duration = Duration::from_millis(100);
const LONGEST_ADVICE: Duration = Duration::from_secs(10);

impl Pool {
    /// A pool of that size; no thread is started before there is work.
    #[must_use]
    pub fn new(size: PoolSize) -> Self {
        let workers = usize::from(size.workers.max(1));
        Self {
            places: Arc::new(Semaphore::new(workers + usize::from(size.queue))),
            workers: Arc::new(Semaphore::new(workers)),
            size,
            mean: Arc::default(),
        }
    }

    /// Runs `job` on a worker. The job gives `None` when it stopped because its call was over.
    ///
    /// # Errors
    /// [`PoolFault`] when it was refused, came too late, or panicked.
    pub async fn run<T, F>(&self, deadline: Option<Deadline>, entry: Entry, job: F) -> Result<T, PoolFault>
    where
        T: Send + 'static,
        F: FnOnce(&Call) -> Option<T> + Send + 'static,
    {
        let call = Call { deadline, left: Arc::default() };
        let guard = LeaveOnDrop(Arc::clone(&call.left));
        let work = async {
            let place = self.enter(entry).await?;
            let worker = Arc::clone(&self.workers).acquire_owned().await.map_err(|_| PoolFault::Lost)?;
            self.work(call, (place, worker), job).await
        };
        let done = match deadline {
            Some(deadline) if deadline.is_expired() => Err(PoolFault::Expired),
            Some(deadline) => timeout_at(deadline.instant(), work).await.unwrap_or(Err(PoolFault::Expired)),
            None => work.await,
        };
        drop(guard);
        done
    }

    /// Number of jobs that run or wait.
    #[must_use]
    pub fn busy(&self) -> usize {
        usize::from(self.size.workers.max(1)) + usize::from(self.size.queue) - self.places.available_permits()
    }

    async fn enter(&self, entry: Entry) -> Result<OwnedSemaphorePermit, PoolFault> {
        let places = Arc::clone(&self.places);
        match entry {
            Entry::Refuse => {
                places.try_acquire_owned().map_err(|_| PoolFault::Full { retry_after: self.advice() })
            }
            Entry::Wait => places.acquire_owned().await.map_err(|_| PoolFault::Lost),
        }
    }

    async fn work<T, F>(
        &self,
        call: Call,
        permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
        job: F,
    ) -> Result<T, PoolFault>
    where
        T: Send + 'static,
        F: FnOnce(&Call) -> Option<T> + Send + 'static,
    {
        let mean = Arc::clone(&self.mean);
        let thread = tokio::task::spawn_blocking(move || {
            let _permits = permits;
            if call.is_over() {
                return None;
            }
            let begin = Instant::now();
            let done = job(&call);
            learn(&mean, begin.elapsed());
            done
        });
        thread.await.map_err(|_| PoolFault::Lost)?.ok_or(PoolFault::Expired)
    }

    /// The time in which the queue of this moment is likely to be worked off.
    fn advice(&self) -> Duration {
        let mean = Duration::from_nanos(self.mean.load(Ordering::Relaxed));
        let rounds = u32::from(self.size.queue) / u32::from(self.size.workers.max(1)) + 1;
        mean.saturating_mul(rounds).clamp(SHORTEST_ADVICE, LONGEST_ADVICE)
    }
}

/// A moving mean over about eight jobs. Two jobs that end at once may lose one sample, which does not matter.
fn learn(mean: &AtomicU64, took: Duration) {
    let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    let old = mean.load(Ordering::Relaxed);
    let new = if old == 0 { took } else { old - old / 8 + took / 8 };
    mean.store(new, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
