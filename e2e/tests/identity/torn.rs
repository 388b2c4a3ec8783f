//! F5.torn: torn and half-written certificates and policies leave the old ones in force, and are counted.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use futures::future::join_all;
use quipu_e2e::{Person, ProcessMesh, Proof, Setup, eventually, is_full, raw, raw::Wire};

use tokio_rustls::rustls::ClientConfig;

use crate::{callers::HOUR, forbidden::CALLEES};

/// Long enough for two looks at the files, on a busy machine.
const NOTICED: Duration = Duration::from_secs(15);

/// A file that is torn: where it is, whose counter tells, and its sound text.
struct Torn {
    path: PathBuf,
    process: &'static str,
    counter: &'static str,
    text: Vec<u8>,
}

impl Torn {
    fn new(mesh: &ProcessMesh, path: &str, process: &'static str, counter: &'static str) -> Self {
        let path = mesh.folder().join(path);
        let text = fs::read(&path).unwrap();
        Self { path, process, counter, text }
    }

    async fn refused(&self, mesh: &ProcessMesh) -> u64 {
        counted(mesh, self.process, self.counter, "refused").await
    }
}

/// A counter of reloads with this outcome.
async fn counted(mesh: &ProcessMesh, process: &str, counter: &str, outcome: &str) -> u64 {
    let metrics = mesh.process(process).metrics().await;
    let outcome = format!("outcome=\"{outcome}\"");
    let mut lines = metrics.lines().filter(|line| line.starts_with(counter) && line.contains(&outcome));
    lines.next().map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// Those who notice when the mesh serves no more: a person, and an operator who connects anew to each service.
struct Witness {
    person: Person,
    peers: Vec<(SocketAddr, Arc<ClientConfig>)>,
}

impl Witness {
    async fn new(mesh: &ProcessMesh) -> Self {
        let (policy, operator) = (mesh.policy(), mesh.tls("operator"));
        let peer = |callee: &str| {
            let tls = operator.client_config(&policy.id_of(callee).unwrap());
            (mesh.process(callee).address(), tls)
        };
        Self { person: mesh.signed_in("ada").await, peers: CALLEES.map(peer).into() }
    }

    /// New connections and calls go as before.
    async fn served(&self) -> Result<(), String> {
        let (status, body) = self.person.get("/v1/auth/me").await;
        if status != 200 {
            return Err(format!("GET me: {status} {body}"));
        }
        for (address, tls) in &self.peers {
            let wire = Wire::open(*address, tls.clone()).await.map_err(|e| e.to_string())?;
            let request = raw::grpc("/grpc.health.v1.Health/Check", None).unwrap().map(|()| raw::framed(&[]));
            let reply = wire.send(request).await.map_err(|e| e.to_string())?;
            if reply.code != Some(raw::OK) {
                return Err(format!("{address}: {reply:?}"));
            }
        }
        Ok(())
    }
}

const CERTIFICATES: &str = "mesh_identity_reloads_total";
const POLICY: &str = "mesh_policy_reloads_total";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f5_torn_files_leave_the_old_material_in_force() {
    let mesh = Setup::new().without_rates().start().await;
    let witness = Witness::new(&mesh).await;
    let mut proof = Proof::new(
        "F5.torn",
        "torn and half-written certificates, keys, roots and policies leave the old ones in force, and are counted",
    );
    // Each in another process, so that all four are torn at the same time.
    let files = [
        Torn::new(&mesh, "sentiment/tls.crt", "sentiment", CERTIFICATES),
        Torn::new(&mesh, "auth/tls.key", "auth", CERTIFICATES),
        Torn::new(&mesh, "gateway/ca.crt", "gateway", CERTIFICATES),
        Torn::new(&mesh, "mesh.yaml", "auth", POLICY),
    ];
    let cuts = if is_full() { 48 } else { 5 };
    let mesh = &mesh;
    for cut in 0..cuts {
        let mut before = Vec::new();
        for file in &files {
            before.push(file.refused(mesh).await);
            // The last two bytes are a dash and a line feed, without which the text is whole.
            let length = (file.text.len() - 2) * cut / (cuts - 1);
            fs::write(&file.path, &file.text[..length]).unwrap();
        }
        let noticed = files.iter().zip(before).map(|(file, before)| {
            eventually(NOTICED, move || async move { file.refused(mesh).await > before })
        });
        for (file, grown) in files.iter().zip(join_all(noticed).await) {
            proof.check(grown, || format!("cut {cut} of {} is not counted", file.path.display()));
        }
        let served = witness.served().await;
        proof.check(served.is_ok(), || format!("cut {cut}: {served:?}"));
    }
    for file in &files {
        fs::write(&file.path, &file.text).unwrap();
    }
    let stale = || async { mesh.process("auth").metrics().await.contains("mesh_policy_stale 0") };
    proof.require(eventually(NOTICED, stale).await, || "the sound policy is still called stale");
    half_a_renewal(mesh, &witness, &mut proof).await;
    proof.figure(format!(
        "{} torn versions, each counted, each answered with the old material",
        cuts * files.len()
    ));
    proof.limit("0 uncounted, 0 calls failed");
    proof.finish();
}

/// A new certificate with the old key, for a while; then the new key too.
async fn half_a_renewal(mesh: &ProcessMesh, witness: &Witness, proof: &mut Proof) {
    let folder = mesh.folder().join("sentiment");
    let issued = mesh.ca().issue(&mesh.policy().id_of("sentiment").unwrap(), HOUR).unwrap();
    let before = counted(mesh, "sentiment", CERTIFICATES, "refused").await;
    fs::write(folder.join("tls.crt"), &issued.cert_pem).unwrap();
    let refused = || async { counted(mesh, "sentiment", CERTIFICATES, "refused").await > before };
    proof.check(eventually(NOTICED, refused).await, || "a certificate without its key is not counted");
    let served = witness.served().await;
    proof.check(served.is_ok(), || format!("a certificate without its key: {served:?}"));
    let before = counted(mesh, "sentiment", CERTIFICATES, "loaded").await;
    fs::write(folder.join("tls.key"), issued.key_pem.as_bytes()).unwrap();
    let loaded = || async { counted(mesh, "sentiment", CERTIFICATES, "loaded").await > before };
    proof.check(eventually(NOTICED, loaded).await, || "the whole renewal is not loaded");
    let served = witness.served().await;
    proof.check(served.is_ok(), || format!("after the renewal: {served:?}"));
}
