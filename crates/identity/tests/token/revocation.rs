//! Revocation while the issuer's stream lives, while it is silent, and while nothing answers. Time is virtual.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{
    StreamExt as _,
    channel::mpsc::{UnboundedSender, unbounded},
    stream::BoxStream,
};
use mesh_error::BoxError;
use mesh_identity::{
    Claims, Revocation, RevocationEvent, RevocationSource, Revocations, RevokedSubject, TokenError,
    TokenVerifier, follow_revocations,
};
use tokio::time::{Instant, advance};
use tokio_util::sync::CancellationToken;

use crate::support::{Forger, Issuer, NOW, TestClock, claims, verifier};

type Sent = Result<RevocationEvent, BoxError>;

/// An issuer's half of the stream, driven by the test.
#[derive(Default)]
struct Auth {
    streams: Mutex<Vec<UnboundedSender<Sent>>>,
    opened_at: Mutex<Vec<i64>>,
    refuses: AtomicBool,
    hangs: AtomicBool,
    inactive: AtomicBool,
    checks_fail: AtomicBool,
    checks: AtomicUsize,
    cursor: AtomicI64,
}

#[async_trait]
impl RevocationSource for Auth {
    async fn watch(&self, cursor: i64) -> Result<BoxStream<'static, Sent>, BoxError> {
        self.opened_at.lock().unwrap().push(cursor);
        if self.hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.refuses.load(SeqCst) {
            return Err("refused".into());
        }
        let (sender, stream) = unbounded();
        self.streams.lock().unwrap().push(sender);
        Ok(stream.boxed())
    }

    async fn check(&self, _: &Claims) -> Result<bool, BoxError> {
        self.checks.fetch_add(1, SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
        if self.hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        match self.checks_fail.load(SeqCst) {
            true => Err("the issuer is away".into()),
            false => Ok(!self.inactive.load(SeqCst)),
        }
    }
}

impl Auth {
    fn send(&self, event: Sent) {
        let streams = self.streams.lock().unwrap();
        let _closed = streams.last().unwrap().unbounded_send(event);
    }

    fn heartbeat(&self) {
        self.send(Ok(RevocationEvent::Heartbeat { cursor: self.cursor.load(SeqCst) }));
    }

    fn revoke(&self, subject: RevokedSubject, revoked_at: u64) {
        let cursor = self.cursor.fetch_add(1, SeqCst) + 1;
        self.send(Ok(RevocationEvent::Revoked(Revocation { subject, revoked_at, cursor })));
    }

    fn opened_at(&self) -> Vec<i64> {
        self.opened_at.lock().unwrap().clone()
    }

    fn checks(&self) -> usize {
        self.checks.load(SeqCst)
    }
}

struct Fixture {
    auth: Arc<Auth>,
    verifier: TokenVerifier,
    forger: Forger,
    stop: CancellationToken,
}

impl Fixture {
    /// A verifier that follows the issuer's stream.
    async fn start() -> Self {
        let (auth, forger) = (Arc::new(Auth::default()), Forger::new());
        let revocations = Revocations::watched(Arc::clone(&auth) as _);
        let verifier = verifier(&Issuer::of(&[&forger.key]), revocations.clone(), &TestClock::new());
        let stop = CancellationToken::new();
        tokio::spawn(follow_revocations(revocations, stop.clone()));
        settle().await;
        Self { auth, verifier, forger, stop }
    }

    fn revocations(&self) -> &Revocations {
        self.verifier.revocations()
    }

    fn token(&self, sid: &str, sub: &str, iat: u64) -> String {
        let claims = Claims { sid: sid.into(), sub: sub.into(), iat, nbf: iat, ..claims() };
        self.forger.key.sign(&claims).unwrap()
    }

    async fn is_good(&self, token: &str) -> Result<(), TokenError> {
        self.verifier.verify(token).await.map(|_| ())
    }
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_revoked_session_and_a_revoked_user_are_refused_at_once() {
    let mesh = Fixture::start().await;
    let (mine, other) = (mesh.token("s1", "u1", NOW - 1), mesh.token("s2", "u1", NOW - 1));
    let stranger = mesh.token("s3", "u2", NOW - 1);
    mesh.auth.heartbeat();
    settle().await;
    for token in [&mine, &other, &stranger] {
        mesh.is_good(token).await.expect("and it is in the cache of verified tokens now");
    }
    mesh.auth.revoke(RevokedSubject::Session("s1".into()), NOW);
    settle().await;
    assert_eq!(mesh.is_good(&mine).await, Err(TokenError::Revoked));
    assert_eq!(mesh.is_good(&other).await, Ok(()));
    mesh.auth.revoke(RevokedSubject::User("u1".into()), NOW);
    settle().await;
    assert_eq!(mesh.is_good(&other).await, Err(TokenError::Revoked));
    assert_eq!(mesh.is_good(&stranger).await, Ok(()));
    assert_eq!(mesh.auth.checks(), 0, "all of it without a question");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_same_second_is_bad_and_one_of_the_next_is_good() {
    let revocations = Revocations::local();
    let forger = Forger::new();
    let verifier = verifier(&Issuer::of(&[&forger.key]), revocations.clone(), &TestClock::new());
    let subject = RevokedSubject::User("user-1".into());
    revocations.apply(Revocation { subject, revoked_at: NOW, cursor: 1 });
    for (iat, good) in [(NOW - 1, false), (NOW, false), (NOW + 1, true)] {
        let token = forger.key.sign(&Claims { iat, ..claims() }).unwrap();
        assert_eq!(verifier.verify(&token).await.is_ok(), good, "{iat}");
    }
}

#[tokio::test(start_paused = true)]
async fn until_the_first_heartbeat_the_issuer_is_asked() {
    let mesh = Fixture::start().await;
    let token = mesh.token("s1", "u1", NOW);
    mesh.auth.revoke(RevokedSubject::Session("other".into()), NOW);
    settle().await;
    assert!(!mesh.revocations().is_fresh(), "a revocation does not say that it was the last");
    assert_eq!(mesh.is_good(&token).await, Ok(()));
    assert_eq!(mesh.auth.checks(), 1);
    mesh.auth.heartbeat();
    settle().await;
    assert!(mesh.revocations().is_fresh());
    advance(Duration::from_secs(2)).await;
    assert_eq!(mesh.is_good(&token).await, Ok(()));
    assert_eq!(mesh.auth.checks(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_stream_is_silent_the_issuer_is_asked_and_its_answer_kept_for_a_second() {
    let mesh = Fixture::start().await;
    let token = mesh.token("s1", "u1", NOW);
    mesh.auth.heartbeat();
    settle().await;
    mesh.auth.refuses.store(true, SeqCst);
    advance(Duration::from_millis(2_999)).await;
    assert_eq!(mesh.is_good(&token).await, Ok(()));
    assert_eq!(mesh.auth.checks(), 0);
    advance(Duration::from_millis(1)).await;
    for _ in 0..20 {
        assert_eq!(mesh.is_good(&token).await, Ok(()));
    }
    assert_eq!(mesh.auth.checks(), 1);
    mesh.auth.inactive.store(true, SeqCst);
    advance(Duration::from_millis(980)).await;
    assert_eq!(mesh.is_good(&token).await, Ok(()), "the answer is less than a second old");
    advance(Duration::from_millis(20)).await;
    assert_eq!(mesh.is_good(&token).await, Err(TokenError::Revoked));
    assert_eq!(mesh.auth.checks(), 2);
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_the_same_at_once_ask_once() {
    let mesh = Fixture::start().await;
    let (a, b) = (mesh.token("s1", "u1", NOW), mesh.token("s2", "u1", NOW));
    mesh.verifier.warm_up().await.unwrap();
    let calls = (0..100).map(|i| mesh.is_good(if i % 2 == 0 { &a } else { &b }));
    assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(mesh.auth.checks(), 2, "once for each session");
}

#[tokio::test(start_paused = true)]
async fn when_nothing_answers_the_token_is_refused_as_unavailable() {
    let mesh = Fixture::start().await;
    let (good, revoked) = (mesh.token("s1", "u1", NOW), mesh.token("s2", "u1", NOW));
    mesh.auth.revoke(RevokedSubject::Session("s2".into()), NOW);
    mesh.auth.heartbeat();
    settle().await;
    mesh.auth.refuses.store(true, SeqCst);
    mesh.auth.checks_fail.store(true, SeqCst);
    advance(Duration::from_secs(3)).await;
    assert_eq!(mesh.is_good(&good).await, Err(TokenError::Unavailable));
    assert_eq!(mesh.is_good(&revoked).await, Err(TokenError::Revoked), "what is known stays known");
    mesh.auth.hangs.store(true, SeqCst);
    let asked_at = Instant::now();
    assert_eq!(mesh.is_good(&good).await, Err(TokenError::Unavailable));
    assert!(asked_at.elapsed() <= Duration::from_secs(2), "virtual time: the question is bounded");
    mesh.auth.hangs.store(false, SeqCst);
    mesh.auth.checks_fail.store(false, SeqCst);
    assert_eq!(mesh.is_good(&good).await, Ok(()), "a failure is not kept");
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_is_resumed_at_the_cursor() {
    let mesh = Fixture::start().await;
    mesh.auth.revoke(RevokedSubject::Session("s1".into()), NOW);
    mesh.auth.revoke(RevokedSubject::Session("s2".into()), NOW);
    mesh.auth.heartbeat();
    settle().await;
    mesh.auth.send(Err("reset".into()));
    settle().await;
    advance(Duration::from_millis(200)).await;
    settle().await;
    assert_eq!(mesh.auth.opened_at(), [0, 2]);
    assert!(mesh.revocations().is_fresh(), "a quick reconnection goes unnoticed");
    mesh.auth.streams.lock().unwrap().clear();
    settle().await;
    advance(Duration::from_millis(200)).await;
    settle().await;
    assert_eq!(mesh.auth.opened_at(), [0, 2, 2], "the end of a stream is no end");
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_left() {
    let mesh = Fixture::start().await;
    mesh.auth.heartbeat();
    settle().await;
    advance(Duration::from_secs(3)).await;
    settle().await;
    advance(Duration::from_millis(200)).await;
    settle().await;
    assert_eq!(mesh.auth.opened_at().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_cannot_be_reached_is_tried_ever_more_seldom() {
    let auth = Arc::new(Auth::default());
    auth.refuses.store(true, SeqCst);
    let revocations = Revocations::watched(Arc::clone(&auth) as _);
    let stop = CancellationToken::new();
    let follower = tokio::spawn(follow_revocations(revocations.clone(), stop.clone()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let tries = auth.opened_at().len();
    assert!((30..=80).contains(&tries), "{tries}");
    auth.refuses.store(false, SeqCst);
    tokio::time::sleep(Duration::from_millis(2_001)).await;
    auth.heartbeat();
    settle().await;
    assert!(revocations.is_fresh());
    stop.cancel();
    follower.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_hangs_while_opening_is_left_too() {
    let auth = Arc::new(Auth::default());
    auth.hangs.store(true, SeqCst);
    let revocations = Revocations::watched(Arc::clone(&auth) as _);
    tokio::spawn(follow_revocations(revocations, CancellationToken::new()));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!((4..=10).contains(&auth.opened_at().len()), "{:?}", auth.opened_at());
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_went_back_is_read_again_from_the_start() {
    let mesh = Fixture::start().await;
    for _ in 0..5 {
        mesh.auth.revoke(RevokedSubject::Session("s1".into()), NOW);
    }
    mesh.auth.heartbeat();
    settle().await;
    assert_eq!(mesh.revocations().cursor(), 5);
    mesh.auth.cursor.store(2, SeqCst);
    mesh.auth.heartbeat();
    settle().await;
    assert!(!mesh.revocations().is_fresh(), "what it says cannot be trusted to be complete");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(mesh.auth.opened_at(), [0, 0]);
    mesh.auth.heartbeat();
    settle().await;
    assert!(mesh.revocations().is_fresh());
    assert_eq!(mesh.is_good(&mesh.token("s1", "u1", NOW)).await, Err(TokenError::Revoked));
}

#[tokio::test(start_paused = true)]
async fn following_ends_when_it_is_told_to() {
    let mesh = Fixture::start().await;
    mesh.stop.cancel();
    settle().await;
    assert!(mesh.auth.streams.lock().unwrap()[0].is_closed());
    // A list that nobody else writes needs no following.
    follow_revocations(Revocations::local(), CancellationToken::new()).await;
}

/// Real threads and real time: what must not happen is a deadlock or a revoked token that passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn verifying_and_revoking_at_once_from_many_threads() {
    let forger = Arc::new(Forger::new());
    let revocations = Revocations::local();
    let verifier = verifier(&Issuer::of(&[&forger.key]), revocations.clone(), &TestClock::new());
    let tasks = (0..8).map(|task| {
        let (forger, revocations, verifier) = (Arc::clone(&forger), revocations.clone(), verifier.clone());
        tokio::spawn(async move {
            for round in 0..200 {
                let sid = format!("{task}-{round}");
                let token = forger.key.sign(&Claims { sid: sid.clone(), ..claims() }).unwrap();
                verifier.verify(&token).await.unwrap();
                let subject = RevokedSubject::Session(sid);
                revocations.apply(Revocation { subject, revoked_at: NOW, cursor: round });
                assert_eq!(verifier.verify(&token).await, Err(TokenError::Revoked));
                tokio::task::yield_now().await;
            }
        })
    });
    let all = futures::future::try_join_all(tasks);
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("no deadlock").unwrap();
}
