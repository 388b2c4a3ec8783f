//! K7: what names somebody inside is nothing when it comes from outside.

use quipu_e2e::{Proof, Setup};

use crate::{
    backend::{Backend, Seen, mesh_with_backend},
    raw,
};

/// Headers by which proxies, meshes and services tell one another who somebody is.
const NAMES: [&str; 56] = [
    "x-user-id",
    "x-user",
    "x-username",
    "x-user-email",
    "x-userid",
    "x-auth-user",
    "x-auth-request-user",
    "x-authenticated-user",
    "x-remote-user",
    "remote-user",
    "x-principal",
    "x-principal-id",
    "x-role",
    "x-roles",
    "x-scope",
    "x-scopes",
    "x-tenant",
    "x-tenant-id",
    "x-org-id",
    "x-spiffe-id",
    "x-spiffe",
    "x-quipu-user",
    "x-quipu-workload",
    "x-quipu-caller",
    "x-client-cert",
    "x-ssl-client-cert",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-user",
    "x-forwarded-access-token",
    "forwarded",
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-envoy-peer-metadata",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-original-path",
    "grpc-timeout",
    "grpc-encoding",
    "grpc-accept-encoding",
    "grpc-previous-rpc-attempts",
    "grpc-trace-bin",
    "grpc-tags-bin",
    "grpc-status",
    "x-user-id-bin",
    "x-role-bin",
    "auth-bin",
    "x-b3-traceid",
    "x-b3-sampled",
    "b3",
    "baggage",
    "tracestate",
    "cookie",
];

/// All that the gateway itself says to a service.
const OWN: [&str; 8] = [
    "content-type",
    "user-agent",
    "te",
    "traceparent",
    "grpc-timeout",
    "authorization",
    "grpc-accept-encoding",
    "content-length",
];

/// Contexts of a trace that are none.
const CONTEXTS: [&str; 12] = [
    "canary",
    "00-canary00000000000000000000000000-00f067aa0ba902b7-01",
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-canary",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-zz",
    "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
    "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01, canary",
];

/// A trace that is one: its id goes on (docs/api.md), its span does not.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn mixed(name: &str) -> String {
    let letters = name.chars().enumerate();
    letters.map(|(n, c)| if n % 2 == 0 { c.to_ascii_uppercase() } else { c }).collect()
}

/// What a service was told beyond what the gateway says itself.
fn told(seen: &Seen, token: &str) -> Result<(), String> {
    for (name, value) in &seen.headers {
        if !OWN.contains(&name.as_str()) {
            return Err(format!("{name} came through: {value}"));
        }
        if value.contains("canary") {
            return Err(format!("{name} was chosen from outside: {value}"));
        }
        if name == "authorization" && *value != format!("Bearer {token}") {
            return Err("another's token".into());
        }
        if seen.headers.iter().filter(|(n, _)| n == name).count() != 1 {
            return Err(format!("{name} is there twice"));
        }
    }
    let timeout = seen.headers.iter().find(|(n, _)| n == "grpc-timeout").map(|(_, v)| v.as_str());
    // The policy gives the call ten seconds.
    let bounded = timeout.and_then(|t| t.strip_suffix(['m', 'u', 'n'])).and_then(|t| t.parse::<u64>().ok());
    match bounded {
        Some(_) => Ok(()),
        None => Err(format!("grpc-timeout {timeout:?}")),
    }
}

struct World {
    address: std::net::SocketAddr,
    backend: Backend,
    token: String,
}

impl World {
    /// Sends a good request with these headers besides; what the service saw of it.
    async fn send(&self, text: &str, headers: &str) -> Result<Seen, String> {
        let good = crate::framing::good(&self.token, text);
        let request = good.replacen("\r\n", &format!("\r\nConnection: close\r\n{headers}"), 1);
        let heard = raw::say(self.address, request.as_bytes()).await;
        let calls = self.backend.calls(text);
        match (heard.statuses().as_slice(), calls.as_slice()) {
            ([200], [seen]) => Ok(seen.clone()),
            other => Err(format!("{other:?}")),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k7_no_header_that_names_somebody_reaches_a_service() {
    let mut proof =
        Proof::new("K7", "headers of identity, deadline and trace from outside do not reach a service");
    let (mesh, backend, person) = mesh_with_backend(Setup::new()).await;
    let (address, token) = (mesh.process("gateway").address(), person.token.clone().unwrap());
    let world = World { address, backend, token };
    let mut reached = 0;
    let values = ["canary", "99999999H", "1n", "Y2FuYXJ5"];
    for (n, name) in NAMES.iter().enumerate() {
        let forms = [(*name).to_owned(), mixed(name), name.to_ascii_uppercase()];
        let one = forms.iter().zip(values).map(|(name, value)| format!("{name}: {value}\r\n"));
        let twice = format!("{name}: canary\r\n{}: canary-2\r\n", mixed(name));
        for (form, headers) in one.chain([twice]).enumerate() {
            let seen = world.send(&format!("k7 {n} {form} !"), &headers).await;
            let told = seen.and_then(|seen| told(&seen, &world.token));
            reached += u64::from(told.is_err());
            proof.check(told.is_ok(), || format!("{headers:?}: {}", told.unwrap_err()));
        }
    }
    for (n, context) in CONTEXTS.iter().enumerate() {
        let headers = format!("traceparent: {context}\r\ntracestate: canary=1\r\nbaggage: canary=1\r\n");
        let seen = world.send(&format!("k7 trace {n} !"), &headers).await;
        let told = seen.and_then(|seen| told(&seen, &world.token).map(|()| seen));
        let holds = told.as_ref().is_ok_and(|seen| !traceparent(seen).contains(&TRACE[..20]));
        proof.check(holds, || format!("{context}: {told:?}"));
    }
    let headers = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\ntracestate: canary=1\r\n");
    let seen = world.send("k7 continued !", &headers).await;
    let continued = seen.as_ref().map(traceparent).unwrap_or_default();
    let holds = seen.as_ref().is_ok_and(|seen| told(seen, &world.token).is_ok())
        && continued.starts_with(&format!("00-{TRACE}-"))
        && !continued.contains("00f067aa0ba902b7");
    proof.check(holds, || format!("a good trace goes on under spans of the gateway: {seen:?}"));
    proof.figure(format!(
        "{} names in 4 forms and {} traces: {reached} reached a service",
        NAMES.len(),
        CONTEXTS.len() + 1
    ));
    proof.limit("0 reached a service; a valid trace id goes on, as documented");
    proof.finish();
}

fn traceparent(seen: &Seen) -> String {
    seen.headers.iter().find(|(n, _)| n == "traceparent").map(|(_, v)| v.clone()).unwrap_or_default()
}
