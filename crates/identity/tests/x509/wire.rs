//! Two parties that shake hands over a loopback socket.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use mesh_identity::{Peer, SvidError, Tls};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, HandshakeKind, ProtocolVersion, ServerConfig,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::forge::Forged;

/// What one side saw.
pub(crate) type Side = Result<Seen, String>;

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) peer: Result<Peer, SvidError>,
    pub(crate) alpn: Option<Vec<u8>>,
    pub(crate) version: Option<ProtocolVersion>,
    pub(crate) kind: Option<HandshakeKind>,
    /// The peer's leaf, to tell one certificate from its successor.
    pub(crate) leaf: Vec<u8>,
}

impl Seen {
    fn of(connection: &rustls::CommonState) -> Self {
        let certificates = connection.peer_certificates();
        Self {
            peer: Tls::peer(certificates),
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            version: connection.protocol_version(),
            kind: connection.handshake_kind(),
            leaf: certificates.and_then(<[_]>::first).map(|leaf| leaf.to_vec()).unwrap_or_default(),
        }
    }

    pub(crate) fn id(&self) -> String {
        self.peer.as_ref().unwrap().id.to_string()
    }
}

/// Connects a client to a server; each side is `Ok` only if a message of the other arrived. In TLS 1.3 a client learns
/// from the first read only that the server refused it.
pub(crate) async fn meet(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> (Side, Side) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async {
        let (socket, _) = listener.accept().await?;
        let mut stream = TlsAcceptor::from(server).accept(socket).await?;
        stream.write_all(b"+").await?;
        stream.flush().await?;
        stream.read_u8().await?;
        std::io::Result::Ok(Seen::of(stream.get_ref().1))
    };
    let call = async {
        let socket = TcpStream::connect(address).await?;
        let name = ServerName::from(address.ip());
        let mut stream = TlsConnector::from(client).connect(name, socket).await?;
        stream.read_u8().await?;
        stream.write_all(b"+").await?;
        stream.flush().await?;
        std::io::Result::Ok(Seen::of(stream.get_ref().1))
    };
    let text = |error: std::io::Error| error.to_string();
    let (served, called) = timeout(Duration::from_secs(20), async { tokio::join!(serve, call) })
        .await
        .expect("a handshake ends");
    (served.map_err(text), called.map_err(text))
}

/// A client that trusts anybody and presents `forged`, or nothing.
pub(crate) fn careless_client(forged: Option<&Forged>) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)));
    let mut config = match forged {
        Some(forged) => builder.with_client_cert_resolver(forged.resolver()),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// A server that asks for nothing and presents `forged`.
pub(crate) fn careless_server(forged: &Forged) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(forged.resolver());
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("not TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
