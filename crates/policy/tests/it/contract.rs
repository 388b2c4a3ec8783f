//! What the policy takes from the descriptors.

use mesh_policy::Contract;
use prost::Message;
use prost_types::FileDescriptorSet;

use crate::support::{DEMO, contract, demo, demo_contract, service};

#[test]
fn the_repositorys_contract_is_decoded() {
    let contract = Contract::quipu();
    let services: Vec<_> = contract.services().collect();
    assert!(services.contains(&"quipu.auth.v1.AuthService"), "{services:?}");
    assert!(services.contains(&"quipu.sentiment.v1.SentimentService"), "{services:?}");
}

#[test]
fn every_method_states_its_idempotency() {
    let set = FileDescriptorSet::decode(mesh_proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut methods = 0;
    for service in set.file.iter().flat_map(|file| &file.service) {
        for method in &service.method {
            methods += 1;
            let level = method.options.as_ref().and_then(|options| options.idempotency_level);
            assert!(level.is_some(), "{}/{} states no idempotency_level", service.name(), method.name());
        }
    }
    assert_eq!(methods, Contract::quipu().methods().count());
    assert!(methods >= 32);
}

#[test]
fn only_methods_that_say_so_may_be_retried() {
    let policy = demo();
    let safe = |path: &str| policy.method(path).unwrap().retry_safe;
    assert!(safe("/demo.v1.Alpha/Read"));
    assert!(safe("/demo.v1.Alpha/Write"));
    assert!(!safe("/demo.v1.Alpha/Purge"), "IDEMPOTENCY_UNKNOWN");
    assert!(!safe("/demo.v1.Beta/Do"), "no option");
    assert!(safe("/grpc.health.v1.Health/Check"));
    assert!(policy.method("/demo.v1.Alpha/Nothing").is_none());
}

#[test]
fn streams_are_known() {
    let policy = demo();
    assert!(policy.method("/demo.v1.Alpha/Watch").unwrap().is_streaming());
    assert!(policy.method("/grpc.health.v1.Health/Watch").unwrap().server_streaming);
    assert!(
        policy.method("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo").unwrap().client_streaming
    );
    assert!(!policy.method("/demo.v1.Alpha/Read").unwrap().is_streaming());
}

#[test]
fn a_new_method_is_refused_until_it_has_a_rule() {
    let grown = contract([
        service(
            "Alpha",
            [("Read", None, false), ("Write", None, false), ("Watch", None, true), ("Purge", None, false)],
        ),
        service("Beta", [("Do", None, false), ("Undo", None, false)]),
    ]);
    let faults = mesh_policy::Policy::parse("mesh.yaml", DEMO, &grown).unwrap_err();
    assert_eq!(faults.list().len(), 1);
    let shown = faults.to_string();
    assert!(shown.starts_with("mesh.yaml:36:3: method \"Undo\" of \"demo.v1.Beta\" has no rule"), "{shown}");
}

#[test]
fn a_damaged_descriptor_set_is_an_error() {
    assert!(Contract::from_descriptor_set(&[0xff, 0xff, 0xff]).is_err());
    assert_eq!(demo_contract().services().collect::<Vec<_>>(), ["demo.v1.Alpha", "demo.v1.Beta"]);
}
