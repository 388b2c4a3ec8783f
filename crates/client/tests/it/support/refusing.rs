//! A server that refuses the first streams of each connection unseen, as one does that has too many.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use h2::{Reason, server};
use http::{HeaderValue, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::World;

/// Its address, and how many streams it did not refuse.
pub(crate) async fn refusing(world: &World, first: usize, reason: Reason) -> (SocketAddr, Arc<AtomicUsize>) {
    let tls = world.tls("auth");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = TlsAcceptor::from(tls.server_config());
            tokio::spawn(serve(tcp, acceptor, (first, reason), Arc::clone(&count)));
        }
    });
    (address, served)
}

async fn serve(tcp: TcpStream, tls: TlsAcceptor, (first, reason): (usize, Reason), served: Arc<AtomicUsize>) {
    let stream = tls.accept(tcp).await.expect("TLS");
    let mut connection = server::handshake(stream).await.expect("HTTP/2");
    let mut seen = 0;
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        seen += 1;
        if seen <= first {
            respond.send_reset(reason);
            continue;
        }
        served.fetch_add(1, Ordering::SeqCst);
        let mut response = Response::new(());
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        let mut body = respond.send_response(response, false).expect("a response");
        body.send_data(Bytes::from_static(&[0, 0, 0, 0, 0]), false).expect("a message");
        let end = [("grpc-status".parse().expect("a name"), HeaderValue::from_static("0"))];
        body.send_trailers(end.into_iter().collect()).expect("trailers");
    }
}
