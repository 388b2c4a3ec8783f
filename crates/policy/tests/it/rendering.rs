//! What the rendered objects let through, and how they are written.

use std::{collections::BTreeSet, fs};

use mesh_policy::{Policy, Reach, render};

use crate::{
    analyser::{Analyser, End, read},
    support::{DEMO, demo, mesh, parse},
};

/// An analyser of everything that is rendered from the policy.
pub(crate) fn analyse(policy: &Policy) -> Analyser {
    let files = render::manifests(policy);
    Analyser::new(files.iter().map(|(_, text)| text.as_str()))
}

/// The edges between workloads that the decision allows: caller, callee, port.
fn decided(policy: &Policy) -> BTreeSet<(String, String, u16)> {
    let mut edges = BTreeSet::new();
    for (callee, caller, _, decision) in policy.pairs() {
        if decision.is_allowed() {
            let port = policy.workload(callee).unwrap().grpc.as_ref().unwrap().port;
            edges.insert((caller.to_owned(), callee.to_owned(), port));
        }
    }
    for callee in policy.workloads() {
        let Some(http) = &callee.http else { continue };
        // From any source: but a workload's own egress is for what the file grants it only.
        for caller in &http.from {
            edges.insert((caller.clone(), callee.name.to_string(), http.port));
        }
    }
    edges
}

/// The edges between workloads that the rendered objects let through, over every port that any workload opens.
fn rendered(policy: &Policy) -> BTreeSet<(String, String, u16)> {
    let analyser = analyse(policy);
    let ports: BTreeSet<u16> = policy
        .workloads()
        .iter()
        .flat_map(|one| [one.grpc.as_ref().map(|g| g.port), one.http.as_ref().map(|h| h.port), one.admin])
        .flatten()
        .chain([53, 443, 5432, 6379])
        .collect();
    let end = |name: &str| End::workload(policy.namespace(), name);
    let mut edges = BTreeSet::new();
    for caller in policy.workloads() {
        for callee in policy.workloads() {
            for port in ports
                .iter()
                .filter(|port| analyser.allows(&end(&caller.name), &end(&callee.name), "TCP", **port))
            {
                edges.insert((caller.name.to_string(), callee.name.to_string(), *port));
            }
        }
    }
    edges
}

/// Panics unless the rendered objects let through exactly what the decision allows.
pub(crate) fn assert_equal_edges(policy: &Policy) {
    assert_eq!(rendered(policy), decided(policy), "{}", policy.source());
    let analyser = analyse(policy);
    for workload in policy.workloads() {
        let from = End::workload(policy.namespace(), &workload.name);
        for resource in policy.resources() {
            let uses = workload.uses.contains(&resource.name);
            let to = match &resource.reach {
                Reach::Pods { namespace, app } => End::pod(namespace, &[("app.kubernetes.io/name", app)]),
                Reach::Internet => End::address("93.184.216.34"),
            };
            assert_eq!(
                analyser.allows(&from, &to, "TCP", resource.port),
                uses,
                "{} {}",
                workload.name,
                resource.name
            );
        }
    }
}

#[test]
fn rendered_edges_are_decided_edges() {
    assert_equal_edges(&demo());
    assert_equal_edges(&mesh());
}

#[test]
fn only_what_listens_to_the_internet_is_open_to_it() {
    let policy = mesh();
    let analyser = analyse(&policy);
    let stranger = End::pod(
        "elsewhere",
        &[("app.kubernetes.io/name", "gateway"), ("app.kubernetes.io/part-of", "quipu")],
    );
    let outside = End::address("93.184.216.34");
    for workload in policy.workloads() {
        let to = End::workload("quipu", &workload.name);
        for port in [8080, 9100, 9101, 9104, 50051, 50054, 22, 443] {
            let open = &*workload.name == "gateway" && port == 8080;
            assert_eq!(
                analyser.allows(&outside, &to, "TCP", port),
                open,
                "internet → {}:{port}",
                workload.name
            );
            assert_eq!(
                analyser.allows(&stranger, &to, "TCP", port),
                open,
                "same labels elsewhere → {}",
                workload.name
            );
        }
    }
}

#[test]
fn admin_ports_answer_the_monitoring_only() {
    let policy = mesh();
    let analyser = analyse(&policy);
    let prometheus = End::pod("monitoring", &[("app.kubernetes.io/name", "prometheus")]);
    let other = End::pod("monitoring", &[("app.kubernetes.io/name", "grafana")]);
    let impostor = End::pod("quipu", &[("app.kubernetes.io/name", "prometheus")]);
    for workload in policy.workloads() {
        let Some(port) = workload.admin else { continue };
        let to = End::workload("quipu", &workload.name);
        assert!(analyser.allows(&prometheus, &to, "TCP", port), "{}", workload.name);
        assert!(!analyser.allows(&other, &to, "TCP", port), "{}", workload.name);
        assert!(!analyser.allows(&impostor, &to, "TCP", port), "{}", workload.name);
        let grpc = workload.grpc.as_ref().map_or(1, |grpc| grpc.port);
        assert!(!analyser.allows(&prometheus, &to, "TCP", grpc), "{}", workload.name);
    }
}

#[test]
fn names_are_resolved_by_the_clusters_dns_only() {
    let policy = mesh();
    let analyser = analyse(&policy);
    let dns = End::pod("kube-system", &[("k8s-app", "kube-dns")]);
    for workload in policy.workloads() {
        let from = End::workload("quipu", &workload.name);
        for protocol in ["UDP", "TCP"] {
            assert!(analyser.allows(&from, &dns, protocol, 53), "{}", workload.name);
            assert!(!analyser.allows(&from, &End::address("8.8.8.8"), protocol, 53), "{}", workload.name);
            assert!(!analyser.allows(&from, &End::pod("kube-system", &[("k8s-app", "other")]), protocol, 53));
            assert!(!analyser.allows(&from, &End::pod("quipu", &[("k8s-app", "kube-dns")]), protocol, 53));
        }
    }
}

#[test]
fn the_internet_of_a_resource_holds_no_private_and_no_metadata_address() {
    let text = DEMO.replace("cache: {port: 6379}", "cache: {port: 443, egress: internet}");
    let policy = parse(&text).unwrap();
    assert_equal_edges(&policy);
    let analyser = analyse(&policy);
    let edge = End::workload("demo", "edge");
    for public in ["93.184.216.34", "1.1.1.1", "172.15.0.1", "172.32.0.1", "2606:4700::1111"] {
        assert!(analyser.allows(&edge, &End::address(public), "TCP", 443), "{public}");
        assert!(!analyser.allows(&edge, &End::address(public), "TCP", 80), "{public}");
        assert!(
            !analyser.allows(&End::workload("demo", "alpha"), &End::address(public), "TCP", 443),
            "{public}"
        );
    }
    for private in [
        "169.254.169.254",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "127.0.0.1",
        "100.64.0.1",
        "0.0.0.0",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "fe80::1",
        "fd00:ec2::254",
        "fc00::1",
        "64:ff9b::a9fe:a9fe",
        "ff02::1",
    ] {
        assert!(!analyser.allows(&edge, &End::address(private), "TCP", 443), "{private}");
    }
    // The API server takes an IPv4-mapped range for IPv4 and refuses it in an IPv6 block.
    assert!(render::manifests(&policy).iter().all(|(_, text)| !text.contains("::ffff:")));
}

#[test]
fn a_pod_without_the_meshs_labels_can_do_nothing() {
    let policy = mesh();
    let analyser = analyse(&policy);
    for labels in
        [&[][..], &[("app.kubernetes.io/name", "gateway")], &[("app.kubernetes.io/part-of", "quipu")]]
    {
        let pod = End::pod("quipu", labels);
        for workload in policy.workloads() {
            for port in [8080, 9101, 50051, 50054] {
                let to = End::workload("quipu", &workload.name);
                assert!(!analyser.allows(&pod, &to, "TCP", port), "{labels:?} → {}", workload.name);
            }
        }
        assert!(!analyser.allows(&pod, &End::address("93.184.216.34"), "TCP", 443), "{labels:?}");
    }
}

#[test]
fn a_resource_in_the_namespace_answers_its_users_only_and_calls_nobody() {
    let policy = mesh();
    let analyser = analyse(&policy);
    let postgres = End::pod("quipu", &[("app.kubernetes.io/name", "postgres")]);
    assert!(analyser.allows(&End::workload("quipu", "auth"), &postgres, "TCP", 5432));
    assert!(!analyser.allows(&End::workload("quipu", "sentiment"), &postgres, "TCP", 5432));
    assert!(!analyser.allows(&End::pod("elsewhere", &[]), &postgres, "TCP", 5432));
    assert!(!analyser.allows(&postgres, &End::workload("quipu", "gateway"), "TCP", 8080));
    assert!(!analyser.allows(&postgres, &End::address("93.184.216.34"), "TCP", 443));
    let names: Vec<_> = render::manifests(&demo()).into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"networkpolicy-cache.yaml".to_owned()), "{names:?}");
    assert!(
        !names.contains(&"networkpolicy-db.yaml".to_owned()),
        "another namespace's owner decides: {names:?}"
    );
}

#[test]
fn each_workload_of_the_cluster_has_one_disruption_budget() {
    let policy = demo();
    let files = render::manifests(&policy);
    let budgets: Vec<_> = files
        .iter()
        .map(|(_, text)| read(text))
        .filter(|object| object["kind"] == "PodDisruptionBudget")
        .collect();
    let names: Vec<_> = budgets.iter().map(|one| one["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["alpha", "beta", "edge"], "not for the external person");
    for budget in &budgets {
        let spec = &budget["spec"];
        let name = &budget["metadata"]["name"];
        assert_eq!(spec["unhealthyPodEvictionPolicy"], "AlwaysAllow");
        assert_eq!(spec["maxUnavailable"], if name == "alpha" { 2 } else { 1 });
        assert_eq!(&spec["selector"]["matchLabels"]["app.kubernetes.io/name"], name);
        assert_eq!(spec["selector"]["matchLabels"]["app.kubernetes.io/part-of"], "quipu");
    }
}

#[test]
fn every_object_says_what_it_is_and_where() {
    for (policy, namespace) in [(demo(), "demo"), (mesh(), "quipu")] {
        let mut seen = BTreeSet::new();
        for (file, text) in render::manifests(&policy) {
            let object = read(&text);
            let (kind, name) =
                (object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
            assert_eq!(file, format!("{}-{name}.yaml", kind.to_lowercase()));
            assert_eq!(object["metadata"]["namespace"], namespace);
            let api = if kind == "NetworkPolicy" { "networking.k8s.io/v1" } else { "policy/v1" };
            assert_eq!(object["apiVersion"], api);
            assert!(seen.insert((kind.to_owned(), name.to_owned())), "{kind} {name} twice");
            assert!(text.starts_with("# Rendered from") && text.ends_with('\n') && !text.contains('\t'));
        }
    }
    let deny =
        render::manifests(&demo()).into_iter().find(|(name, _)| name.contains("default-deny")).unwrap().1;
    let spec = &read(&deny)["spec"];
    assert_eq!(spec["podSelector"], serde_json::json!({}));
    assert_eq!(spec["policyTypes"], serde_json::json!(["Ingress", "Egress"]));
    assert_eq!(
        (spec["ingress"].clone(), spec["egress"].clone()),
        (serde_json::json!([]), serde_json::json!([]))
    );
}

#[test]
fn the_graph_shows_every_edge_and_every_rule() {
    let policy = mesh();
    let picture = render::mermaid(&policy);
    assert!(picture.starts_with("flowchart LR\n"), "{picture}");
    for line in [
        "internet -->|HTTP| w_gateway",
        "w_gateway -->|\"AuthService: 19 methods<br/>health\"| w_auth",
        "w_sentiment -->|\"AuthService: 3 methods\"| w_auth",
        "w_operator -->|\"SentimentService: 4 methods<br/>health<br/>reflection\"| w_sentiment",
        "w_auth -.-> r_postgres",
        "w_operator([\"operator\"])",
    ] {
        assert!(picture.lines().any(|have| have.trim() == line), "{line}\n{picture}");
    }
    let page = render::page(&policy);
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains('`')).count();
    assert_eq!(rows, policy.calls().len());
    assert!(page.contains("| operator | sentiment | `quipu.sentiment.v1.SentimentService/AnalyzeStream` | no user needed | 10m, idle 30s | yes |"), "{page}");
}

#[test]
fn rendering_is_the_same_each_time_and_writing_is_idempotent() {
    assert_eq!(render::files(&mesh()), render::files(&mesh()));
    let folder = tempfile::tempdir().unwrap();
    let policy = demo();
    assert!(!render::drift(folder.path(), &policy).unwrap().is_empty());
    let written = render::write(folder.path(), &policy).unwrap();
    assert_eq!(written.len(), render::files(&policy).len());
    assert_eq!(render::write(folder.path(), &policy).unwrap(), Vec::<std::path::PathBuf>::new());
    assert_eq!(render::drift(folder.path(), &policy).unwrap(), Vec::<String>::new());
    let old = folder.path().join(render::MANIFESTS).join("networkpolicy-gone.yaml");
    fs::write(&old, "x").unwrap();
    fs::write(folder.path().join(render::PAGE), "x").unwrap();
    assert_eq!(
        render::drift(folder.path(), &policy).unwrap(),
        [
            "docs/call-graph.md is out of date",
            "policies/rendered/networkpolicy-gone.yaml is rendered no more"
        ]
    );
    assert_eq!(render::write(folder.path(), &policy).unwrap().len(), 2);
    assert!(!old.exists());
}
