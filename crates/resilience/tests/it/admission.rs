//! Admission bounds calls, the queue and the wait.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use mesh_resilience::{Admission, AdmissionLayer, Place};
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};
use tonic::{Code, body::Body};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use crate::support::{SECOND, is_waiting, read, request, settle, streaming, ticks};

const LIMITS: Admission = Admission {
    concurrency: 2,
    queue: 1,
    wait: Duration::from_millis(100),
    retry_after: Duration::from_secs(3),
};

type Handled = Result<Response<Body>, Infallible>;

/// A handler that waits for `go` and counts in `begun`.
fn handler(
    go: Arc<Notify>,
    begun: Arc<Semaphore>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send {
    service_fn(move |_| {
        begun.add_permits(1);
        let go = Arc::clone(&go);
        async move {
            go.notified().await;
            Handled::Ok(streaming(ticks(1, Duration::ZERO)))
        }
    })
}

#[tokio::test(start_paused = true)]
async fn clones_share_one_gate_and_the_excess_waits_in_line() {
    let (go, begun) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let layer = AdmissionLayer::new(LIMITS);
    // Two services of one layer, as two connections have.
    let one = layer.layer(handler(Arc::clone(&go), Arc::clone(&begun)));
    let two = layer.layer(handler(Arc::clone(&go), Arc::clone(&begun)));
    let first = tokio::spawn(one.clone().oneshot(request()));
    let second = tokio::spawn(two.clone().oneshot(request()));
    settle().await;
    let mut third = pin!(one.oneshot(request()));
    assert!(is_waiting(&mut third).await);
    assert_eq!(begun.available_permits(), 2);

    go.notify_waiters();
    let answers = [first.await.unwrap().unwrap(), second.await.unwrap().unwrap()];
    assert!(is_waiting(&mut third).await);
    assert_eq!(begun.available_permits(), 2, "a place is taken until the body has ended");
    for answer in answers {
        assert_eq!(read(answer).await.code(), Code::Ok);
    }
    assert!(is_waiting(&mut third).await);
    assert_eq!(begun.available_permits(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_bounded_by_time_and_the_refusal_says_when_to_come_back() {
    let (go, begun) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let service = AdmissionLayer::new(LIMITS).layer(handler(go, Arc::clone(&begun)));
    let _busy =
        [tokio::spawn(service.clone().oneshot(request())), tokio::spawn(service.clone().oneshot(request()))];
    settle().await;
    let start = Instant::now();
    let refused = read(service.oneshot(request()).await.unwrap()).await;
    assert_eq!(start.elapsed(), LIMITS.wait);
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let error = mesh_error::Error::from_status(&refused.status);
    assert_eq!(error.retry_after(), Some(LIMITS.retry_after));
    assert_eq!(begun.available_permits(), 2, "the refused call reached the handler");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once() {
    let (go, begun) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let service = AdmissionLayer::new(LIMITS).layer(handler(go, begun));
    let calls: Vec<_> = (0..3).map(|_| tokio::spawn(service.clone().oneshot(request()))).collect();
    settle().await;
    let start = Instant::now();
    let refused = read(service.clone().oneshot(request()).await.unwrap()).await;
    assert_eq!((refused.code(), start.elapsed()), (Code::ResourceExhausted, Duration::ZERO));

    // Who leaves the queue makes room in it.
    calls[2].abort();
    settle().await;
    let start = Instant::now();
    read(service.oneshot(request()).await.unwrap()).await;
    assert_eq!(start.elapsed(), LIMITS.wait);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_gives_its_place_back() {
    let (go, begun) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let service = AdmissionLayer::new(LIMITS).layer(handler(go, Arc::clone(&begun)));
    let calls: Vec<_> = (0..2).map(|_| tokio::spawn(service.clone().oneshot(request()))).collect();
    settle().await;
    let waiting = tokio::spawn(service.oneshot(request()));
    settle().await;
    calls[0].abort();
    settle().await;
    assert_eq!(begun.available_permits(), 3);
    assert!(!waiting.is_finished());
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_leaves_behind_keeps_its_place() {
    let limits = Admission { concurrency: 1, queue: 0, ..LIMITS };
    let places = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&places);
    let service = AdmissionLayer::new(limits).layer(service_fn(move |request: Request<Body>| {
        kept.lock().unwrap().extend(request.extensions().get::<Place>().cloned());
        std::future::pending::<Handled>()
    }));
    let call = tokio::spawn(service.clone().oneshot(request()));
    settle().await;
    call.abort();
    settle().await;
    let refused = read(service.clone().oneshot(request()).await.unwrap()).await;
    assert_eq!(refused.code(), Code::ResourceExhausted);
    places.lock().unwrap().clear();
    let next = tokio::spawn(service.oneshot(request()));
    settle().await;
    assert_eq!(places.lock().unwrap().len(), 1);
    next.abort();
}

#[tokio::test(start_paused = true)]
async fn the_exempt_pass_when_all_places_are_taken() {
    let (go, begun) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let layer = AdmissionLayer::new(LIMITS).exempt(|path| path.starts_with("/grpc.health.v1.Health/"));
    let service = layer.layer(handler(Arc::clone(&go), Arc::clone(&begun)));
    let _busy: Vec<_> = (0..2).map(|_| tokio::spawn(service.clone().oneshot(request()))).collect();
    settle().await;
    let mut probe = request();
    *probe.uri_mut() = "/grpc.health.v1.Health/Check".parse().unwrap();
    let answer = tokio::spawn(service.oneshot(probe));
    settle().await;
    assert_eq!(begun.available_permits(), 3);
    go.notify_waiters();
    assert_eq!(read(answer.await.unwrap().unwrap()).await.code(), Code::Ok);
    tokio::time::advance(SECOND).await;
}
