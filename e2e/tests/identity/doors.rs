//! F9: health, reflection and the admin ports as side doors.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use quipu_e2e::{
    LIMIT, PASSWORD, ProcessMesh, Proof, Setup,
    raw::{self, DENIED, OK, Wire},
};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    callers::strangers,
    file::{File, paths},
    forbidden::CALLEES,
};

/// What must not be found in any metric.
const CANARY: &str = "canary7f3a";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f9_health_reflection_and_metrics_are_no_side_doors() {
    let mesh = Setup::new().start().await;
    let mut proof = Proof::new(
        "F9",
        "health and reflection answer those whom the file names, and only of what is served; admin ports serve nothing else",
    );
    surfaces(&mesh, &mut proof).await;
    outsiders(&mesh, &mut proof).await;
    let secrets = live(&mesh).await;
    admin_ports(&mesh, &mut proof).await;
    let series = metrics(&mesh, &secrets, &mut proof).await;
    proof.figure(format!("{} secrets of a user looked for in {series} lines of metrics", secrets.len()));
    proof.limit("0 doors, 0 secrets");
    proof.finish();
}

/// Each workload asks each callee.
async fn surfaces(mesh: &ProcessMesh, proof: &mut Proof) {
    let (policy, file) = (mesh.policy(), File::read(quipu::POLICY));
    for callee in CALLEES {
        let expected = policy.id_of(callee).unwrap();
        let other = if callee == "auth" { "quipu.sentiment.v1" } else { "quipu.auth.v1" };
        for caller in file.workloads() {
            let tls = mesh.tls(&caller).client_config(&expected);
            let wire = Wire::open(mesh.process(callee).address(), tls).await.unwrap();
            let check = "/grpc.health.v1.Health/Check";
            let reply = wire.send(raw::grpc(check, None).unwrap().map(|()| raw::framed(&[]))).await.unwrap();
            let expected = if file.rule(&caller, callee, check).is_some() { OK } else { DENIED };
            let serving = reply.data.ends_with(&[0x08, 0x01]);
            proof.check(reply.code == Some(expected) && serving == (expected == OK), || {
                format!("{caller} → {callee} health: {reply:?}")
            });
            for version in ["v1", "v1alpha"] {
                let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
                let granted = file.rule(&caller, callee, &path).is_some();
                // list_services, then the file that holds the other service.
                let service =
                    format!("{other}.{}", if callee == "auth" { "SentimentService" } else { "AuthService" });
                let length = u8::try_from(service.len()).unwrap();
                let symbol = [&[0x22, length], service.as_bytes()].concat();
                let asked: Bytes = [raw::framed(&[0x3a, 0]), raw::framed(&symbol)].concat().into();
                let reply = wire.send(raw::grpc(&path, None).unwrap().map(|()| asked)).await.unwrap();
                let shown = String::from_utf8_lossy(&reply.data).replace(&service, "");
                let own = shown.contains(&format!("quipu.{callee}.v1"));
                let ok = if granted {
                    own && !shown.contains(other)
                } else {
                    reply.code == Some(DENIED) && reply.data.is_empty()
                };
                proof.check(ok, || {
                    format!("{caller} → {callee} reflection {version}: {:?} {shown}", reply.code)
                });
            }
        }
    }
}

async fn outsiders(mesh: &ProcessMesh, proof: &mut Proof) {
    let surfaces: Vec<_> = paths().into_iter().filter(|path| path.starts_with("/grpc.")).collect();
    for stranger in strangers(mesh.folder()) {
        for callee in CALLEES {
            for path in &surfaces {
                let address = mesh.process(callee).address();
                let answer = raw::call(address, stranger.tls.clone(), path, None).await;
                let ok = if stranger.shakes_hands {
                    answer.code() == Some(DENIED)
                } else {
                    answer.code().is_none()
                };
                proof.check(ok, || format!("{} → {callee}{path}: {answer:?}", stranger.name));
            }
        }
    }
}

/// A user does everything that a user does; what nobody else may read of it.
async fn live(mesh: &ProcessMesh) -> Vec<String> {
    let mut person = mesh.person();
    let account = person.register(CANARY).await;
    let signed_in = person.sign_in(CANARY, PASSWORD).await;
    let wrong = json!({"email": format!("{CANARY}@example.com"), "password": format!("wrong {CANARY}")});
    assert_eq!(person.post("/v1/auth/login", &wrong).await.0, 401);
    let text = json!({"text": format!("{CANARY} is lovely")});
    assert_eq!(person.post("/v1/sentiment", &text).await.0, 200);
    let key = json!({"name": CANARY, "scopes": ["sentiment:analyze"]});
    let (status, key) = person.post("/v1/auth/api-keys", &key).await;
    assert_eq!(status, 201, "{key}");
    let with_key = person.with_token(key["secret"].as_str().unwrap());
    assert_eq!(with_key.post("/v1/sentiment", &text).await.0, 200);
    let (_, sessions) = person.get("/v1/auth/sessions").await;
    let _ = person.get(&format!("/{CANARY}?{CANARY}")).await;
    let mut secrets = vec![CANARY.to_owned(), PASSWORD.to_owned()];
    let values = [
        &account["user"]["id"],
        &signed_in["access_token"],
        &signed_in["refresh_token"],
        &key["api_key"]["id"],
        &key["secret"],
    ];
    secrets.extend(
        values
            .into_iter()
            .chain([&sessions["sessions"][0]["id"]])
            .filter_map(|v| v.as_str())
            .map(str::to_owned),
    );
    assert!(secrets.len() >= 7, "{account} {key} {sessions}");
    secrets
}

/// Nothing but the four pages, over nothing but HTTP/1.
async fn admin_ports(mesh: &ProcessMesh, proof: &mut Proof) {
    let http = reqwest::Client::new();
    let mut elsewhere = paths();
    elsewhere.extend(
        [
            "/",
            "/v1/auth/me",
            "/v1/auth/login",
            "/v1/users",
            "/admin",
            "/debug/pprof/",
            "/metrics/",
            "//metrics",
            "/metrics/..%2f",
            "/%6detrics",
            "/METRICS",
            "/healthz/x",
            "/readyz/",
            "/config",
            "/env",
            "/shutdown",
            "/.well-known/jwks.json",
        ]
        .map(str::to_owned),
    );
    for process in &mesh.processes {
        let admin = process.admin();
        for path in &elsewhere {
            for method in [Method::GET, Method::POST] {
                let url = format!("http://{admin}{path}");
                let request = http.request(method.clone(), url).header("content-type", "application/grpc");
                let status = request.send().await.unwrap().status();
                proof.check(status == 404, || format!("{admin} {method} {path}: {status}"));
            }
        }
        for path in ["/healthz", "/readyz", "/metrics", "/version"] {
            for (method, expected) in
                [(Method::GET, 200), (Method::HEAD, 200), (Method::POST, 405), (Method::DELETE, 405)]
            {
                let status = http
                    .request(method.clone(), format!("http://{admin}{path}"))
                    .send()
                    .await
                    .unwrap()
                    .status();
                proof.check(status == expected, || format!("{admin} {method} {path}: {status}"));
            }
        }
        for greeting in
            [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..], &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3]]
        {
            let said = speak(admin, greeting).await;
            let ok = said.is_empty() || said.starts_with(b"HTTP/1.1 4");
            proof.check(ok, || {
                format!("{admin} answers {greeting:?} with {:?}", String::from_utf8_lossy(&said))
            });
        }
    }
}

async fn speak(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut said = Vec::new();
    // A reset after the answer is an end too.
    let _ = timeout(LIMIT, stream.read_to_end(&mut said)).await.expect("the admin port ends the connection");
    said
}

/// All pages of all processes, without a trace of the user.
async fn metrics(mesh: &ProcessMesh, secrets: &[String], proof: &mut Proof) -> usize {
    // What was counted last is shown a moment later.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut series = 0;
    for process in &mesh.processes {
        for page in ["metrics", "readyz", "healthz", "version"] {
            let url = format!("http://{}/{page}", process.admin());
            let text = reqwest::get(url).await.unwrap().text().await.unwrap();
            for secret in secrets {
                proof.check(!text.contains(secret), || {
                    format!("{page} of {:?} holds {secret}", process.address())
                });
            }
            if page == "metrics" {
                let lines = text.lines().filter(|line| !line.starts_with('#')).count();
                proof.require(lines >= 20, || format!("hardly any metrics:\n{text}"));
                series += lines;
            }
        }
    }
    series
}
