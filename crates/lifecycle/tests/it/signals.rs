//! Signals of the operating system, sent to this very process.

use std::process::Command;
use std::time::Duration;

use mesh_lifecycle::{Drain, Lifecycle, Outcome};

const DRAIN: Drain =
    Drain { endpoints: Duration::ZERO, in_flight: Duration::from_secs(600), flush: Duration::from_secs(1) };

fn signal(name: &str) {
    let pid = std::process::id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// One test for both, since every lifecycle of the process hears every signal.
#[tokio::test]
async fn the_first_signal_drains_and_the_second_forces() {
    for name in ["-TERM", "-INT"] {
        let lifecycle = Lifecycle::new(DRAIN);
        lifecycle.trap_signals().unwrap();
        signal(name);
        let ended =
            tokio::time::timeout(Duration::from_secs(20), lifecycle.run_to_completion()).await.unwrap();
        assert_eq!(ended, Outcome::Clean, "{name}");
    }
    let lifecycle = Lifecycle::new(DRAIN);
    lifecycle.trap_signals().unwrap();
    lifecycle.spawn("stuck request", std::future::pending());
    let ending = tokio::spawn(lifecycle.clone().run_to_completion());
    signal("-TERM");
    lifecycle.closing().await;
    assert!(!ending.is_finished());
    signal("-TERM");
    let ended = tokio::time::timeout(Duration::from_secs(20), ending).await.unwrap().unwrap();
    assert_eq!(ended, Outcome::Forced);
}
