//! F8: forms of a method's name, and of the request around it: only the exact one reaches a handler.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Method, Request};
use quipu_e2e::{
    Mesh, Proof,
    raw::{self, DENIED, OK, Wire},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::rustls::ClientConfig;

use crate::{
    callers::workload,
    frames::{self, Outcome},
};

const ANALYZE: &str = "/quipu.sentiment.v1.SentimentService/Analyze";

/// Paths that a well-behaved client can be brought to send; the policy denies them all.
const PATHS: &[&str] = &[
    "/",
    "//",
    "//quipu.sentiment.v1.SentimentService/Analyze",
    "/quipu.sentiment.v1.SentimentService/Analyze/",
    "/quipu.sentiment.v1.SentimentService//Analyze",
    "/quipu.sentiment.v1.SentimentService/Analyze//",
    "/quipu.sentiment.v1.SentimentService/%41nalyze",
    "/quipu.sentiment.v1.SentimentService%2fAnalyze",
    "/%71uipu.sentiment.v1.SentimentService/Analyze",
    "/quipu.sentiment.v1.SentimentService/Analyze%00",
    "/quipu.sentiment.v1.SentimentService/Analyze%20",
    "/quipu.sentiment.v1.SentimentService/Analyze?",
    "/quipu.sentiment.v1.SentimentService/Analyze?x",
    "/quipu.sentiment.v1.SentimentService/Analyze?x=/quipu.auth.v1.AuthService/Login",
    "/quipu.sentiment.v1.SentimentService/Analyze;x",
    "/quipu.sentiment.v1.SentimentService/analyze",
    "/quipu.sentiment.v1.SentimentService/ANALYZE",
    "/QUIPU.sentiment.v1.SentimentService/Analyze",
    "/quipu.sentiment.v1.sentimentservice/Analyze",
    "/quipu.sentiment.v1.SentimentService/./Analyze",
    "/./quipu.sentiment.v1.SentimentService/Analyze",
    "/quipu.sentiment.v1.SentimentService/../quipu.sentiment.v1.SentimentService/Analyze",
    "/quipu.sentiment.v1.SentimentService/Analyze/..",
    "/quipu.sentiment.v1.SentimentService/Analyze/../Analyze",
    "/quipu.sentiment.v1.SentimentService/%2e%2e/Analyze",
    "/quipu.sentiment.v1.SentimentService\\Analyze",
    "/quipu.sentiment.v1.SentimentService/Analyzer",
    "/quipu.sentiment.v1.SentimentService/Analyz",
    "/quipu.sentiment.v1.SentimentService/",
    "/quipu.sentiment.v1.SentimentService",
    "/quipu.sentiment.v1.SentimentService.Analyze",
    "/SentimentService/Analyze",
    "/sentiment.v1.SentimentService/Analyze",
    "/.quipu.sentiment.v1.SentimentService/Analyze",
    "/quipu.sentiment.v2.SentimentService/Analyze",
    "/quipu.auth.v1.SentimentService/Analyze",
    "/Analyze",
    "/quipu.auth.v1.AuthService/Login",
    "/v1/sentiment",
];

/// Name and value of a header field.
type Field<'a> = (&'a [u8], &'a [u8]);

fn message() -> Bytes {
    let text = b"What a lovely day!";
    raw::framed(&[&[0x0a, u8::try_from(text.len()).unwrap()], &text[..]].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f8_no_form_of_a_name_reaches_a_handler_but_the_exact_one() {
    let mesh = Mesh::start().await;
    let mut proof = Proof::new(
        "F8",
        "of the forms of a method's name and of its request only the exact one reaches a handler",
    );
    let address = mesh.part("sentiment").address;
    for (caller, may) in [("operator", true), ("auth", false)] {
        let tls = workload(&mesh, caller, "sentiment");
        paths(address, &tls, (caller, may), &mut proof).await;
        envelopes(address, &tls, caller, &mut proof).await;
        handwritten(address, &tls, (caller, may), &mut proof).await;
        protocols(address, &tls, caller, &mut proof).await;
    }
    at_the_gateway(&mesh, &mut proof).await;
    proof.figure("each form has its one answer; the exact form between them is served");
    proof.limit("0 handlers reached by another form");
    proof.finish();
}

async fn paths(address: SocketAddr, tls: &Arc<ClientConfig>, (caller, may): (&str, bool), proof: &mut Proof) {
    let wire = Wire::open(address, tls.clone()).await.unwrap();
    let long = format!("{ANALYZE}{}", "a".repeat(8 * 1024));
    let control = if may { OK } else { DENIED };
    for path in PATHS.iter().copied().chain([long.as_str()]) {
        for (path, expected) in [(path, DENIED), (ANALYZE, control)] {
            let reply = wire.send(raw::grpc(path, None).unwrap().map(|()| message())).await.unwrap();
            let served = expected == OK;
            let ok = (reply.http, reply.code) == (200, Some(expected)) && reply.data.is_empty() != served;
            proof.check(ok, || format!("{caller}: {path:.120}: {reply:?}"));
        }
    }
}

/// Requests for the exact path that are no gRPC calls.
async fn envelopes(address: SocketAddr, tls: &Arc<ClientConfig>, caller: &str, proof: &mut Proof) {
    let wire = Wire::open(address, tls.clone()).await.unwrap();
    let request = |method: &Method, content: Option<&str>| {
        let request = Request::builder().method(method).uri(format!("http://mesh.invalid{ANALYZE}"));
        let request = content.into_iter().fold(request, |request, content| {
            request.header("content-type", content).header("te", "trailers")
        });
        request.body(message()).unwrap()
    };
    let grpc = Some("application/grpc");
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "PROPFIND"] {
        let reply = wire.send(request(&method.parse().unwrap(), grpc)).await.unwrap();
        proof.check(reply.http == 405 && reply.data.is_empty(), || format!("{caller}: {method}: {reply:?}"));
    }
    let contents = [
        None,
        Some(""),
        Some("text/plain"),
        Some("application/json"),
        Some("application/grpc-web"),
        Some("application/grpc-web+proto"),
        Some("application/grpc-web-text"),
        Some("application/grpcx"),
        Some("Application/GRPC"),
        Some("application/connect+proto"),
        Some("application/x-www-form-urlencoded"),
    ];
    for content in contents {
        let reply = wire.send(request(&Method::POST, content)).await.unwrap();
        proof.check(reply.http == 415 && reply.data.is_empty(), || {
            format!("{caller}: {content:?}: {reply:?}")
        });
    }
}

/// Header fields that a library refuses to send.
async fn handwritten(
    address: SocketAddr,
    tls: &Arc<ClientConfig>,
    (caller, may): (&str, bool),
    proof: &mut Proof,
) {
    let exact = ANALYZE.as_bytes();
    let control = if may { Outcome::Message } else { Outcome::Bare(200) };
    let with = |path: &[u8]| [exact, path].concat();
    let absolute = [b"https://mesh.invalid", exact].concat();
    let paths: &[(&str, &[u8], Outcome)] = &[
        ("exact", exact, control),
        ("empty", b"", Outcome::Reset),
        ("asterisk", b"*", Outcome::Bare(200)),
        ("no slash", &exact[1..], Outcome::Reset),
        ("absolute", &absolute, Outcome::Reset),
        ("NUL", &with(b"\0"), Outcome::Reset),
        ("NUL and more", &with(b"\0x"), Outcome::Reset),
        ("space", &with(b" "), Outcome::Reset),
        ("line feed", &with(b"\n"), Outcome::Reset),
        ("carriage return", &with(b"\r\nx: y"), Outcome::Reset),
        ("no UTF-8", &with(b"\xff"), Outcome::Closed),
        // No part of a request: it is taken off before anybody decides, so that what is decided is the exact path.
        ("fragment", &with(b"#x"), control),
        ("fragment with a path", &[b"/x/y#", exact].concat(), Outcome::Bare(200)),
    ];
    for (name, path, expected) in paths {
        let fields = fields(&[(b":method", b"POST"), (b":path", path)]);
        let outcome = frames::exchange(address, tls.clone(), &fields, &message()).await;
        proof.check(outcome == *expected, || format!("{caller}: path {name}: {outcome:?}"));
    }
    let pseudo: &[(&str, &[Field<'_>])] = &[
        ("no path", &[(b":method", b"POST")]),
        ("no method", &[(b":path", exact)]),
        ("two paths", &[(b":method", b"POST"), (b":path", b"/x/y"), (b":path", exact)]),
        ("two methods", &[(b":method", b"GET"), (b":method", b"POST"), (b":path", exact)]),
        ("an unknown field", &[(b":method", b"POST"), (b":path", exact), (b":handler", b"x")]),
        ("upper case", &[(b":method", b"POST"), (b":PATH", exact)]),
        ("CONNECT with a path", &[(b":method", b"CONNECT"), (b":path", exact)]),
    ];
    for (name, head) in pseudo {
        let outcome = frames::exchange(address, tls.clone(), &fields(head), &message()).await;
        let refused = matches!(outcome, Outcome::Reset | Outcome::Closed | Outcome::Bare(400 | 405));
        proof.check(refused, || format!("{caller}: {name}: {outcome:?}"));
    }
}

/// The fields with what every call has beside.
fn fields<'a>(head: &[Field<'a>]) -> Vec<Field<'a>> {
    let rest: [Field<'_>; 4] = [
        (b":scheme", b"https"),
        (b":authority", b"mesh.invalid"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    ];
    head.iter().copied().chain(rest).collect()
}

/// Other protocols over the same TLS.
async fn protocols(address: SocketAddr, tls: &Arc<ClientConfig>, caller: &str, proof: &mut Proof) {
    let post = format!(
        "POST {ANALYZE} HTTP/1.1\r\nHost: mesh.invalid\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n"
    );
    for alpn in [&[][..], &[b"http/1.1".to_vec()], &[b"h2".to_vec()], &[b"h2c".to_vec()]] {
        let mut config = (**tls).clone();
        config.alpn_protocols = alpn.to_vec();
        let said = async {
            let mut stream = frames::tls(address, config.into()).await?;
            stream.write_all(post.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok::<_, mesh_error::BoxError>(answer)
        };
        let said = said.await.unwrap_or_default();
        // At most HTTP/2's own greeting and good-bye.
        let ok = !said.windows(4).any(|bytes| bytes == b"HTTP") && said.len() < 100;
        proof.check(ok, || format!("{caller}: HTTP/1.1 with ALPN {alpn:?}: {said:?}"));
    }
}

/// The names of methods mean nothing at the REST port.
async fn at_the_gateway(mesh: &Mesh, proof: &mut Proof) {
    let person = mesh.person();
    for path in [ANALYZE, "/quipu.auth.v1.AuthService/Login", "/grpc.health.v1.Health/Check"] {
        for content in ["application/grpc", "application/grpc-web", "application/json"] {
            let request = person.request(Method::POST, path).header("content-type", content);
            let status = request.body(message()).send().await.unwrap().status();
            proof.check(status == 404, || format!("gateway: {path} as {content}: {status}"));
        }
    }
}
