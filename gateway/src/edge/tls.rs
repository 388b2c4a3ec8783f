//! TLS for the outside, from files: 1.2 and 1.3, HTTP/2 and HTTP/1.1. New files are taken up while it runs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use mesh_error::{BoxError, Error, Kind};
use rustls::{ServerConfig, pki_types::pem::PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// What accepts handshakes.
#[derive(Clone)]
pub(crate) struct PublicTls {
    dir: PathBuf,
    config: Arc<ArcSwap<ServerConfig>>,
}

impl PublicTls {
    /// Reads `tls.crt` and `tls.key`.
    pub(crate) async fn from_dir(dir: &Path) -> Result<Self, Error> {
        let config = parse(&read(dir).await).map_err(|error| {
            let place = dir.display();
            let message = format!("cannot use tls.crt and tls.key in {place}: {error}");
            Error::new(Kind::FailedPrecondition, "TLS_FILES_INVALID", message)
        })?;
        Ok(Self { dir: dir.to_owned(), config: Arc::new(ArcSwap::from_pointee(config)) })
    }

    /// For one handshake.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }

    /// Takes up new files; bad ones are refused and the old stay.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        let mut last = read(&self.dir).await;
        let news = |found: &Files| {
            if *found == last {
                return;
            }
            match parse(found) {
                Ok(config) => self.config.store(Arc::new(config)),
                Err(error) => {
                    metrics::counter!("gateway_tls_reload_errors_total").increment(1);
                    tracing::error!(error = %error, "new certificate files are refused");
                }
            }
            last.clone_from(found);
        };
        mesh_config::follow(EVERY, stop, || read(&self.dir), news).await;
    }
}

/// The certificates and the key as they lie in the folder, or why they cannot be read.
type Files = Result<(Vec<u8>, Vec<u8>), String>;

async fn read(dir: &Path) -> Files {
    let file = |name| {
        let path = dir.join(name);
        async move { tokio::fs::read(&path).await.map_err(|error| format!("{}: {error}", path.display())) }
    };
    Ok((file("tls.crt").await?, file("tls.key").await?))
}

fn parse(files: &Files) -> Result<ServerConfig, BoxError> {
    let (chain, key) = files.as_ref().map_err(String::as_str)?;
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use mesh_identity::{DevCa, SpiffeId, TrustDomain};

    use super::*;

    fn issue(ca: &DevCa, dir: &Path) {
        let domain: TrustDomain = "quipu.local".parse().unwrap();
        let id = SpiffeId::workload(&domain, "quipu", "gateway").unwrap();
        ca.issue(&id, Duration::from_secs(3600)).unwrap().write(dir, "tls").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn new_files_are_taken_up_and_torn_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let ca = DevCa::new(&"quipu.local".parse().unwrap()).unwrap();
        issue(&ca, dir.path());
        let tls = PublicTls::from_dir(dir.path()).await.unwrap();
        let stop = CancellationToken::new();
        let watch = tokio::spawn(tls.clone().watch(stop.clone()));
        let rest = || tokio::time::sleep(3 * EVERY);
        rest().await;
        let first = tls.config.load_full();
        issue(&ca, dir.path());
        rest().await;
        let second = tls.config.load_full();
        assert!(!Arc::ptr_eq(&first, &second));
        std::fs::write(dir.path().join("tls.key"), "torn").unwrap();
        rest().await;
        assert!(Arc::ptr_eq(&second, &tls.config.load_full()));
        stop.cancel();
        watch.await.unwrap();
    }

    #[tokio::test]
    async fn files_that_are_not_there_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = PublicTls::from_dir(dir.path()).await.err().unwrap();
        assert!(error.message().contains("tls.crt"), "{error}");
    }
}
