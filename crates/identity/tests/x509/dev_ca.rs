//! The development CA and its files.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use mesh_identity::{DevCa, Material, SpiffeId, Tls, verify_leaf};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose, SanType};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::forge::{DAY, common_name, trust_domain, valid, workload};

fn open(dir: &Path) -> Result<DevCa, String> {
    DevCa::open_or_create(dir, &trust_domain()).map_err(|error| error.to_string())
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// Whether a certificate issued by `ca` chains to the root in `root_pem`.
fn trusts(root_pem: &str, ca: &DevCa) -> bool {
    let issued = ca.issue(&workload("auth"), DAY).unwrap();
    Tls::new(Material::from_pem(&issued.cert_pem, &*issued.key_pem, root_pem).unwrap()).is_ok()
}

#[test]
fn what_it_issues_is_a_sound_svid() {
    let ca = DevCa::new(&trust_domain()).unwrap();
    let mut serials = HashSet::new();
    for _ in 0..8 {
        let issued = ca.issue(&workload("auth"), Duration::from_secs(600)).unwrap();
        let der = CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap();
        let peer = verify_leaf(&der).unwrap();
        assert_eq!(peer.id, workload("auth"));
        let left = peer.not_after.duration_since(SystemTime::now()).unwrap().as_secs();
        assert!((590..=600).contains(&left), "{left}");
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        let validity = certificate.validity();
        let whole = validity.not_after.timestamp() - validity.not_before.timestamp();
        assert!((659..=661).contains(&whole), "a minute back: {whole}");
        assert_eq!(certificate.raw_serial().len(), 16, "127 random bits");
        assert!(serials.insert(certificate.raw_serial().to_vec()), "a serial occurred twice");
        assert_eq!(Tls::new(issued.material()).unwrap().id(), workload("auth"));
    }
}

#[test]
fn clients_that_check_names_find_a_local_service() {
    let ca = DevCa::new(&trust_domain()).unwrap();
    let issued = ca.issue(&workload("auth"), DAY).unwrap();
    let der = CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap().value.general_names.len();
    assert_eq!(names, 5, "the id, two names and two addresses");
    let parsed = rustls::server::ParsedCertificate::try_from(&der).unwrap();
    for (name, fits) in
        [("127.0.0.1", true), ("::1", true), ("localhost", true), ("auth", true), ("images", false)]
    {
        let name = name.try_into().unwrap();
        assert_eq!(rustls::client::verify_server_name(&parsed, &name).is_ok(), fits, "{name:?}");
    }
}

#[test]
fn it_issues_for_its_own_workloads_only() {
    let ca = DevCa::new(&trust_domain()).unwrap();
    for id in ["spiffe://example.org/ns/quipu/sa/auth", "spiffe://quipu.local"] {
        let id: SpiffeId = id.parse().unwrap();
        assert!(ca.issue(&id, DAY).unwrap_err().to_string().contains("is not a workload"), "{id}");
    }
}

#[test]
fn nothing_outlives_the_root() {
    let ca = DevCa::new(&trust_domain()).unwrap();
    let issued = ca.issue(&workload("auth"), DAY * 100_000).unwrap();
    let not_after = Tls::new(issued.material()).unwrap().not_after();
    assert!(not_after <= ca.not_after());
}

#[test]
fn the_folder_keeps_one_ca() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("made/on/demand");
    let first = open(&dir).unwrap();
    let second = open(&dir).unwrap();
    assert_eq!(first.root_pem(), second.root_pem());
    assert_eq!(read(&dir.join("ca.crt")), first.root_pem());
    assert!(trusts(first.root_pem(), &second) && trusts(second.root_pem(), &first));
    let mut names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".ca.lock", "ca.crt", "ca.key"], "nothing is left over");
}

#[cfg(unix)]
#[test]
fn keys_are_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("ca");
    let ca = open(&dir).unwrap();
    ca.issue(&workload("operator"), DAY).unwrap().write(&dir, "operator").unwrap();
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("ca.key")), 0o600);
    assert_eq!(mode(&dir.join("operator.key")), 0o600);

    fs::set_permissions(dir.join("ca.key"), fs::Permissions::from_mode(0o644)).unwrap();
    open(&dir).unwrap();
    assert_eq!(mode(&dir.join("ca.key")), 0o600, "taken back");
}

#[test]
fn what_is_written_can_be_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let ca = DevCa::new(&trust_domain()).unwrap();
    ca.issue(&workload("auth"), DAY).unwrap().write(dir.path(), "tls").unwrap();
    assert_eq!(Tls::from_dir(dir.path()).unwrap().id(), workload("auth"));
}

#[test]
fn processes_that_start_together_share_the_ca() {
    let dir = tempfile::tempdir().unwrap();
    let roots: HashSet<String> = std::thread::scope(|scope| {
        let opening: Vec<_> =
            (0..8).map(|_| scope.spawn(|| open(dir.path()).unwrap().root_pem().to_owned())).collect();
        opening.into_iter().map(|opened| opened.join().unwrap()).collect()
    });
    assert_eq!(roots.len(), 1);
}

/// Spoils the first folder, perhaps with something from the second.
type Damage = fn(&Path, &Path);

#[test]
fn files_that_are_no_ca_of_ours_are_refused_and_left_alone() {
    let other = tempfile::tempdir().unwrap();
    open(other.path()).unwrap();
    let cases: [(&str, &str, Damage); 6] = [
        ("ca.key is missing", "no key", |dir, _| fs::remove_file(dir.join("ca.key")).unwrap()),
        ("ca.key does not belong to ca.crt", "another key", |dir, other| {
            fs::copy(other.join("ca.key"), dir.join("ca.key")).unwrap();
        }),
        ("ca.key: ", "broken key", |dir, _| fs::write(dir.join("ca.key"), "junk").unwrap()),
        ("ca.crt: ", "broken certificate", |dir, _| fs::write(dir.join("ca.crt"), "junk").unwrap()),
        ("ca.crt: ", "empty certificate", |dir, _| fs::write(dir.join("ca.crt"), "").unwrap()),
        ("ca.crt: ", "a leaf as root", |dir, _| {
            let issued = open(dir).unwrap().issue(&workload("auth"), DAY).unwrap();
            fs::write(dir.join("ca.crt"), issued.cert_pem).unwrap();
        }),
    ];
    for (reason, name, damage) in cases {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).unwrap();
        damage(dir.path(), other.path());
        let before = fs::read(dir.path().join("ca.crt")).unwrap();
        let error = open(dir.path()).err().expect(name);
        assert!(error.contains(reason) && error.contains("remove ca.crt and ca.key"), "{name}: {error}");
        assert_eq!(fs::read(dir.path().join("ca.crt")).unwrap(), before, "{name}");
    }
}

#[test]
fn the_ca_of_another_trust_domain_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    DevCa::open_or_create(dir.path(), &"example.org".parse().unwrap()).unwrap();
    let error = open(dir.path()).err().unwrap();
    assert!(error.contains("it is not a CA of the trust domain quipu.local"), "{error}");
}

#[test]
fn a_creation_that_was_cut_short_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let key = read(&dir.path().join("ca.key"));
    fs::remove_file(dir.path().join("ca.crt")).unwrap();
    let second = open(dir.path()).unwrap();
    assert_eq!(read(&dir.path().join("ca.key")), key);
    assert!(trusts(second.root_pem(), &first), "the key is the same, so is the trust");
}

#[test]
fn a_root_close_to_its_end_is_renewed_and_its_leaves_stay_valid() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap();
    for days in [30, -1] {
        let old = age(dir.path(), days, "");
        let renewed = open(dir.path()).unwrap();
        assert_ne!(renewed.root_pem(), old);
        assert!(renewed.not_after() > SystemTime::now() + DAY * 300);
        assert_eq!(read(&dir.path().join("ca.crt")), renewed.root_pem());
        if days > 0 {
            assert!(trusts(&old, &renewed), "who still has the old root accepts new leaves");
        }
    }
}

#[test]
fn a_root_of_the_same_key_under_another_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap();
    age(dir.path(), 300, " of another program");
    let error = open(dir.path()).err().unwrap();
    assert!(error.contains("was not made by this program"), "{error}");
}

/// Replaces the root by one with the same key, its name with `suffix`, that ends in `days`.
fn age(dir: &Path, days: i64, suffix: &str) -> String {
    let key = KeyPair::from_pem(&read(&dir.join("ca.key"))).unwrap();
    let der = CertificateDer::from_pem_slice(read(&dir.join("ca.crt")).as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let name = certificate.subject().iter_common_name().next().unwrap().as_str().unwrap();
    let mut params: CertificateParams = valid(-90 * 86400, days * 86400);
    params.distinguished_name = common_name(&format!("{name}{suffix}"));
    params.subject_alt_names = vec![SanType::URI("spiffe://quipu.local".try_into().unwrap())];
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let pem = params.self_signed(&key).unwrap().pem();
    fs::write(dir.join("ca.crt"), &pem).unwrap();
    pem
}
