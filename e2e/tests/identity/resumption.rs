//! F3.resumption: a TLS session that was once good does not outlive the trust in its certificate.

use std::{sync::Arc, time::Duration};

use mesh_identity::{DevCa, Tls};
use mesh_testkit::Forged;
use quipu_e2e::{Proof, Setup, eventually, raw, raw::Answer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{self, ClientConfig, HandshakeKind, client::Resumption},
};

use crate::{
    callers::{HOUR, stolen},
    frames,
};

const MODELS: &str = "/quipu.sentiment.v1.SentimentService/ListModels";
const OPERATOR: &str = "spiffe://quipu.local/ns/quipu/sa/operator";

/// A client that would resume whatever it is offered.
fn eager(forged: &Forged) -> Arc<ClientConfig> {
    let mut config = forged.client_config().unwrap();
    config.resumption = Resumption::in_memory_sessions(64);
    config.enable_early_data = true;
    Arc::new(config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f3_resumption_outlives_no_trust() {
    let mesh = Setup::new().start().await;
    let mut proof = Proof::new(
        "F3.resumption",
        "no TLS session is resumed, so none outlives the trust in its certificate, on either side",
    );
    let address = mesh.process("sentiment").address();
    let old = eager(&stolen(mesh.folder()).leaf(&[OPERATOR], |_| ()).unwrap());
    for round in 0..5 {
        let kind = greet(address, old.clone()).await;
        proof.check(kind == Some(HandshakeKind::Full), || format!("round {round}: {kind:?}"));
        let answer = raw::call(address, old.clone(), MODELS, None).await;
        proof.check(answer.code().is_some_and(|code| code != raw::DENIED), || format!("before: {answer:?}"));
    }
    // The mesh's authority is replaced; what the old one signed is worth nothing any more.
    let (domain, id) = (mesh.policy().trust_domain().clone(), mesh.policy().id_of("sentiment").unwrap());
    let new = DevCa::open_or_create(&mesh.folder().join("new/ca"), &domain).unwrap();
    new.issue(&id, HOUR).unwrap().write(&mesh.folder().join("sentiment"), "tls").unwrap();
    let successor = eager(&stolen(&mesh.folder().join("new")).leaf(&[OPERATOR], |_| ()).unwrap());
    let believed = || async { raw::call(address, successor.clone(), MODELS, None).await.code().is_some() };
    proof
        .require(eventually(Duration::from_secs(10), believed).await, || "the new authority is not believed");
    for round in 0..5 {
        let answer = raw::call(address, old.clone(), MODELS, None).await;
        proof.check(matches!(answer, Answer::Refused(_)), || format!("after, round {round}: {answer:?}"));
        let answer = raw::call(address, successor.clone(), MODELS, None).await;
        proof.check(answer.code().is_some(), || format!("the control, round {round}: {answer:?}"));
    }
    our_client(&mut proof).await;
    proof.figure(
        "every handshake was a full one; after the roots were replaced, the old sessions were refused",
    );
    proof.limit("0 resumed, 0 let in after the roots were replaced");
    proof.finish();
}

/// One connection that waits for what the server sends after the handshake, tickets too.
async fn greet(address: std::net::SocketAddr, config: Arc<ClientConfig>) -> Option<HandshakeKind> {
    let mut stream = frames::tls(address, config).await.ok()?;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.ok()?;
    stream.read_u8().await.ok()?;
    stream.get_ref().1.handshake_kind()
}

/// Our client towards a server that offers tickets: it resumes nothing either, and refuses it once its root is gone.
async fn our_client(proof: &mut Proof) {
    let domain = "quipu.local".parse().unwrap();
    let (old, new) = (DevCa::new(&domain).unwrap(), DevCa::new(&domain).unwrap());
    let id = |name| mesh_identity::SpiffeId::workload(&domain, "quipu", name).unwrap();
    let gateway = Tls::new(old.issue(&id("gateway"), HOUR).unwrap().material()).unwrap();
    let issued = old.issue(&id("auth"), HOUR).unwrap();
    let server = Forged { certificate: issued.cert_pem.clone(), key: issued.key_pem.to_string() };
    let server = Arc::new(server.server_config().unwrap());
    for _ in 0..3 {
        let kind = meet(server.clone(), gateway.client_config(&id("auth"))).await;
        proof.check(kind == Some(HandshakeKind::Full), || format!("our client: {kind:?}"));
    }
    gateway.reload(new.issue(&id("gateway"), HOUR).unwrap().material()).unwrap();
    let kind = meet(server, gateway.client_config(&id("auth"))).await;
    proof.check(kind.is_none(), || format!("our client after its roots were replaced: {kind:?}"));
}

async fn meet(server: Arc<rustls::ServerConfig>, client: Arc<ClientConfig>) -> Option<HandshakeKind> {
    let (here, there) = tokio::io::duplex(64 * 1024);
    let serve = async {
        let mut stream = TlsAcceptor::from(server).accept(here).await.ok()?;
        stream.write_all(b"+").await.ok()?;
        stream.flush().await.ok()?;
        // Until the client has read and gone.
        let _ = stream.read_u8().await;
        Some(())
    };
    let call = async {
        let name = rustls::pki_types::ServerName::try_from("mesh.invalid").unwrap();
        let mut stream = TlsConnector::from(client).connect(name, there).await.ok()?;
        stream.read_u8().await.ok()?;
        stream.get_ref().1.handshake_kind()
    };
    let (_, kind) = tokio::join!(serve, call);
    kind
}
