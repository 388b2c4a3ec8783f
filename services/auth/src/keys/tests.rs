//! The ring of keys: overlap, announcement, reload.

use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

use super::*;

struct Hands(Mutex<DateTime<Utc>>);

impl Clock for Hands {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

impl Hands {
    fn forward(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

fn hands() -> Arc<Hands> {
    Arc::new(Hands(Mutex::new(DateTime::from_timestamp(1_700_000_000, 0).unwrap())))
}

fn open(store: KeyStore, clock: &Arc<Hands>) -> Result<KeyRing> {
    let clock: Arc<dyn Clock> = Arc::<Hands>::clone(clock);
    KeyRing::open(store, clock, Duration::minutes(10), Duration::days(30))
}

fn signer(ring: &KeyRing) -> String {
    ring.current().signer(ring.clock.now()).unwrap().key.kid().to_owned()
}

fn published(ring: &KeyRing) -> Vec<String> {
    ring.jwks().unwrap().keys().iter().map(|key| key.kid().to_owned()).collect()
}

fn pem() -> String {
    SigningKey::generate().unwrap().to_pkcs8_pem().unwrap().to_string()
}

#[test]
fn a_folder_keeps_its_key_over_restarts_and_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let clock = hands();
    let store = KeyStore::Folder(folder.path().join("keys"));
    let first = signer(&open(store.clone(), &clock).unwrap());
    assert_eq!(signer(&open(store, &clock).unwrap()), first);
    for entry in std::fs::read_dir(folder.path().join("keys")).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn keys_of_a_folder_rotate_with_announcement_and_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let clock = hands();
    let store = KeyStore::Folder(folder.path().to_owned());
    let ring = open(store.clone(), &clock).unwrap();
    let old = signer(&ring);
    ring.tend().unwrap();
    assert_eq!(published(&ring), vec![old.clone()]);

    clock.forward(Duration::days(30));
    ring.tend().unwrap();
    assert_eq!(signer(&ring), old, "announced, but it does not sign yet");
    assert_eq!(published(&ring).len(), 2);

    clock.forward(ANNOUNCED);
    let new = signer(&ring);
    assert_ne!(new, old);
    clock.forward(Duration::minutes(10));
    ring.tend().unwrap();
    assert!(published(&ring).contains(&old), "its last token may still live");
    clock.forward(Duration::minutes(2));
    ring.tend().unwrap();
    assert_eq!(published(&ring), vec![new.clone()]);
    assert_eq!(signer(&open(store, &clock).unwrap()), new);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_file_is_read_again_and_a_broken_one_changes_nothing() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (old, new) = (pem(), pem());
    std::fs::write(file.path(), &old).unwrap();
    let clock = hands();
    let ring = open(KeyStore::File(file.path().to_owned()), &clock).unwrap();
    let first = signer(&ring);

    std::fs::write(file.path(), format!("{old}{new}")).unwrap();
    ring.tend().unwrap();
    assert_eq!(published(&ring).len(), 1, "it may not be whole yet");
    ring.tend().unwrap();
    assert_eq!((signer(&ring), published(&ring).len()), (first.clone(), 2));

    std::fs::write(file.path(), "-----BEGIN PRIV").unwrap();
    assert!(ring.tend().is_err());
    assert_eq!((signer(&ring), published(&ring).len()), (first.clone(), 2));

    std::fs::write(file.path(), &new).unwrap();
    ring.tend().unwrap();
    std::fs::write(file.path(), format!("{new}{old}")).unwrap();
    ring.tend().unwrap();
    assert_eq!((signer(&ring), published(&ring).len()), (first.clone(), 2));
    ring.tend().unwrap();
    assert_ne!(signer(&ring), first);
    assert_eq!(published(&ring).len(), 2);
}

#[test]
fn the_succession_of_a_key_is_the_same_everywhere_and_begins_with_the_signer() {
    let (one, two) = (pem(), pem());
    let clock = hands();
    let tag = |ring: &KeyRing, at: usize| hmac::sign(&ring.succession().unwrap()[at], b"x").as_ref().to_vec();
    let a = open(KeyStore::Given(Secret::from(format!("{one}{two}"))), &clock).unwrap();
    let b = open(KeyStore::Given(Secret::from(format!("{two}\n{one}"))), &clock).unwrap();
    assert_eq!(tag(&a, 0), tag(&b, 1));
    assert_eq!(tag(&a, 1), tag(&b, 0));
}

#[test]
fn no_key_and_bad_keys_are_refused() {
    for bad in ["", "  \n", "junk", &pem().replace("PRIVATE", "PUBLIC")] {
        assert!(open(KeyStore::Given(Secret::from(bad.to_owned())), &hands()).is_err(), "{bad}");
    }
}
