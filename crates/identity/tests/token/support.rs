//! A clock that stands, an issuer whose keys and moods a test sets, and a forger that signs any text.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use mesh_error::BoxError;
use mesh_identity::{Claims, Jwks, KeySource, Profile, Revocations, SigningKey, TokenVerifier};
use serde_json::{Value, json};

/// When the tests play: seconds since 1970.
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Good claims, issued now for ten minutes.
pub(crate) fn claims() -> Claims {
    Claims {
        iss: "https://auth.quipu.local".to_owned(),
        sub: "user-1".to_owned(),
        aud: "quipu".to_owned(),
        exp: NOW + 600,
        iat: NOW,
        nbf: NOW,
        jti: "token-1".to_owned(),
        sid: "session-1".to_owned(),
        scope: "profile:read sentiment:analyze".parse().unwrap(),
        roles: vec!["user".to_owned()],
        client_id: None,
    }
}

/// The same as a payload.
pub(crate) fn payload() -> Value {
    json!({
        "iss": "https://auth.quipu.local", "sub": "user-1", "aud": "quipu",
        "exp": NOW + 600, "iat": NOW, "nbf": NOW, "jti": "token-1", "sid": "session-1",
        "scope": "profile:read sentiment:analyze", "roles": ["user"],
    })
}

/// Signs whatever it is given with a key that the verifier trusts, so that nothing but the fault under test can
/// be why a token is refused.
pub(crate) struct Forger {
    pub(crate) key: SigningKey,
    pair: Ed25519KeyPair,
}

impl Forger {
    pub(crate) fn new() -> Self {
        let key = SigningKey::generate().unwrap();
        let pem = key.to_pkcs8_pem().unwrap();
        let der = STANDARD.decode(pem.lines().nth(1).unwrap()).unwrap();
        Self { key, pair: Ed25519KeyPair::from_pkcs8(&der).unwrap() }
    }

    pub(crate) fn header(&self) -> Value {
        json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": self.key.kid() })
    }

    /// A token of these segments, signed.
    pub(crate) fn segments(&self, header: &str, payload: &str) -> String {
        let signed = format!("{header}.{payload}");
        let signature = b64(self.pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    pub(crate) fn text(&self, header: &str, payload: &str) -> String {
        self.segments(&b64(header), &b64(payload))
    }

    pub(crate) fn with_header(&self, header: &Value) -> String {
        self.text(&header.to_string(), &payload().to_string())
    }

    pub(crate) fn with_payload(&self, payload: &str) -> String {
        self.text(&self.header().to_string(), payload)
    }

    /// Good but for one claim; `None` leaves it out.
    pub(crate) fn with_claim(&self, name: &str, value: Option<Value>) -> String {
        let mut claims = payload();
        match value {
            Some(value) => claims[name] = value,
            None => drop(claims.as_object_mut().unwrap().remove(name).unwrap()),
        }
        self.with_payload(&claims.to_string())
    }
}

/// The issuer's keys, and how often they were asked for.
pub(crate) struct Issuer {
    keys: Mutex<Jwks>,
    pub(crate) down: AtomicBool,
    pub(crate) fetches: AtomicUsize,
    /// Milliseconds that a fetch takes.
    pub(crate) slow: AtomicU64,
}

impl Issuer {
    pub(crate) fn of(keys: &[&SigningKey]) -> Arc<Self> {
        Arc::new(Self {
            keys: Mutex::new(set(keys)),
            down: AtomicBool::new(false),
            fetches: AtomicUsize::new(0),
            slow: AtomicU64::new(0),
        })
    }

    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        *self.keys.lock().unwrap() = set(keys);
    }

    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

fn set(keys: &[&SigningKey]) -> Jwks {
    Jwks::new(keys.iter().map(|key| key.public().clone()).collect()).unwrap()
}

#[async_trait]
impl KeySource for Issuer {
    async fn fetch(&self) -> Result<Jwks, BoxError> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(self.slow.load(Ordering::SeqCst))).await;
        match self.down.load(Ordering::SeqCst) {
            true => Err("the issuer is down".into()),
            false => Ok(self.keys.lock().unwrap().clone()),
        }
    }
}

/// Seconds since 1970, set by the test.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(NOW)))
    }

    pub(crate) fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }

    fn as_clock(&self) -> Arc<dyn mesh_identity::Clock> {
        let seconds = Arc::clone(&self.0);
        Arc::new(move || UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::SeqCst)))
    }
}

pub(crate) fn verifier(issuer: &Arc<Issuer>, revocations: Revocations, clock: &TestClock) -> TokenVerifier {
    let keys: Arc<dyn KeySource> = Arc::clone(issuer) as _;
    TokenVerifier::with_clock(Profile::default(), keys, revocations, clock.as_clock())
}
