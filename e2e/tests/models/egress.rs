//! I9: where the service connects to, whatever a provider or the environment says.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use mesh_testkit::{FakeLlm, Reply};
use quipu_e2e::{LIMIT, ProcessMesh, Proof, count};
use saphyr::{LoadableYamlNode as _, Yaml};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    ask::{Way, Wish},
    asker::Asker,
    direct::Direct,
    sockets,
    support::{JOKE, setup},
};

/// Statuses that send elsewhere, and one that a proxy would send.
const STATUSES: [u16; 6] = [301, 302, 303, 305, 307, 308];

/// Settings of the environment by which programs are sent to a proxy.
const PROXIES: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Networks that no provider is in; among them, where clouds tell machines their keys.
const INSIDE: [&str; 6] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10"];

/// The same of IPv6.
const INSIDE_6: [&str; 3] = ["::/127", "fc00::/7", "fe80::/10"];

/// A listener that nobody is to connect to.
struct Trap {
    at: SocketAddr,
    caught: Arc<AtomicU64>,
    _listening: AbortOnDropHandle<()>,
}

impl Trap {
    async fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, caught) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
        let counter = Arc::clone(&caught);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            }
        });
        Self { at, caught, _listening: AbortOnDropHandle::new(listening) }
    }

    fn caught(&self) -> u64 {
        self.caught.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i9_the_service_connects_to_its_provider_and_nowhere_else() {
    let mut proof = Proof::new(
        "I9",
        "no redirect and no proxy of the environment leads the service away from its provider",
    );
    let (fake, trap) = (FakeLlm::start().await.unwrap(), Trap::set().await);
    let proxy = format!("http://{}", trap.at);
    let setup = PROXIES.iter().fold(setup(&fake, &["m"]), |setup, name| setup.with("jokes", name, &proxy));
    let mesh = setup.start().await;
    let asker = Asker::join(&mesh, &Direct::to(&mesh), "asker").await;
    let watched = sockets::watch(mesh.process("jokes"));
    let redirects = redirects(&mut proof, &fake, &asker, trap.at).await;
    fake.always(Reply::text(JOKE));
    for n in 0..count(100) {
        let outcome = asker.ask(Way::ALL[n % 4], &Wish::new("cats", "m")).await;
        proof.check(outcome.is_told(), || format!("with proxies in the environment: {outcome:?}"));
    }
    let peers = watched.end().await;
    let expected = expected(&mesh, &fake);
    let strangers: Vec<_> = peers.difference(&expected).collect();
    proof.check(strangers.is_empty(), || format!("connected to {strangers:?}"));
    proof.check(peers.contains(&fake.addr()), || format!("the provider is not seen among {peers:?}"));
    let caught = trap.caught();
    proof.check(caught == 0, || format!("{caught} connections at the trap"));
    controls(&mut proof, &fake, &trap).await;
    policies(&mut proof);
    proof.figure(format!(
        "{redirects} answers that send elsewhere and {} settings of proxies: {caught} connections at the trap; {} peers, {} of \
         them strangers",
        PROXIES.len(),
        peers.len(),
        strangers.len()
    ));
    proof.limit("0 at the trap, 0 strangers; the rendered policy lets jokes alone out to the provider, and to no network inside");
    proof.finish();
}

/// Each way of being sent elsewhere is a call that the provider does not take.
async fn redirects(proof: &mut Proof, fake: &FakeLlm, asker: &Asker, trap: SocketAddr) -> usize {
    let places = [
        format!("http://{trap}/v1/chat/completions"),
        format!("//{trap}/v1/chat/completions"),
        format!("http://localhost:{}/", trap.port()),
        format!("http://user:password@{trap}/"),
    ];
    let mut tried = 0;
    for status in STATUSES {
        for place in &places {
            let alternative = format!("h2=\"{trap}\"; ma=3600; persist=1");
            let reply = Reply::redirect(status, place).header("alt-svc", &alternative);
            fake.always(reply.header("refresh", &format!("0; url={place}")));
            let way = Way::ALL[tried % 4];
            let begun = fake.counts().calls;
            let outcome = asker.ask(way, &Wish::new("cats", "m")).await;
            let (calls, refused) = (fake.counts().calls - begun, (way.status(9, 502), "MODEL_REJECTED_CALL"));
            let is_refused = (outcome.status, outcome.reason.as_str()) == refused && calls == 1;
            proof.check(is_refused, || format!("{status} to {place} by {way:?}: {outcome:?}, {calls} calls"));
            tried += 1;
        }
    }
    tried
}

/// Whom the service may be connected to: its provider, those of the mesh that it calls, and the collector of its traces.
fn expected(mesh: &ProcessMesh, fake: &FakeLlm) -> BTreeSet<SocketAddr> {
    let collector = mesh.collector.endpoint();
    let collector = collector.split_once("://").unwrap().1.trim_end_matches('/').parse().unwrap();
    let called = ["auth", "sentiment"].map(|name| mesh.process(name).address());
    called.into_iter().chain([fake.addr(), collector]).collect()
}

/// A client without our care is caught, by the redirect and by the proxy.
async fn controls(proof: &mut Proof, fake: &FakeLlm, trap: &Trap) {
    let url = format!("{}/chat/completions", fake.base_url());
    fake.always(Reply::redirect(307, &format!("http://{}/", trap.at)));
    let proxy = reqwest::Proxy::all(format!("http://{}", trap.at)).unwrap();
    let follows = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
    let proxied = reqwest::Client::builder().proxy(proxy).timeout(LIMIT).build().unwrap();
    for (what, client) in [("redirect", follows), ("proxy", proxied)] {
        let before = trap.caught();
        let answer = client.post(&url).body("{}").send().await;
        proof.check(answer.is_err() && trap.caught() > before, || {
            format!("the control of the {what}: {answer:?}")
        });
    }
}

/// The rendered NetworkPolicies: jokes alone may leave the cluster, over HTTPS, and reaches no network inside that way.
fn policies(proof: &mut Proof) {
    for workload in ["auth", "gateway", "sentiment", "jokes"] {
        let path =
            format!("{}/../policies/rendered/networkpolicy-{workload}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let documents = Yaml::load_from_str(&text).unwrap();
        let rules = documents[0]["spec"]["egress"].as_vec().unwrap();
        let outside: Vec<_> =
            rules.iter().filter(|rule| rule["to"].as_vec().unwrap().iter().any(is_block)).collect();
        let expected = usize::from(workload == "jokes");
        proof.check(outside.len() == expected, || format!("{workload}: {} ways out", outside.len()));
        for rule in outside {
            proof.check(is_for_a_provider(rule), || format!("{workload}: {rule:?}"));
        }
    }
}

fn is_block(peer: &Yaml<'_>) -> bool {
    peer.as_mapping_get("ipBlock").is_some()
}

/// HTTPS to the internet, without its inner networks.
fn is_for_a_provider(rule: &Yaml<'_>) -> bool {
    let ports = rule["ports"].as_vec().unwrap();
    let is_https = ports.len() == 1 && ports[0]["port"].as_integer() == Some(443);
    let without = |cidr: &str, inside: &[&str]| {
        let blocks = rule["to"].as_vec().unwrap().iter().map(|peer| &peer["ipBlock"]);
        let blocks: Vec<_> = blocks.filter(|block| block["cidr"].as_str() == Some(cidr)).collect();
        let excepted =
            |net: &str| blocks[0]["except"].as_vec().unwrap().iter().any(|e| e.as_str() == Some(net));
        blocks.len() == 1 && inside.iter().all(|net| excepted(net))
    };
    is_https && without("0.0.0.0/0", &INSIDE) && without("::/0", &INSIDE_6)
}
