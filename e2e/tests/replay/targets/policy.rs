//! The policy file: what is refused is refused with its place, and what is read decides and renders in one way only.

use std::{collections::BTreeSet, sync::LazyLock};

use mesh_policy::{Contract, Faults, Policy, render};
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto};
use saphyr::{LoadableYamlNode as _, Yaml};

/// Two small services, so that a whole policy is short.
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let alpha = service("Alpha", &[("Read", false), ("Write", false), ("Watch", true), ("Purge", false)]);
    let file = FileDescriptorProto {
        name: Some("demo/v1/demo.proto".into()),
        package: Some("demo.v1".into()),
        service: vec![alpha, service("Beta", &[("Do", false)])],
        ..FileDescriptorProto::default()
    };
    let set = FileDescriptorSet { file: vec![file] };
    Contract::from_descriptor_set(&set.encode_to_vec()).expect("a descriptor set")
});

fn service(name: &str, methods: &[(&str, bool)]) -> ServiceDescriptorProto {
    let method = |(name, streaming): &(&str, bool)| MethodDescriptorProto {
        name: Some((*name).into()),
        server_streaming: Some(*streaming),
        ..MethodDescriptorProto::default()
    };
    ServiceDescriptorProto {
        name: Some(name.into()),
        method: methods.iter().map(method).collect(),
        ..ServiceDescriptorProto::default()
    }
}

/// A policy file of any text.
pub(crate) fn policy(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match (Policy::parse("mesh.yaml", text, &CONTRACT), Policy::parse("mesh.yaml", text, &CONTRACT)) {
        (Ok(policy), Ok(again)) => {
            assert_eq!(policy.source(), text);
            check_decisions(&policy);
            check_rendering(&policy, &again);
        }
        (Err(faults), Err(again)) => {
            assert_eq!(faults, again);
            check_faults(&faults, text);
        }
        _ => panic!("read in two ways"),
    }
}

/// A fault names a place that the file has.
fn check_faults(faults: &Faults, text: &str) {
    assert!((1..=200).contains(&faults.list().len()));
    let lines = text.split('\n').count();
    for fault in faults.list() {
        assert!((1..=lines + 1).contains(&fault.line) && fault.column >= 1, "{fault:?} of {lines} lines");
        assert!(!fault.message.is_empty());
    }
    assert!(faults.to_string().starts_with("mesh.yaml:"));
}

/// The matrix, the single decision, the explanation and the list of calls say the same.
fn check_decisions(policy: &Policy) {
    let listed: BTreeSet<_> =
        policy.calls().iter().map(|call| (&*call.callee, &*call.caller, &*call.method.path)).collect();
    let mut allowed = 0;
    for (callee, caller, path, decision) in policy.pairs() {
        let id = policy.id_of(caller).expect("a workload");
        assert_eq!(policy.decide(callee, &id, path), decision);
        assert_eq!(decision.is_allowed(), listed.contains(&(callee, caller, path)), "{caller} {path}");
        allowed += usize::from(decision.is_allowed());
        assert!(!policy.decide(callee, &id, &path.to_uppercase()).is_allowed());
        assert!(!policy.decide(callee, &id, &format!("/{path}")).is_allowed());
        if let Some(rule) = decision.rule() {
            assert!(!rule.deadline.is_zero() && rule.line >= 1);
        }
    }
    assert_eq!((allowed, allowed), (listed.len(), policy.calls().len()), "allowed by nobody's line");
    let stranger = "spiffe://stranger/ns/x/sa/y".parse().expect("an id");
    assert!(
        policy
            .calls()
            .iter()
            .all(|call| !policy.decide(&call.callee, &stranger, &call.method.path).is_allowed())
    );
}

/// Same file, same bytes; each object is one YAML document under a name of its own.
fn check_rendering(policy: &Policy, again: &Policy) {
    let files = render::files(policy);
    assert_eq!(files, render::files(again));
    let names: BTreeSet<_> = files.iter().map(|(path, _)| path).collect();
    assert_eq!(names.len(), files.len(), "two files of one name");
    for (name, text) in render::manifests(policy) {
        let documents = Yaml::load_from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(documents.len(), 1, "{name}");
        assert_eq!(documents[0]["metadata"]["namespace"].as_str(), Some(policy.namespace()), "{name}");
    }
    assert!(render::mermaid(policy).starts_with("flowchart LR\n"));
}
