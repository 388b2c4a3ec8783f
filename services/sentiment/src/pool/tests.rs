//! The pool: bounded, refusing at once, never late, never doing more than it has threads.

use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;

use super::*;

fn pool(workers: u16, queue: u16) -> Pool {
    Pool::new(PoolSize { workers, queue })
}

/// Occupies a worker until the sender is dropped.
fn occupy(pool: &Pool) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), PoolFault>>) {
    let (hold, held) = mpsc::channel::<()>();
    let pool = pool.clone();
    let task = tokio::spawn(async move {
        pool.run(None, Entry::Refuse, move |_| {
            let _ = held.recv();
            Some(())
        })
        .await
    });
    (hold, task)
}

async fn until_busy(pool: &Pool, jobs: usize) {
    while pool.busy() < jobs {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_full_pool_refuses_at_once_and_says_when_to_come_again() {
    let pool = pool(1, 1);
    let (hold, running) = occupy(&pool);
    let (hold_too, waiting) = occupy(&pool);
    until_busy(&pool, 2).await;
    let refused = pool.run(None, Entry::Refuse, |_| Some(())).await;
    assert!(
        matches!(refused, Err(PoolFault::Full { retry_after }) if retry_after >= SHORTEST_ADVICE),
        "{refused:?}"
    );
    drop((hold, hold_too));
    assert_eq!(running.await.unwrap(), Ok(()));
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(pool.run(None, Entry::Refuse, |_| Some(7)).await, Ok(7));
    assert_eq!(pool.busy(), 0);
}

#[tokio::test]
async fn a_job_that_may_wait_waits() {
    let pool = pool(1, 0);
    let (hold, running) = occupy(&pool);
    until_busy(&pool, 1).await;
    let patient = tokio::spawn({
        let pool = pool.clone();
        async move { pool.run(None, Entry::Wait, |_| Some(5)).await }
    });
    drop(hold);
    assert_eq!(patient.await.unwrap(), Ok(5));
    assert_eq!(running.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn an_expired_job_is_not_begun() {
    let pool = pool(1, 4);
    let (hold, running) = occupy(&pool);
    until_busy(&pool, 1).await;
    let begun = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&begun);
    let late = pool
        .run(Some(Deadline::after(Duration::from_millis(20))), Entry::Refuse, move |_| {
            mark.store(true, Ordering::SeqCst);
            Some(())
        })
        .await;
    assert_eq!(late, Err(PoolFault::Expired));
    drop(hold);
    assert_eq!(running.await.unwrap(), Ok(()));
    assert_eq!(pool.run(None, Entry::Refuse, |_| Some(())).await, Ok(()));
    assert!(!begun.load(Ordering::SeqCst));
    assert_eq!(
        pool.run(Some(Deadline::after(Duration::ZERO)), Entry::Refuse, |_| Some(())).await,
        Err(PoolFault::Expired)
    );
}

#[tokio::test]
async fn a_running_job_learns_that_its_caller_left() {
    let pool = pool(1, 0);
    let (left, told) = mpsc::channel();
    let task = tokio::spawn({
        let pool = pool.clone();
        async move {
            pool.run(None, Entry::Refuse, move |call| {
                while !call.is_over() {
                    std::thread::yield_now();
                }
                let _ = left.send(());
                None::<()>
            })
            .await
        }
    });
    until_busy(&pool, 1).await;
    tokio::task::yield_now().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    // The job either was never begun or it is told; in both cases its place is free again.
    while pool.busy() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(told.try_recv(), Ok(()) | Err(mpsc::TryRecvError::Disconnected)));
}

#[tokio::test]
async fn never_more_jobs_run_than_there_are_workers() {
    let pool = pool(2, 200);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let jobs = (0..100).map(|_| {
        let (pool, now, most) = (pool.clone(), Arc::clone(&now), Arc::clone(&most));
        tokio::spawn(async move {
            pool.run(None, Entry::Refuse, move |_| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
                Some(())
            })
            .await
        })
    });
    for job in jobs.collect::<Vec<_>>() {
        assert_eq!(job.await.unwrap(), Ok(()));
    }
    assert!(most.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn a_panic_is_a_lost_job_and_the_pool_goes_on() {
    let pool = pool(1, 0);
    let lost = pool.run(None, Entry::Refuse, |_| -> Option<()> { panic!("the job of the test") }).await;
    assert_eq!(lost, Err(PoolFault::Lost));
    assert_eq!(pool.run(None, Entry::Refuse, |_| Some(1)).await, Ok(1));
}
