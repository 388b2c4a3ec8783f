//! G2: a header does not choose the key. Tokens that try to bring their own key, to have the public key taken for a
//! secret, or to have a key fetched from somewhere: a listener there must hear nothing.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mesh_identity::{Jwks, SigningKey};
use quipu_e2e::{ProcessMesh, Proof, Setup};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    corpus::Case,
    forged::{Panel, forger_of},
    forger::{Forger, encoded, pair},
};

/// Counts who connects.
struct Listener {
    url: String,
    heard: Arc<AtomicUsize>,
}

impl Listener {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let heard = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&heard);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counting.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { url, heard }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_header_chooses_no_key() {
    let mut proof =
        Proof::new("G2", "a token's header brings no key, names no place, and turns no key into a secret");
    let mesh = Setup::new().without_rates().start().await;
    let person = mesh.signed_in("ada").await;
    let forger = forger_of(&mesh, &person);
    let listener = Listener::start().await;
    let cases = [secrets(&forger), own_keys(&forger), places(&forger, &listener.url)].concat();
    let mut panel = Panel::new(&mesh, &forger.good).await;
    for case in &cases {
        panel.try_case(case, &mut proof).await;
    }
    let heard = listener.heard.load(Ordering::SeqCst);
    proof.require(heard == 0, || format!("{heard} connections to a place that a token named"));
    control_of_the_listener(&listener).await;
    proof.figure(format!("{} tokens, {}, {heard} outbound connections", cases.len(), panel.figure()));
    proof.limit("0 accepted, 1 answer over REST and 1 over gRPC, 0 outbound connections");
    panel.finish(&mut proof);
    proof.finish();
    no_panic(&mesh);
}

/// The listener does hear those who come.
async fn control_of_the_listener(listener: &Listener) {
    tokio::net::TcpStream::connect(&listener.url).await.unwrap();
    let heard = || async { listener.heard.load(Ordering::SeqCst) == 1 };
    assert!(quipu_e2e::eventually(quipu_e2e::LIMIT, heard).await, "the control");
}

fn no_panic(mesh: &ProcessMesh) {
    for name in ["gateway", "auth", "jokes", "sentiment"] {
        assert!(!mesh.process(name).log().contains("panicked"), "{name}");
    }
}

/// The public key in every form in which a server keeps one, as the secret of an HMAC; and secrets that people choose.
fn secrets(forger: &Forger) -> Vec<Case> {
    let x = forger.public.x();
    let der = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".as_slice(), x].concat();
    let pem = |end: &str| {
        let body = STANDARD.encode(&der);
        ["-----BEGIN PUBLIC KEY-----", &body, "-----END PUBLIC KEY-----"].join(end)
    };
    let jwks = Jwks::new(vec![forger.public.clone()]).unwrap().to_json();
    let jwk = serde_json::from_str::<Value>(&jwks).unwrap()["keys"][0].clone();
    let hex: String = x.iter().map(|byte| format!("{byte:02x}")).collect();
    let secrets: Vec<(&str, Vec<u8>)> = vec![
        ("the key's bytes", x.to_vec()),
        ("them in base64url", encoded(x).into()),
        ("them in base64", STANDARD.encode(x).into()),
        ("them in hexadecimal", hex.into()),
        ("DER", der.clone()),
        ("DER in base64", STANDARD.encode(&der).into()),
        ("PEM", pem("\n").into()),
        ("PEM with its last line end", format!("{}\n", pem("\n")).into()),
        ("PEM with other line ends", pem("\r\n").into()),
        ("the JWK", jwk.to_string().into()),
        ("the JWK in lines", serde_json::to_string_pretty(&jwk).unwrap().into()),
        ("the JWK that is hashed", format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encoded(x)).into()),
        ("the published set", jwks.into()),
        ("the kid", forger.public.kid().into()),
        ("nothing", vec![]),
        ("zeros", vec![0; 64]),
        ("secret", b"secret".to_vec()),
        ("your-256-bit-secret", b"your-256-bit-secret".to_vec()),
        ("the issuer", b"https://auth.quipu.local".to_vec()),
    ];
    let mut cases = Vec::new();
    for alg in ["HS256", "HS512", "RS256", "ES256", "none"] {
        let token = forger.with_header(&json!({ "alg": alg }));
        cases.push(Case::token("secret", format!("{alg}, in truth EdDSA by the key"), token));
    }
    for (name, secret) in secrets {
        for (alg, how) in
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
        {
            let header = json!({"alg": alg, "kid": forger.public.kid(), "typ": "at+jwt"});
            let key = hmac::Key::new(how, &secret);
            let token = signed(forger, &header, |text| hmac::sign(&key, text).as_ref().to_vec());
            cases.push(Case::token("secret", format!("{alg} with {name}"), token));
        }
        // Of the right length and under the right name.
        let key = hmac::Key::new(hmac::HMAC_SHA512, &secret);
        let token =
            signed(forger, &Value::Object(forger.header()), |text| hmac::sign(&key, text).as_ref().to_vec());
        cases.push(Case::token("secret", format!("EdDSA, in truth HS512 with {name}"), token));
    }
    cases
}

fn signed(forger: &Forger, header: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", encoded(header.to_string()), encoded(forger.payload()));
    format!("{text}.{}", encoded(sign(text.as_bytes())))
}

/// A key in the header: a stranger's, by which the token is good; and the mesh's own, which it does not need.
fn own_keys(forger: &Forger) -> Vec<Case> {
    let pem = SigningKey::generate().unwrap().to_pkcs8_pem().unwrap();
    let (key, stranger) = (SigningKey::from_pkcs8_pem(&pem).unwrap(), pair(&pem));
    let jwk = |x: &[u8], kid: &str| json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": encoded(x)});
    let mut weak = [0; 32];
    weak[0] = 1;
    let certificate =
        STANDARD.encode(rcgen::generate_simple_self_signed(["auth".to_owned()]).unwrap().cert.der());
    let members = [
        ("jwk", jwk(key.public().x(), key.kid())),
        ("jwk", jwk(key.public().x(), forger.public.kid())),
        ("jwk", jwk(forger.public.x(), forger.public.kid())),
        ("jwk", jwk(&weak, forger.public.kid())),
        ("jwk", json!({"kty": "oct", "k": "AAAA"})),
        ("jwk", json!({})),
        ("jwk", Value::String(encoded(jwk(key.public().x(), key.kid()).to_string()))),
        ("jwks", json!({"keys": [jwk(key.public().x(), key.kid())]})),
        ("x5c", json!([certificate])),
        ("x5c", json!([])),
        ("x5t", json!("AAAA")),
        ("x", json!(encoded(key.public().x()))),
    ];
    let mut cases = Vec::new();
    for (name, value) in members {
        for kid in [key.kid(), forger.public.kid()] {
            let header = json!({"alg": "EdDSA", "kid": kid, "typ": "at+jwt", name: value});
            let token = signed(forger, &header, |text| stranger.sign(text).as_ref().to_vec());
            cases.push(Case::token("own key", format!("{name}, by a stranger's key: {value:.60}"), token));
        }
        let token = forger.with_header(&json!({ name: value }));
        cases.push(Case::token("own key", format!("{name}, by the good key: {value:.60}"), token));
    }
    // With a key of small order anybody could sign; the stranger's header names it.
    let small =
        json!({"alg": "EdDSA", "kid": forger.public.kid(), "typ": "at+jwt", "jwk": jwk(&weak, "weak")});
    let token = signed(forger, &small, |_| [weak.as_slice(), &[0; 32]].concat());
    cases.push(Case::token("own key", "a key of small order", token));
    cases
}

/// Places that hold a key, in every member of the header and the claims that is ever looked up.
fn places(forger: &Forger, host: &str) -> Vec<Case> {
    let places = [
        format!("http://{host}/jwks.json"),
        format!("https://{host}/.well-known/jwks.json"),
        format!("http://auth.quipu.local@{host}/"),
        format!("http://{host}/?x=https://auth.quipu.local"),
        format!("http://{host}#auth.quipu.local"),
        format!("//{host}/"),
        format!("HTTP://{host}"),
        format!("ftp://{host}/"),
        format!("gopher://{host}/_"),
        format!("ldap://{host}/a"),
        format!("${{jndi:ldap://{host}/a}}"),
        format!("\\\\{host}\\share"),
        format!("http://localhost:{}/", host.split(':').nth(1).unwrap()),
        format!("http://[::ffff:127.0.0.1]:{}/", host.split(':').nth(1).unwrap()),
        format!("file://{host}/etc/passwd"),
    ];
    let pem = SigningKey::generate().unwrap().to_pkcs8_pem().unwrap();
    let (key, stranger) = (SigningKey::from_pkcs8_pem(&pem).unwrap(), pair(&pem));
    let mut cases = Vec::new();
    for place in &places {
        for name in ["jku", "x5u", "kid", "url", "iss"] {
            let good = forger.with_header(&json!({ name: place }));
            cases.push(Case::token("place", format!("{name} {place}, by the good key"), good));
            let mut header = json!({"alg": "EdDSA", "kid": key.kid(), "typ": "at+jwt"});
            header[name] = json!(place);
            let foreign = signed(forger, &header, |text| stranger.sign(text).as_ref().to_vec());
            cases.push(Case::token("place", format!("{name} {place}, by a stranger's key"), foreign));
        }
        let discovered = forger.with_claims(&json!({ "iss": place }));
        cases.push(Case::token("place", format!("issuer {place}"), discovered));
    }
    let several = forger.with_header(&json!({ "jku": [places[0], places[1]] }));
    cases.push(Case::token("place", "two places", several));
    cases
}
