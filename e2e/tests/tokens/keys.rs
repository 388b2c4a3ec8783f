//! G9: API keys. One that cannot be ours costs no query, a revoked or expired one is refused everywhere, and nobody who reads
//! the stores, the logs or the traces learns a key.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mesh_proto::auth::v1::{
    ExchangeTokenRequest, ExchangeTokenResponse, SubjectTokenType, VerifyApiKeyRequest,
};
use prost::Message as _;
use quipu_e2e::{Person, ProcessMesh, Proof, Setup, eventually};
use serde_json::{Value, json};

use crate::{
    corpus::key::malformed,
    counter::key_statements,
    wire::{METHODS, Rest, Wire, api_key, bearer},
};

const EXCHANGE: &str = "/quipu.auth.v1.AuthService/ExchangeToken";
const VERIFY: &str = "/quipu.auth.v1.AuthService/VerifyApiKey";
const ME: (&str, &str) = ("GET", "/v1/auth/me");
const UNAUTHENTICATED: i32 = 16;

/// Within which a revocation is heeded everywhere.
const HEEDED: Duration = Duration::from_secs(5);

/// A new key of a person's: its id and the whole key.
pub(crate) async fn new_key(person: &Person, wanted: &Value) -> (String, String) {
    let (status, key) = person.post("/v1/auth/api-keys", wanted).await;
    assert_eq!(status, 201, "{key}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&key["api_key"]["id"]), text(&key["secret"]))
}

/// Asks `auth` directly for the token of a key: the code of gRPC and the answer.
pub(crate) async fn exchange(wire: &mut Wire, key: &str) -> (i32, ExchangeTokenResponse) {
    let request = ExchangeTokenRequest {
        subject_token: key.to_owned(),
        subject_token_type: SubjectTokenType::ApiKey.into(),
        scopes: vec![],
    };
    let (answer, message) = wire.call(EXCHANGE, &vec![], &request.encode_to_vec()).await;
    (answer.code, ExchangeTokenResponse::decode(message).unwrap_or_default())
}

async fn verify(wire: &mut Wire, key: &str) -> i32 {
    let request = VerifyApiKeyRequest { api_key: key.to_owned() };
    wire.call(VERIFY, &vec![], &request.encode_to_vec()).await.0.code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_checksum_costs_no_query() {
    let mut proof =
        Proof::new("G9.checksum", "an API key whose checksum does not fit is refused without a query");
    let mesh = Setup::new().without_rates().start().await;
    let person = mesh.signed_in("ada").await;
    let (id, good) = new_key(&person, &json!({"name": "k", "scopes": ["profile:read"]})).await;
    let (rest, mut auth) = (Rest::at(&mesh, "gateway"), Wire::to(&mesh, "auth"));
    assert_eq!(rest.show(ME, &api_key(&good)).await.0.code, 200, "the control");

    let keys = malformed(&good);
    let before = key_statements(mesh.process("auth")).await;
    for key in &keys {
        let shown = [rest.show(ME, &api_key(key)).await.0.code, rest.show(ME, &bearer(key)).await.0.code];
        proof.check(shown == [401, 401], || format!("{key}: {shown:?}"));
        let asked = [exchange(&mut auth, key).await.0, verify(&mut auth, key).await];
        let refused = asked.iter().all(|code| matches!(*code, UNAUTHENTICATED | 3));
        proof.check(refused, || format!("{key}: {asked:?}"));
    }
    let spent = key_statements(mesh.process("auth")).await - before;
    proof.require(spent == 0, || format!("{spent} statements for keys that cannot be ours"));

    // The counter counts: a key that could be ours costs its query.
    let (status, _) = person.delete(&format!("/v1/auth/api-keys/{id}")).await;
    assert_eq!(status, 204);
    let before = key_statements(mesh.process("auth")).await;
    assert_eq!(verify(&mut auth, &good).await, UNAUTHENTICATED);
    let one = key_statements(mesh.process("auth")).await - before;
    proof.require(one == 1, || format!("{one} statements for a key that was ours"));
    proof.require(keys.len() >= 100, || "fewer than 100 keys");
    proof.figure(format!(
        "{} malformed keys, each 4 times: {spent} statements; a revoked one: {one}",
        keys.len()
    ));
    proof.limit("all refused, 0 statements; 1 for one with a good checksum");
    proof.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_revoked_keys_are_refused_everywhere() {
    let mut proof = Proof::new(
        "G9.revoked",
        "a revoked or expired API key is refused by every gateway and gives no token",
    );
    let mesh = Setup::new().servers().gateways(2).without_rates().start().await;
    let person = mesh.signed_in("ada").await;
    let mut places = Places::of(&mesh);
    let wanted = json!({"name": "k", "scopes": ["profile:read", "sentiment:analyze"]});
    let kept = new_key(&person, &wanted).await.1;
    for _ in 0..3 {
        let (id, key) = new_key(&person, &wanted).await;
        let token = exchange(&mut places.auth, &key).await.1.access_token;
        let before = places.codes(&key, &token).await;
        proof.check(before == GOOD, || format!("before: {before:?}"));
        let (status, _) = person.delete(&format!("/v1/auth/api-keys/{id}")).await;
        assert_eq!(status, 204);
        let asked = exchange(&mut places.auth, &key).await.0;
        proof.check(asked == UNAUTHENTICATED, || format!("exchanged right after its end: {asked}"));
        let last = places.until_refused(&key, &token).await;
        proof.check(last == REFUSED, || format!("after: {last:?}"));
    }
    expiry(&person, &mut places, &mut proof).await;
    let token = exchange(&mut places.auth, &kept).await.1.access_token;
    let codes = places.codes(&kept, &token).await;
    proof.check(codes == GOOD, || format!("a key that nobody touched: {codes:?}"));
    proof.figure("3 revoked and 1 expired, at 2 gateways, at auth, and their tokens at a service");
    proof.limit("refused by auth at once, by all within 5 s");
    proof.finish();
}

/// A key with an end: it gives no token that outlives it, and is refused afterwards.
async fn expiry(person: &Person, places: &mut Places, proof: &mut Proof) {
    let at = |seconds: u64| {
        let end = std::time::SystemTime::now() + Duration::from_secs(seconds);
        let seconds = end.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        prost_types::Timestamp { seconds: i64::try_from(seconds).unwrap(), nanos: 0 }.to_string()
    };
    let wanted =
        |end: &str| json!({"name": "k", "scopes": ["profile:read", "sentiment:analyze"], "expires_at": end});
    let (past, _) = person.post("/v1/auth/api-keys", &wanted("2020-01-01T00:00:00Z")).await;
    proof.check(past == 400, || format!("an end in the past: {past}"));
    let (_, key) = new_key(person, &wanted(&at(5))).await;
    let (code, answer) = exchange(&mut places.auth, &key).await;
    proof.check(code == 0 && answer.expires_in <= 5, || {
        format!("{code}, a token for {} s", answer.expires_in)
    });
    let before = places.codes(&key, &answer.access_token).await;
    proof.check(before == GOOD, || format!("before its end: {before:?}"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let last = places.until_refused(&key, &answer.access_token).await;
    proof.check(last == REFUSED, || format!("after its end: {last:?}"));
}

/// Two gateways, `auth` asked for a token and for the key's owner, and `sentiment` shown a token of the key.
struct Places {
    gateways: [Rest; 2],
    auth: Wire,
    sentiment: Wire,
}

const GOOD: [i32; 5] = [200, 200, 0, 0, 3];
const REFUSED: [i32; 5] = [401, 401, UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED];

impl Places {
    fn of(mesh: &ProcessMesh) -> Self {
        let gateways = ["gateway", "gateway-2"].map(|name| Rest::at(mesh, name));
        Self { gateways, auth: Wire::to(mesh, "auth"), sentiment: Wire::to(mesh, "sentiment") }
    }

    async fn codes(&mut self, key: &str, token: &str) -> [i32; 5] {
        let [one, two] = &self.gateways;
        [
            one.show(ME, &api_key(key)).await.0.code,
            two.show(ME, &bearer(key)).await.0.code,
            exchange(&mut self.auth, key).await.0,
            verify(&mut self.auth, key).await,
            self.sentiment.show(METHODS[0].1, &bearer(token)).await.code,
        ]
    }

    /// The first answers that refuse everywhere, or the last that came in time.
    async fn until_refused(&mut self, key: &str, token: &str) -> [i32; 5] {
        let end = tokio::time::Instant::now() + HEEDED;
        loop {
            let codes = self.codes(key, token).await;
            if codes == REFUSED || tokio::time::Instant::now() > end {
                return codes;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_secret_is_nowhere() {
    let mut proof = Proof::new("G9.secret", "the secret of an API key is in no store, no log and no trace");
    let mesh = Setup::new().servers().gateways(2).without_rates().start().await;
    let person = mesh.signed_in("ada").await;
    let mut keys = Vec::new();
    for at in 0..5 {
        let wanted = json!({"name": format!("canary{at}"), "scopes": ["profile:read"]});
        let request = person.request(reqwest::Method::POST, "/v1/auth/api-keys").json(&wanted);
        // Kept for its replay, in Redis.
        let (status, key) = quipu_e2e::answer(request.header("idempotency-key", format!("{at:032}"))).await;
        assert_eq!(status, 201, "{key}");
        let key = key["secret"].as_str().unwrap().to_owned();
        for gateway in ["gateway", "gateway-2"] {
            let rest = Rest::at(&mesh, gateway);
            assert_eq!(rest.show(ME, &api_key(&key)).await.0.code, 200);
            assert_eq!(rest.show(ME, &api_key(&format!("{key}0"))).await.0.code, 401);
        }
        keys.push(key);
    }
    // The spans of the last request have come.
    let id = |key: &str| key.split('_').nth(1).unwrap().to_owned();
    let ends =
        |spans: &[mesh_testkit::CollectedSpan]| spans.iter().any(|s| s.name.contains("SELECT api_keys"));
    mesh.collector.wait_for(quipu_e2e::LIMIT, ends).await.unwrap();
    let places = everything(&mesh).await;
    for key in &keys {
        let secret = key.split('_').nth(2).unwrap();
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        for (place, text) in &places {
            let found = [secret, &hex, &STANDARD.encode(secret)].into_iter().any(|form| text.contains(form));
            proof.check(!found, || format!("a secret is in {place}"));
        }
    }
    let found =
        |place: &str, text: &str| places.iter().any(|(name, all)| name == place && all.contains(text));
    proof.require(
        found("the database", &id(&keys[0])) && found("the database", "canary0"),
        || "the search finds nothing",
    );
    proof.require(found("the log of auth", &id(&keys[0])), || "the log says nothing of keys");
    proof.require(places.iter().all(|(_, text)| !text.is_empty()), || "a place is empty");
    let sizes: Vec<_> =
        places.iter().map(|(name, text)| format!("{name} {} KiB", text.len() / 1024)).collect();
    proof.figure(format!("{} keys searched for in {}", keys.len(), sizes.join(", ")));
    proof.limit("0 found, as text, in hexadecimal or in base64; their ids are found");
    proof.finish();
}

/// Whatever the mesh has written.
async fn everything(mesh: &ProcessMesh) -> Vec<(String, String)> {
    let mut places = Vec::new();
    for name in ["gateway", "gateway-2", "auth", "jokes", "sentiment"] {
        let process = mesh.process(name);
        places.push((format!("the log of {name}"), process.log()));
        places.push((format!("the metrics of {name}"), process.metrics().await));
    }
    places.push(("the traces".to_owned(), format!("{:?}", mesh.collector.spans())));
    let pool = sqlx::PgPool::connect(mesh.database.as_ref().unwrap().url()).await.unwrap();
    let dump: String =
        sqlx::query_scalar("SELECT database_to_xml(true, false, '')::text").fetch_one(&pool).await.unwrap();
    places.push(("the database".to_owned(), dump));
    let client = redis::Client::open(mesh.redis_url().unwrap()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let names: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await.unwrap();
    let mut kept = names.join("\n");
    for name in names {
        let value: Vec<u8> = redis::cmd("DUMP").arg(name).query_async(&mut redis).await.unwrap();
        kept.push_str(&String::from_utf8_lossy(&value));
    }
    places.push(("Redis".to_owned(), kept));
    let heard = || async { !mesh.process("auth").log().is_empty() };
    assert!(eventually(HEEDED, heard).await);
    places
}
