//! The file of signing keys, as its operator changes it: announced, signing, kept for a while, gone.

use std::path::PathBuf;

use mesh_identity::SigningKey;
use tempfile::TempDir;

/// After a key has signed its last token, it stays published for so many rotations, which are longer than the life of a token.
const OVERLAP: usize = 3;

/// The file of the signing keys, and all keys that are ever in it.
pub(super) struct KeyFile {
    folder: TempDir,
    pems: Vec<String>,
}

impl KeyFile {
    /// With a key for each rotation, one to begin with, and one that never signs.
    pub(super) fn new(rotations: usize) -> Self {
        let pem = || SigningKey::generate().unwrap().to_pkcs8_pem().unwrap().to_string();
        let file =
            Self { folder: tempfile::tempdir().unwrap(), pems: (0..rotations + 2).map(|_| pem()).collect() };
        file.write(0);
        file
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("keys.pem")
    }

    /// Key `signer` signs, the next is announced, and those whose tokens may live stay.
    pub(super) fn write(&self, signer: usize) {
        let old = (signer.saturating_sub(OVERLAP)..signer).rev();
        self.write_only(&[signer].into_iter().chain([signer + 1]).chain(old).collect::<Vec<_>>());
    }

    pub(super) fn write_only(&self, keys: &[usize]) {
        let text: String = keys.iter().map(|key| self.pems[*key].as_str()).collect();
        let new = self.folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.path()).unwrap();
    }

    pub(super) fn key(&self, at: usize) -> SigningKey {
        SigningKey::from_pkcs8_pem(&self.pems[at]).unwrap()
    }
}
