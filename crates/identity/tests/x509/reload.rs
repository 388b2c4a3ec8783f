//! Material that is replaced while it is in use.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use mesh_identity::{Material, Tls};
use rcgen::{IsCa, KeyUsagePurpose};
use rustls::time_provider::TimeProvider;
use rustls_pki_types::{ServerName, UnixTime};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{
    forge::{Authority, valid, workload},
    metering::Meter,
    wire::{careless_client, careless_server, meet},
};

#[tokio::test]
async fn new_connections_carry_the_new_certificate() {
    let ca = Authority::root("ca");
    let (gateway, auth) = (ca.tls("gateway"), ca.tls("auth"));
    let generation = auth.generation();
    assert_eq!(*generation.borrow(), 1);
    let next = ca.workload("auth");
    let before = meet(auth.server_config(), gateway.client_config(&auth.id())).await.1.unwrap();
    auth.reload(next.material(&[&ca])).unwrap();
    let after = meet(auth.server_config(), gateway.client_config(&auth.id())).await.1.unwrap();
    assert_ne!(before.leaf, after.leaf);
    assert_eq!(after.leaf, next.leaf().as_ref());
    assert_eq!(*generation.borrow(), 2);

    let next = ca.workload("gateway");
    gateway.reload(next.material(&[&ca])).unwrap();
    let seen = meet(auth.server_config(), gateway.client_config(&auth.id())).await.0.unwrap();
    assert_eq!(seen.leaf, next.leaf().as_ref());
}

#[tokio::test]
async fn a_connection_goes_on_through_a_reload_of_both_sides() {
    let ca = Authority::root("ca");
    let (gateway, auth) = (ca.tls("gateway"), ca.tls("auth"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (acceptor, connector) =
        (TlsAcceptor::from(auth.server_config()), TlsConnector::from(gateway.client_config(&auth.id())));
    let (server, client) =
        tokio::join!(async { acceptor.accept(listener.accept().await.unwrap().0).await.unwrap() }, async {
            let socket = TcpStream::connect(address).await.unwrap();
            connector.connect(ServerName::from(address.ip()), socket).await.unwrap()
        });
    let (mut server, mut client) = (server, client);
    for byte in 0..4 {
        gateway.reload(ca.workload("gateway").material(&[&ca])).unwrap();
        auth.reload(ca.workload("auth").material(&[&ca])).unwrap();
        client.write_all(&[byte]).await.unwrap();
        client.flush().await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), byte);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_handshake_fails_while_both_sides_reload() {
    let ca = Authority::root("ca");
    let (gateway, auth) = (ca.tls("gateway"), ca.tls("auth"));
    let stop = Arc::new(AtomicBool::new(false));
    let reloads = std::thread::spawn({
        let (gateway, auth, stop) = (gateway.clone(), auth.clone(), stop.clone());
        move || {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                gateway.reload(ca.workload("gateway").material(&[&ca])).unwrap();
                auth.reload(ca.workload("auth").material(&[&ca])).unwrap();
                count += 2;
            }
            count
        }
    });
    for _ in 0..100 {
        let (served, called) = meet(auth.server_config(), gateway.client_config(&auth.id())).await;
        assert_eq!(
            (served.unwrap().id(), called.unwrap().id()),
            (gateway.id().to_string(), auth.id().to_string())
        );
    }
    stop.store(true, Ordering::Relaxed);
    let reloads = reloads.join().unwrap();
    assert!(reloads > 2, "{reloads}");
    assert_eq!(*gateway.generation().borrow() + *auth.generation().borrow(), reloads + 2);
}

#[tokio::test]
async fn a_ca_is_replaced_without_a_refusal() {
    let (old, new) = (Authority::root("old"), Authority::root("new"));
    let (gateway, auth) = (old.tls("gateway"), old.tls("auth"));
    let steps: [(&Authority, &[&Authority]); 3] =
        [(&old, &[&old, &new]), (&new, &[&new, &old]), (&new, &[&new])];
    for (issuer, roots) in steps {
        for (tls, name) in [(&gateway, "gateway"), (&auth, "auth")] {
            tls.reload(issuer.workload(name).material(roots)).unwrap();
            let (served, called) = meet(auth.server_config(), gateway.client_config(&auth.id())).await;
            assert!(served.is_ok() && called.is_ok(), "{served:?} {called:?}");
            let (served, called) = meet(gateway.server_config(), auth.client_config(&gateway.id())).await;
            assert!(served.is_ok() && called.is_ok(), "{served:?} {called:?}");
        }
    }
    // Who still has the old certificate is out, on either side.
    let late = old.workload("sentiment");
    let (served, _) = meet(auth.server_config(), careless_client(Some(&late))).await;
    assert!(served.unwrap_err().contains("UnknownIssuer"));
    let late = Tls::new(late.material(&[&old, &new])).unwrap();
    let (_, called) = meet(late.server_config(), auth.client_config(&late.id())).await;
    assert!(called.unwrap_err().contains("UnknownIssuer"));
}

#[tokio::test]
async fn an_expired_root_is_not_trusted_beside_a_valid_one() {
    let ca = Authority::root("ca");
    let expired = Authority::root_with("expired", |root| root.not_after = valid(-9, -3).not_after);
    let tls = Tls::new(ca.workload("auth").material(&[&expired, &ca])).unwrap();
    let (served, _) = meet(tls.server_config(), careless_client(Some(&expired.workload("gateway")))).await;
    assert!(served.unwrap_err().contains("UnknownIssuer"));
    let error = Tls::new(expired.workload("auth").material(&[&expired])).unwrap_err();
    assert!(error.to_string().contains("every root in ca.crt is expired"));
}

#[tokio::test]
async fn a_root_that_ends_while_it_is_loaded_is_not_trusted_any_more() {
    let ca = Authority::root("ca");
    let short = Authority::root_with("short", |root| root.not_after = valid(-9, 3600).not_after);
    let auth = Tls::new(ca.workload("auth").material(&[&ca, &short])).unwrap();
    let (stranger, strange_client) = (short.workload("gateway"), short.workload("auth"));
    for (later, trusted) in [(0, true), (7200, false)] {
        let clock = Arc::new(Later(Duration::from_secs(later)));
        let mut server = (*auth.server_config()).clone();
        server.time_provider = clock.clone();
        let (served, _) = meet(Arc::new(server), careless_client(Some(&stranger))).await;
        assert_eq!(served.is_ok(), trusted, "{served:?}");
        let mut client = (*auth.client_config(&auth.id())).clone();
        client.time_provider = clock;
        let (_, called) = meet(careless_server(&strange_client), Arc::new(client.clone())).await;
        assert_eq!(called.is_ok(), trusted, "{called:?}");
        // The other root is trusted all along.
        let (_, called) = meet(careless_server(&ca.workload("auth")), Arc::new(client)).await;
        assert!(called.is_ok(), "{called:?}");
    }
}

/// A clock that is ahead.
#[derive(Debug)]
struct Later(Duration);

impl TimeProvider for Later {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(SystemTime::now().duration_since(UNIX_EPOCH).ok()? + self.0))
    }
}

#[test]
fn the_same_material_again_is_no_change() {
    let ca = Authority::root("ca");
    let material = ca.workload("auth").material(&[&ca]);
    let tls = Tls::new(material.clone()).unwrap();
    let config = tls.server_config();
    tls.reload(material).unwrap();
    assert_eq!(*tls.generation().borrow(), 1);
    assert!(Arc::ptr_eq(&config, &tls.server_config()));
}

#[test]
fn the_cache_of_client_configurations_ends_with_its_generation() {
    let ca = Authority::root("ca");
    let tls = ca.tls("gateway");
    let before = tls.client_config(&workload("auth"));
    tls.reload(ca.workload("gateway").material(&[&ca])).unwrap();
    assert!(!Arc::ptr_eq(&before, &tls.client_config(&workload("auth"))));
}

/// Material that must not be loaded, and what the refusal says.
fn bad_materials(ca: &Authority) -> Vec<(&'static str, Material)> {
    let (one, two) = (ca.workload("auth"), ca.workload("auth"));
    let mismatched =
        Material::from_pem(crate::forge::pem(one.leaf()), two.key.serialize_pem(), ca.pem()).unwrap();
    let expired = ca.leaf(workload("auth").as_str(), |leaf| leaf.not_after = valid(-9, -3).not_after);
    let early = ca.leaf(workload("auth").as_str(), |leaf| leaf.not_before = valid(600, 900).not_before);
    let stranger = Authority::root("stranger");
    let no_ca = Authority::root_with("no ca", |root| root.is_ca = IsCa::ExplicitNoCa);
    let no_usage =
        Authority::root_with("a", |root| root.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    let as_ca = ca.leaf(workload("auth").as_str(), |leaf| leaf.key_usages.push(KeyUsagePurpose::KeyCertSign));
    vec![
        ("tls.key does not belong to tls.crt", mismatched),
        ("tls.crt is not an acceptable X.509-SVID: the certificate expired", expired.material(&[ca])),
        (
            "tls.crt is not an acceptable X.509-SVID: the certificate is not valid before",
            early.material(&[ca]),
        ),
        ("tls.crt is not an acceptable X.509-SVID: the key usage", as_ca.material(&[ca])),
        ("tls.crt does not chain to a root in ca.crt", one.material(&[&stranger])),
        ("tls.crt does not chain to a root in ca.crt", stranger.workload("auth").material(&[ca])),
        ("certificate 2 in ca.crt is not an acceptable root", one.material(&[ca, &no_ca])),
        ("certificate 1 in ca.crt is not an acceptable root", one.material(&[&no_usage, ca])),
        ("names spiffe://quipu.local/ns/quipu/sa/gateway instead of", ca.workload("gateway").material(&[ca])),
    ]
}

#[test]
fn bad_material_is_refused_counted_and_changes_nothing() {
    let meter = Meter::default();
    metrics::with_local_recorder(&meter, || {
        let ca = Authority::root("ca");
        let tls = ca.tls("auth");
        let (config, id) = (tls.server_config(), tls.id());
        for ((reason, material), refused) in bad_materials(&ca).into_iter().zip(1..) {
            let error = tls.reload(material).expect_err(reason).to_string();
            assert!(error.contains(reason), "{reason}: {error}");
            assert_eq!(meter.reloads("refused"), refused);
        }
        assert!(Arc::ptr_eq(&config, &tls.server_config()));
        assert_eq!((tls.id(), *tls.generation().borrow()), (id, 1));
        tls.reload(ca.workload("auth").material(&[&ca])).unwrap();
        assert_eq!(meter.reloads("loaded"), 1);
        let seconds = tls.not_after().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((meter.not_after() - seconds).abs() < 1e-6);
    });
}

#[test]
fn bad_pem_is_refused_with_the_name_of_its_file() {
    let ca = Authority::root("ca");
    let forged = ca.workload("auth");
    let (certificate, key, root) = (crate::forge::pem(forged.leaf()), forged.key.serialize_pem(), ca.pem());
    let torn = |text: &str| text[..text.len() / 2].to_owned();
    let broken = certificate.replace("MII", "M!I");
    let table: Vec<(&str, [&str; 3])> = vec![
        ("tls.crt", ["", &key, &root]),
        ("tls.crt", ["no PEM at all", &key, &root]),
        ("tls.crt", [&key, &key, &root]),
        ("tls.crt", [&broken, &key, &root]),
        ("tls.key", [&certificate, "", &root]),
        ("tls.key", [&certificate, &certificate, &root]),
        ("ca.crt", [&certificate, &key, ""]),
        ("ca.crt", [&certificate, &key, "\n\n"]),
    ];
    for (file, [certificate, key, root]) in table {
        let error = Material::from_pem(certificate, key, root).unwrap_err().to_string();
        assert!(error.starts_with(file), "{file}: {error}");
    }
    assert!(
        Material::from_pem(torn(&certificate), &key, &root).unwrap_err().to_string().starts_with("tls.crt")
    );
    assert!(
        Material::from_pem(&certificate, torn(&key), &root).unwrap_err().to_string().starts_with("tls.key")
    );
    let half = root.clone() + &torn(&root);
    assert!(Material::from_pem(&certificate, &key, half).unwrap_err().to_string().starts_with("ca.crt"));
}

#[test]
fn no_secret_is_printed() {
    let ca = Authority::root("ca");
    let material = ca.workload("auth").material(&[&ca]);
    assert_eq!(format!("{material:?}"), "Material { chain: 1, key: \"[hidden]\", roots: 1 }");
    let tls = format!("{:?}", Tls::new(material).unwrap());
    assert!(tls.contains("sa/auth") && !tls.contains("key"), "{tls}");
}
