//! Who leaves is noticed by the server at once.

use std::time::Instant;

use mesh_testkit::Reply;

use super::*;

/// The most that may go by until the server notices.
const NOTICED: Duration = Duration::from_secs(1);

/// Waits until the server has noticed so many, the last of them soon after `left`.
async fn noticed(fake: &FakeLlm, times: u64, left: Instant) -> Duration {
    let counts = fake
        .wait_for(NOTICED * 5, |counts| counts.cancelled == times && counts.under_way == 0)
        .await
        .unwrap();
    assert_eq!((counts.completed, counts.broken), (0, 0));
    let noticed = fake.cancellations().pop().unwrap().duration_since(left);
    assert!(noticed < NOTICED, "{noticed:?}");
    noticed
}

#[tokio::test]
async fn an_answer_that_is_dropped_is_cancelled() {
    let fake = FakeLlm::start().await.unwrap();
    fake.always(Reply::endless("on and on ").between(Duration::from_millis(3)));
    let model = model(&fake);
    let mut longest = Duration::ZERO;
    for turn in 0..50 {
        let mut answer = model.answer(&prompt()).await.unwrap();
        for _ in 0..turn % 5 {
            answer.next().await.unwrap().unwrap();
        }
        let left = Instant::now();
        drop(answer);
        longest = longest.max(noticed(&fake, turn + 1, left).await);
    }
    println!("50 answers were dropped, and each was noticed within {longest:?}");
}

#[tokio::test]
async fn a_silent_answer_that_is_dropped_is_cancelled() {
    let fake = FakeLlm::start().await.unwrap();
    fake.always(Reply::text("ab").every(1).between(Duration::from_secs(60)));
    let answer = model(&fake).answer(&prompt()).await.unwrap();
    let left = Instant::now();
    drop(answer);
    noticed(&fake, 1, left).await;
}

#[tokio::test]
async fn a_wait_that_is_dropped_is_cancelled() {
    let fake = FakeLlm::start().await.unwrap();
    let slow = Duration::from_secs(60);
    fake.script(vec![Reply::text("a").before_head(slow), Reply::text("a").before_first(slow)]);
    let model = model(&fake);
    for times in 1..=2 {
        {
            let prompt = prompt();
            let wait = model.answer(&prompt);
            assert!(tokio::time::timeout(Duration::from_millis(100), wait).await.is_err());
        }
        noticed(&fake, times, Instant::now()).await;
    }
}

#[tokio::test]
async fn a_limit_and_a_fault_let_the_connection_go() {
    let fake = FakeLlm::start().await.unwrap();
    let limit = Duration::from_millis(50);
    fake.script(vec![
        Reply::text("ab").every(1).between(Duration::from_secs(60)),
        Reply::endless("data").every(1).before_first(Duration::ZERO),
    ]);
    let mut settings = settings(fake.base_url());
    settings.times.stall = limit;
    let model = OpenAi::new(settings).unwrap();
    // The answers are held, so that only the fault lets go.
    let mut stalled = model.answer(&prompt()).await.unwrap();
    while let Some(Ok(_)) = stalled.next().await {}
    noticed(&fake, 1, Instant::now() - limit).await;
    let mut long = model.answer(&prompt()).await.unwrap();
    while let Some(Ok(_)) = long.next().await {}
    noticed(&fake, 2, Instant::now()).await;
}
