//! An independent reading of the rendered objects: Kubernetes' own rules for NetworkPolicies, applied to the YAML text.
//!
//! It shares no code with the renderer and uses another YAML reader.

use std::{collections::BTreeMap, net::IpAddr};

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::Value;

/// One end of a flow.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Pod { namespace: String, labels: BTreeMap<String, String> },
    Address(IpAddr),
}

impl End {
    pub(crate) fn pod(namespace: &str, labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self::Pod { namespace: namespace.to_owned(), labels }
    }

    /// A pod of a workload, labelled as the chart labels it.
    pub(crate) fn workload(namespace: &str, name: &str) -> Self {
        Self::pod(namespace, &[("app.kubernetes.io/name", name), ("app.kubernetes.io/part-of", "quipu")])
    }

    pub(crate) fn address(text: &str) -> Self {
        Self::Address(text.parse().unwrap())
    }
}

/// All NetworkPolicies of a cluster.
pub(crate) struct Analyser {
    policies: Vec<Value>,
}

impl Analyser {
    pub(crate) fn new<'a>(objects: impl IntoIterator<Item = &'a str>) -> Self {
        let policies =
            objects.into_iter().map(read).filter(|object| object["kind"] == "NetworkPolicy").collect();
        Self { policies }
    }

    /// Whether a connection is let through at both ends.
    pub(crate) fn allows(&self, from: &End, to: &End, protocol: &str, port: u16) -> bool {
        self.side((from, to), ("Egress", "egress", "to"), (protocol, port))
            && self.side((to, from), ("Ingress", "ingress", "from"), (protocol, port))
    }

    fn side(&self, (subject, peer): (&End, &End), keys: (&str, &str, &str), to: (&str, u16)) -> bool {
        let ((kind, rules, end), (protocol, port)) = (keys, to);
        let End::Pod { namespace, labels } = subject else { return true };
        let mut isolated = false;
        for policy in &self.policies {
            let spec = &policy["spec"];
            let types = spec["policyTypes"].as_array().unwrap();
            let selects =
                policy["metadata"]["namespace"] == **namespace && selects(&spec["podSelector"], labels);
            if !selects || !types.iter().any(|one| one == kind) {
                continue;
            }
            isolated = true;
            let fits =
                |rule: &Value| ports_fit(&rule["ports"], protocol, port) && peers_fit(&rule[end], peer);
            if spec[rules].as_array().is_some_and(|rules| rules.iter().any(fits)) {
                return true;
            }
        }
        !isolated
    }
}

fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let selector = selector.as_object().unwrap();
    assert!(selector.keys().all(|key| key == "matchLabels"), "{selector:?}");
    let wanted = selector.get("matchLabels").and_then(Value::as_object);
    wanted.is_none_or(|wanted| {
        wanted.iter().all(|(key, value)| labels.get(key).is_some_and(|label| value == &**label))
    })
}

fn ports_fit(ports: &Value, protocol: &str, port: u16) -> bool {
    let ports = ports.as_array().expect("every rendered rule names its ports");
    ports.iter().any(|one| {
        let number = one["port"].as_u64().expect("ports are numbers");
        one["protocol"] == protocol && number == u64::from(port)
    })
}

fn peers_fit(peers: &Value, peer: &End) -> bool {
    let Some(peers) = peers.as_array() else {
        assert!(peers.is_null());
        return true;
    };
    assert!(!peers.is_empty(), "an empty list of peers means everybody");
    peers.iter().any(|item| match (peer, &item["ipBlock"]) {
        (End::Pod { namespace, labels }, Value::Null) => {
            let own = BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), namespace.clone())]);
            let item = item.as_object().unwrap();
            assert_eq!(item.len(), 2, "namespace and pod selector stand in one item: {item:?}");
            selects(&item["namespaceSelector"], &own) && selects(&item["podSelector"], labels)
        }
        (End::Address(address), block @ Value::Object(_)) => {
            let within = |range: &Value| contains(range.as_str().unwrap(), *address);
            within(&block["cidr"]) && !block["except"].as_array().unwrap().iter().any(within)
        }
        _ => false,
    })
}

fn contains(range: &str, address: IpAddr) -> bool {
    let (network, bits) = range.split_once('/').unwrap();
    let (network, bits): (IpAddr, u32) = (network.parse().unwrap(), bits.parse().unwrap());
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let shift = 32 - bits;
            network.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let shift = 128 - bits;
            network.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
        }
        _ => false,
    }
}

/// A YAML text of one document as JSON.
pub(crate) fn read(text: &str) -> Value {
    let documents = Yaml::load_from_str(text).unwrap();
    assert_eq!(documents.len(), 1, "one object per file");
    to_json(&documents[0])
}

fn to_json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => Value::Bool(*value),
        Yaml::Value(Scalar::Integer(value)) => Value::from(*value),
        Yaml::Value(Scalar::FloatingPoint(value)) => Value::from(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => Value::from(value.as_ref()),
        Yaml::Sequence(items) => items.iter().map(to_json).collect(),
        Yaml::Mapping(entries) => {
            let pair =
                |(key, value)| (to_json(key).as_str().expect("keys are texts").to_owned(), to_json(value));
            Value::Object(entries.iter().map(pair).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_analyser_knows_kubernetes_rules() {
    let policy = |peers: &str| {
        format!(
            "kind: NetworkPolicy\nmetadata: {{namespace: a}}\nspec:\n  podSelector: {{matchLabels: {{x: y}}}}\n  \
             policyTypes: [Ingress]\n  ingress: [{{ports: [{{protocol: TCP, port: 1}}]{peers}}}]\n"
        )
    };
    let (target, other) = (End::pod("a", &[("x", "y"), ("z", "1")]), End::pod("b", &[("x", "y")]));
    let open = policy("");
    let everyone = Analyser::new([open.as_str()]);
    assert!(everyone.allows(&other, &target, "TCP", 1));
    assert!(!everyone.allows(&other, &target, "TCP", 2), "another port");
    assert!(!everyone.allows(&other, &target, "UDP", 1), "another protocol");
    assert!(everyone.allows(&target, &other, "TCP", 2), "no policy selects it");
    let one = policy(
        ", from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: b}}, podSelector: {matchLabels: {q: r}}}]",
    );
    let one = Analyser::new([one.as_str()]);
    assert!(!one.allows(&other, &target, "TCP", 1), "right namespace, wrong pod");
    assert!(one.allows(&End::pod("b", &[("q", "r")]), &target, "TCP", 1));
    assert!(!one.allows(&End::pod("a", &[("q", "r")]), &target, "TCP", 1), "right pod, wrong namespace");
    assert!(contains("169.254.0.0/16", "169.254.169.254".parse().unwrap()));
    assert!(contains("0.0.0.0/0", "8.8.8.8".parse().unwrap()));
    assert!(!contains("10.0.0.0/8", "11.0.0.1".parse().unwrap()));
}
