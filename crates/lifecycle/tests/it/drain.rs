//! Each phase in its order, each bounded, and an honest outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesh_lifecycle::{Drain, Lifecycle, Outcome};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

const DRAIN: Drain = Drain {
    endpoints: Duration::from_secs(2),
    in_flight: Duration::from_secs(10),
    flush: Duration::from_secs(3),
};

#[tokio::test(start_paused = true)]
async fn phases_come_in_order_and_at_their_time() {
    let lifecycle = Lifecycle::new(DRAIN);
    let gate = lifecycle.readiness().gate("test");
    gate.open();
    let (seen, mut events) = mpsc::unbounded_channel();
    let start = Instant::now();
    for (name, phase) in [("draining", 0), ("closing", 1)] {
        let (lifecycle, seen) = (lifecycle.clone(), seen.clone());
        lifecycle.clone().spawn("watcher", async move {
            match phase {
                0 => lifecycle.draining().await,
                _ => lifecycle.closing().await,
            }
            seen.send((name, start.elapsed().as_secs(), lifecycle.readiness().is_ready()))
                .expect("receiver lives");
        });
    }
    assert!(lifecycle.readiness().is_ready());
    lifecycle.shutdown();
    assert_eq!(lifecycle.run_to_completion().await, Outcome::Clean);
    assert_eq!(events.recv().await, Some(("draining", 0, false)));
    assert_eq!(events.recv().await, Some(("closing", 2, false)));
}

#[tokio::test(start_paused = true)]
async fn what_never_was_ready_is_waited_for_by_nobody() {
    let lifecycle = Lifecycle::new(DRAIN);
    let _gate = lifecycle.readiness().gate("database");
    lifecycle.shutdown();
    let start = Instant::now();
    assert_eq!(lifecycle.run_to_completion().await, Outcome::Clean);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn work_in_flight_finishes_before_the_cut() {
    let lifecycle = Lifecycle::new(DRAIN);
    let done = Arc::new(AtomicBool::new(false));
    lifecycle.spawn("request", {
        let (done, lifecycle) = (Arc::clone(&done), lifecycle.clone());
        async move {
            lifecycle.closing().await;
            sleep(Duration::from_secs(9)).await;
            done.store(true, Ordering::SeqCst);
        }
    });
    lifecycle.shutdown();
    assert_eq!(lifecycle.run_to_completion().await, Outcome::Clean);
    assert!(done.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn what_outlives_the_limit_is_cut_and_that_is_no_failure() {
    let lifecycle = Lifecycle::new(DRAIN);
    lifecycle.readiness().gate("test").open();
    lifecycle.spawn("silent peer", {
        let lifecycle = lifecycle.clone();
        async move { lifecycle.aborting().await }
    });
    lifecycle.shutdown();
    let start = Instant::now();
    let outcome = lifecycle.run_to_completion().await;
    assert_eq!(outcome, Outcome::Cut);
    assert!(!outcome.is_failure());
    assert_eq!(start.elapsed().as_secs(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_never_ends_cannot_hold_the_process() {
    let lifecycle = Lifecycle::new(DRAIN);
    lifecycle.spawn("stuck", std::future::pending());
    lifecycle.shutdown();
    let start = Instant::now();
    assert_eq!(lifecycle.run_to_completion().await, Outcome::Forced);
    assert!(start.elapsed() < Duration::from_secs(14));
}

#[tokio::test(start_paused = true)]
async fn force_skips_every_wait() {
    let lifecycle = Lifecycle::new(DRAIN);
    lifecycle.spawn("request", {
        let lifecycle = lifecycle.clone();
        async move { lifecycle.aborting().await }
    });
    lifecycle.force();
    let start = Instant::now();
    assert_eq!(lifecycle.run_to_completion().await, Outcome::Forced);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_critical_error_ends_the_process_with_failure() {
    let lifecycle = Lifecycle::new(DRAIN);
    lifecycle.spawn_critical("listener", async { Err(std::io::Error::other("port gone")) });
    assert_eq!(lifecycle.run_to_completion().await, Outcome::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_critical_panic_ends_the_process_with_failure() {
    let lifecycle = Lifecycle::new(DRAIN);
    lifecycle.spawn_critical("loop", async {
        if true {
            panic!("bug");
        }
        Ok::<(), std::io::Error>(())
    });
    assert_eq!(lifecycle.run_to_completion().await, Outcome::Failed);
}

#[tokio::test(start_paused = true)]
async fn an_ordinary_panic_ends_only_its_task() {
    let lifecycle = Lifecycle::new(DRAIN);
    lifecycle.spawn("helper", async { panic!("bug") });
    sleep(Duration::from_secs(1)).await;
    lifecycle.shutdown();
    assert_eq!(lifecycle.run_to_completion().await, Outcome::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_critical_task_may_end_by_itself() {
    let lifecycle = Lifecycle::new(DRAIN);
    lifecycle.spawn_critical("once", async { Ok::<(), std::io::Error>(()) });
    sleep(Duration::from_secs(1)).await;
    assert!(!lifecycle.stop_token().is_cancelled());
    lifecycle.shutdown();
    assert_eq!(lifecycle.run_to_completion().await, Outcome::Clean);
}

#[tokio::test(start_paused = true)]
async fn closers_run_last_backwards_and_bounded() {
    let lifecycle = Lifecycle::new(DRAIN);
    let (seen, mut events) = mpsc::unbounded_channel();
    for name in ["first", "second"] {
        let seen = seen.clone();
        lifecycle.at_end("closer", async move { seen.send(name).expect("receiver lives") });
    }
    lifecycle.spawn("request", {
        let lifecycle = lifecycle.clone();
        async move {
            lifecycle.closing().await;
            sleep(Duration::from_secs(1)).await;
            seen.send("request").expect("receiver lives");
        }
    });
    lifecycle.at_end("stuck", std::future::pending());
    lifecycle.shutdown();
    assert_eq!(lifecycle.run_to_completion().await, Outcome::Clean);
    assert_eq!(
        [events.recv().await, events.recv().await, events.recv().await],
        [Some("request"), Some("second"), Some("first")]
    );
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_cancels_its_stop_token_stops_nobody_else() {
    let lifecycle = Lifecycle::new(DRAIN);
    lifecycle.stop_token().cancel();
    assert!(!lifecycle.stop_token().is_cancelled());
}
