//! F4: a server with another service's good certificate gets no byte of any request.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use quipu_e2e::{PASSWORD, ProcessMesh, Proof, Setup, eventually};
use reqwest::Method;
use serde_json::json;
use tokio::{io::AsyncReadExt as _, net::TcpListener};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// Takes the place of a server; counts connections and what it can read of them.
struct Impostor {
    connections: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
    _serving: AbortOnDropHandle<()>,
}

impl Impostor {
    async fn start(mesh: &ProcessMesh, address: SocketAddr, workload: &str) -> Self {
        let free = || async { TcpListener::bind(address).await.is_ok() };
        assert!(eventually(Duration::from_secs(10), free).await, "the port is not given up");
        let listener = TcpListener::bind(address).await.unwrap();
        let acceptor = TlsAcceptor::from(mesh.tls(workload).server_config());
        let (connections, bytes) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (met, read) = (connections.clone(), bytes.clone());
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                met.fetch_add(1, Ordering::Relaxed);
                let (acceptor, read) = (acceptor.clone(), read.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(socket).await else { return };
                    let mut buffer = [0; 4096];
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        read.fetch_add(length, Ordering::Relaxed);
                    }
                });
            }
        });
        Self { connections, bytes, _serving: AbortOnDropHandle::new(serving) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f4_an_impostor_gets_no_byte_of_a_request() {
    let mut mesh = Setup::new().without_rates().start().await;
    let mut proof =
        Proof::new("F4", "a server with another service's good certificate gets no byte of any request");
    let person = mesh.signed_in("ada").await;
    let key = json!({"name": "ci", "scopes": ["sentiment:analyze"]});
    let key = person.post("/v1/auth/api-keys", &key).await.1;
    let address = mesh.process("auth").address();
    mesh.stop("auth", "TERM").await;
    let impostor = Impostor::start(&mesh, address, "sentiment").await;
    let login = json!({"email": "ada@example.com", "password": PASSWORD});
    let exchange = person.with_token(key["secret"].as_str().unwrap());
    for round in 0..5 {
        let answers = [
            person.post("/v1/auth/login", &login).await,
            person.post("/v1/auth/register", &json!({"email": format!("{round}@example.com"), "password": PASSWORD, "display_name": "x"})).await,
            person.get("/v1/auth/me").await,
            person.get("/v1/auth/sessions").await,
            person.post("/v1/auth/refresh", &json!({"refresh_token": "x"})).await,
            person.post("/v1/auth/password", &json!({"current_password": PASSWORD, "new_password": "another long one"})).await,
            quipu_e2e::answer(exchange.request(Method::GET, "/v1/auth/me")).await,
        ];
        for (status, body) in answers {
            proof.check(!status.is_success(), || format!("round {round}: {status} {body}"));
        }
    }
    let (met, read) = (impostor.connections.load(Ordering::Relaxed), impostor.bytes.load(Ordering::Relaxed));
    proof.require(met >= 3, || format!("only {met} connections came: nobody tried"));
    proof.require(read == 0, || format!("{read} bytes were read"));
    drop(impostor);
    let honest = Impostor::start(&mesh, address, "auth").await;
    // The control: with auth's own certificate the same listener is told everything.
    let trusted = eventually(Duration::from_secs(15), || async {
        let _ = tokio::time::timeout(Duration::from_secs(1), person.post("/v1/auth/login", &login)).await;
        honest.bytes.load(Ordering::Relaxed) > 0
    });
    proof.require(trusted.await, || "the control was not sent anything either");
    proof.figure(format!("{met} connections, {read} bytes of requests"));
    proof.limit("every call fails, 0 bytes");
    proof.finish();
}
