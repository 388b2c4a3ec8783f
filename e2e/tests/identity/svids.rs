//! F3: odd SVIDs as a client of the running mesh and as a server of our clients.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mesh_testkit::{Authority, CLAIMED, Forged, odd_leaves};
use quipu_e2e::{
    LIMIT, Mesh, Proof,
    raw::{self, Answer, DENIED, UNAUTHENTICATED},
};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::{io::AsyncReadExt as _, net::TcpListener, time::timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector, rustls};

use crate::callers::stolen;

const ANALYZE: &str = "/quipu.sentiment.v1.SentimentService/Analyze";

/// Where an odd certificate has to be refused by a server. A client refuses all of them in the handshake.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    Handshake,
    Policy,
}

type Case = (String, Forged, Layer);

/// Sound certificates of the mesh's own authority, for others than the gateway.
const LOOKALIKES: &[&str] = &[
    "ns/quipu/sa/gateway2",
    "ns/quipu/sa/gatewa",
    "ns/quipu/sa/Gateway",
    "ns/quipu/sa/GATEWAY",
    "ns/quipu/sa/gateway.",
    "ns/quipu/sa/gateway-",
    "ns/quipu/sa/gateway/gateway",
    "ns/quipu/sa",
    "ns/quipu",
    "ns/Quipu/sa/gateway",
    "ns/quipu2/sa/gateway",
    "ns/quipu/SA/gateway",
    "sa/gateway",
    "gateway",
    "x/ns/quipu/sa/gateway",
    "ns/quipu/sa/operator2",
];

/// Trust domains that are not ours, though our authority signed.
const DOMAINS: &[&str] = &[
    "example.org",
    "quipu.local.example.org",
    "evilquipu.local",
    "evil.quipu.local",
    "uipu.local",
    "quipu.loca",
    "quipu",
    "local",
    "quipu.local.",
    "quipu-local",
];

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

/// A leaf that claims to be the gateway, with another certificate text.
fn spoiled(sound: &Forged, certificate: String) -> Forged {
    Forged { certificate, key: sound.key.clone() }
}

fn cases(ours: &Authority) -> Vec<Case> {
    let mut cases: Vec<Case> = odd_leaves()
        .into_iter()
        .map(|odd| {
            let forged = ours.leaf(&[CLAIMED], |leaf| odd.spoil(leaf)).unwrap();
            (odd.name, forged, Layer::Handshake)
        })
        .collect();
    for domain in DOMAINS {
        let id = format!("spiffe://{domain}/ns/quipu/sa/gateway");
        cases.push((format!("trust domain {domain}"), ours.leaf(&[&id], |_| ()).unwrap(), Layer::Handshake));
    }
    for path in LOOKALIKES {
        let id = format!("spiffe://quipu.local/{path}");
        cases.push((format!("look-alike {path}"), ours.leaf(&[&id], |_| ()).unwrap(), Layer::Policy));
    }
    cases.extend(signed_by_others(ours));
    cases
}

/// Chains and signatures that do not hold.
fn signed_by_others(ours: &Authority) -> Vec<Case> {
    let sound = |authority: &Authority| authority.leaf(&[CLAIMED], |_| ()).unwrap();
    let (good, foreign) = (sound(ours), Authority::new("foreign").unwrap());
    let root = der(ours.root_pem());
    let double = Authority::new(&common_name(&root)).unwrap();
    // A workload that signs for others, as it is and with its own certificate in the chain.
    let operator = ours.leaf(&["spiffe://quipu.local/ns/quipu/sa/operator"], |_| ()).unwrap();
    let by_workload = sound(&Authority::stolen(&operator.certificate, &operator.key).unwrap());
    let chained = spoiled(&by_workload, by_workload.certificate.clone() + &operator.certificate);
    let mut flipped = der(&good.certificate);
    *flipped.last_mut().unwrap() ^= 1;
    let truncated = der(&good.certificate)[..200].to_vec();
    let longer = [der(&good.certificate), vec![0]].concat();
    let other_key = Forged { certificate: good.certificate.clone(), key: sound(ours).key };
    let old = patched(
        &der(&good.certificate),
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1],
    );
    let cases = vec![
        ("a foreign authority", sound(&foreign)),
        ("a foreign authority with its root", with_root(sound(&foreign), foreign.root_pem())),
        ("an authority of the same name", sound(&double)),
        ("self-signed", self_signed()),
        ("signed by a workload", by_workload),
        ("signed by a workload, with its certificate", chained),
        ("the root first", spoiled(&good, pem(&root) + &good.certificate)),
        ("the root alone", spoiled(&good, pem(&root))),
        ("a flipped bit in the signature", spoiled(&good, pem(&flipped))),
        ("truncated", spoiled(&good, pem(&truncated))),
        ("bytes after the end", spoiled(&good, pem(&longer))),
        ("no DER at all", spoiled(&good, pem(b"certificate"))),
        ("SHA-224 in the place of SHA-256", spoiled(&good, pem(&old))),
        ("the key of another certificate", other_key),
    ];
    cases.into_iter().map(|(name, forged)| (name.to_owned(), forged, Layer::Handshake)).collect()
}

fn with_root(forged: Forged, root: &str) -> Forged {
    spoiled(&forged, forged.certificate.clone() + root)
}

fn self_signed() -> Forged {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::URI(CLAIMED.try_into().unwrap())];
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    Forged { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn common_name(der: &[u8]) -> String {
    let (_, parsed) = x509_parser::parse_x509_certificate(der).unwrap();
    parsed.subject().iter_common_name().next().unwrap().as_str().unwrap().to_owned()
}

/// Every occurrence replaced by as many bytes; the lengths in the DER stay right.
fn patched(der: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut der = der.to_vec();
    while let Some(at) = der.windows(from.len()).position(|window| window == from) {
        der.splice(at..at + from.len(), to.iter().copied());
    }
    der
}

/// Presents the certificate to our client, which means the gateway; how many bytes of a request it was sent, or why none.
async fn as_server(forged: &Forged, client: Arc<rustls::ClientConfig>) -> Result<usize, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(forged.server_config().unwrap()));
    let serve = async {
        let (socket, _) = listener.accept().await?;
        let mut stream = acceptor.accept(socket).await?;
        stream.read(&mut [0; 1024]).await
    };
    let call = async {
        let name = rustls::pki_types::ServerName::from(address.ip());
        let socket = tokio::net::TcpStream::connect(address).await?;
        let mut stream = TlsConnector::from(client).connect(name, socket).await?;
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"request").await?;
        tokio::io::AsyncWriteExt::flush(&mut stream).await
    };
    let (served, called) = timeout(LIMIT, async { tokio::join!(serve, call) }).await.unwrap();
    match (served, called) {
        (Ok(bytes), Ok(())) => Ok(bytes),
        (_, Err(e)) | (Err(e), _) => Err(e.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f3_no_odd_svid_gets_through_in_either_role() {
    let mesh = Mesh::start().await;
    let mut proof = Proof::new("F3", "odd SVIDs are refused as a client and as a server, in the right layer");
    let ours = stolen(mesh.data());
    let address = mesh.part("sentiment").address;
    let gateway = CLAIMED.parse().unwrap();
    let operator = mesh.authority.identity("operator", Duration::from_secs(600)).unwrap();
    let control = ours.leaf(&[CLAIMED], |_| ()).unwrap();
    let (mut handshake, mut policy) = (0, 0);
    for (name, forged, layer) in cases(&ours) {
        let tls = Arc::new(forged.client_config().unwrap());
        let answer = raw::call(address, tls, ANALYZE, None).await;
        let ok = match layer {
            Layer::Handshake => matches!(answer, Answer::Refused(_)),
            Layer::Policy => answer == Answer::Early(DENIED),
        };
        proof.check(ok, || format!("{name}, as a client: {answer:?}"));
        let served = as_server(&forged, operator.client_config(&gateway)).await;
        proof.check(served.is_err(), || format!("{name}, as a server: {served:?} bytes"));
        match layer {
            Layer::Handshake => handshake += 1,
            Layer::Policy => policy += 1,
        }
        // The rule asks for a user, so an identity that is believed is asked for one.
        let tls = Arc::new(control.client_config().unwrap());
        let answer = raw::call(address, tls, ANALYZE, None).await;
        proof.check(answer == Answer::Early(UNAUTHENTICATED), || format!("control after {name}: {answer:?}"));
    }
    let served = as_server(&control, operator.client_config(&gateway)).await;
    proof.check(served == Ok(7), || format!("the control as a server: {served:?}"));
    proof.require(handshake + policy >= 80, || format!("{handshake} and {policy} are too few"));
    proof.figure(format!(
        "{handshake} refused in the handshake and {policy} look-alikes by the policy, all {} by our client before a request byte",
        handshake + policy
    ));
    proof.limit("0 reach a handler, 0 request bytes; at least 40 odd SVIDs");
    proof.finish();
}
