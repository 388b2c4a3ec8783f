//! Callers of every kind: the mesh's own workloads, and those who are none.

use std::{path::Path, sync::Arc, time::Duration};

use mesh_testkit::{Authority, Forged};
use quipu_e2e::Mesh;
use tokio_rustls::rustls::ClientConfig;

/// Life of a certificate of these tests.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A caller that is no workload of the policy.
pub(crate) struct Stranger {
    pub(crate) name: &'static str,
    pub(crate) tls: Arc<ClientConfig>,
    /// Whether its certificate is good, so that it is the policy that refuses it.
    pub(crate) shakes_hands: bool,
}

/// The mesh's own authority in the hands of somebody who signs anything.
pub(crate) fn stolen(folder: &Path) -> Authority {
    let read = |name| std::fs::read_to_string(folder.join("ca").join(name)).unwrap();
    Authority::stolen(&read("ca.crt"), &read("ca.key")).unwrap()
}

/// A workload's own TLS towards another workload.
pub(crate) fn workload(mesh: &Mesh, caller: &str, callee: &str) -> Arc<ClientConfig> {
    let callee = mesh.authority.policy().load().id_of(callee).unwrap();
    mesh.authority.identity(caller, HOUR).unwrap().client_config(&callee)
}

/// Everybody else. `folder` holds the mesh's authority.
pub(crate) fn strangers(folder: &Path) -> Vec<Stranger> {
    let (ours, foreign) = (stolen(folder), Authority::new("foreign").unwrap());
    let of = |authority: &Authority, id: &str| authority.leaf(&[id], |_| ()).unwrap();
    let expired = |leaf: &mut rcgen::CertificateParams| {
        leaf.not_after = (std::time::SystemTime::now() - Duration::from_secs(5)).into();
    };
    let gateway = "spiffe://quipu.local/ns/quipu/sa/gateway";
    let elsewhere = "spiffe://other.local/ns/quipu/sa/gateway";
    let tls = |forged: Forged| Arc::new(forged.client_config().unwrap());
    let stranger = |name, shakes_hands, tls| Stranger { name, tls, shakes_hands };
    vec![
        stranger("no certificate", false, Arc::new(Forged::nobody().unwrap())),
        stranger("a foreign authority", false, tls(of(&foreign, gateway))),
        stranger("an expired gateway", false, tls(ours.leaf(&[gateway], expired).unwrap())),
        stranger("the gateway of another trust domain", false, tls(of(&ours, elsewhere))),
        stranger("the gateway of a foreign mesh", false, tls(of(&foreign, elsewhere))),
        stranger("an unknown workload", true, tls(of(&ours, "spiffe://quipu.local/ns/quipu/sa/stranger"))),
        stranger("another namespace", true, tls(of(&ours, "spiffe://quipu.local/ns/other/sa/gateway"))),
    ]
}
