//! F11: a method that the policy forgets is found before anything runs, and is not open when it runs after all.

use mesh_policy::{Contract, Policy};
use prost::Message as _;
use prost_types::{
    FileDescriptorSet, MethodDescriptorProto, MethodOptions, method_options::IdempotencyLevel,
};
use quipu_e2e::Proof;

fn set() -> FileDescriptorSet {
    FileDescriptorSet::decode(mesh_proto::FILE_DESCRIPTOR_SET).unwrap()
}

fn parse(policy: &str, set: &FileDescriptorSet) -> Result<Policy, String> {
    let contract = Contract::from_descriptor_set(&set.encode_to_vec()).unwrap();
    Policy::parse("mesh.yaml", policy, &contract).map_err(|faults| faults.to_string())
}

/// A contract with one method more in the service `service`; what it is called, and its package.
fn with_method(at: (usize, usize), streaming: bool) -> (FileDescriptorSet, String) {
    let mut set = set();
    let file = &mut set.file[at.0];
    let package = file.package().to_owned();
    let service = &mut file.service[at.1];
    let like = service.method[0].clone();
    let mut options = MethodOptions::default();
    options.set_idempotency_level(IdempotencyLevel::IdempotencyUnknown);
    let method = MethodDescriptorProto {
        name: Some("Forgotten".to_owned()),
        client_streaming: Some(streaming),
        server_streaming: Some(streaming),
        options: Some(options),
        ..like
    };
    service.method.push(method);
    let name = format!("{package}.{}", service.name());
    (set, name)
}

#[test]
fn f11_a_method_without_a_rule_fails_until_it_has_one() {
    let mut proof =
        Proof::new("F11", "a method or service that the policy forgets fails the tests and every start");
    let good = parse(quipu::POLICY, &set());
    proof.check(good.is_ok(), || format!("the control: {good:?}"));
    let places: Vec<_> = set()
        .file
        .iter()
        .enumerate()
        .flat_map(|(n, file)| (0..file.service.len()).map(move |m| (n, m)))
        .collect();
    for place in &places {
        for streaming in [false, true] {
            new_method(&mut proof, *place, streaming);
        }
    }
    removed_rows(&mut proof);
    new_service(&mut proof, places[0]);
    proof.figure(format!("{} services, each with one method more; every row left out once", places.len()));
    proof.limit(
        "refused with the method's name until there is a row; the same check runs in the tests, in `quipu policy check` and \
         at the start of every program",
    );
    proof.finish();
}

fn new_method(proof: &mut Proof, place: (usize, usize), streaming: bool) {
    let (set, service) = with_method(place, streaming);
    let refused = parse(quipu::POLICY, &set);
    let named = refused.as_ref().is_err_and(|e| e.contains("\"Forgotten\"") && e.contains(&service));
    proof.check(named, || format!("{service} streaming {streaming}: {refused:?}"));
    // Until it has a row, also one that lets nobody in.
    let idle = if streaming { ", idle: 1s" } else { "" };
    let allowed = format!("{{from: [gateway], deadline: 5s{idle}}}");
    for row in [allowed.as_str(), "{nobody: it is not served yet}"] {
        let policy = quipu::POLICY.replacen(
            &format!("  {service}:\n"),
            &format!("  {service}:\n    Forgotten: {row}\n"),
            1,
        );
        let taken = parse(&policy, &set);
        proof.check(taken.is_ok(), || format!("{service} with {row}: {taken:?}"));
        let Ok(taken) = taken else { continue };
        let gateway = taken.id_of("gateway").unwrap();
        let path = format!("/{service}/Forgotten");
        let callee = taken.callees(&path).next().unwrap_or_default().to_owned();
        let open = matches!(taken.decide(&callee, &gateway, &path), mesh_policy::Decision::Allow(_));
        proof.check(open == (row == allowed), || format!("{path} with {row}: open {open}"));
    }
    // A program that runs with a policy of before does not know it, and denies it.
    let old = parse(quipu::POLICY, &self::set()).unwrap();
    let path = format!("/{service}/Forgotten");
    for callee in old.workloads() {
        for caller in old.workloads() {
            let caller = old.id_of(&caller.name).unwrap();
            let decision = old.decide(&callee.name, &caller, &path);
            let denied = matches!(decision, mesh_policy::Decision::Deny(_));
            proof.check(denied, || format!("{path} of {}: {decision:?}", callee.name));
        }
    }
}

/// Each row of the file left out once.
fn removed_rows(proof: &mut Proof) {
    let policy = parse(quipu::POLICY, &set()).unwrap();
    for method in policy.contract().methods() {
        let start = format!("    {}:", method.name);
        let mut inside = false;
        let without: String = quipu::POLICY
            .lines()
            .filter(|line| {
                let more = inside && line.starts_with("      ");
                inside = line.starts_with(&start) || more;
                !inside
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        assert_ne!(without.len(), quipu::POLICY.len(), "{}", method.path);
        let refused = parse(&without, &set());
        let name = format!("\"{}\"", method.name);
        let named = refused.as_ref().is_err_and(|e| e.contains(&name) && e.contains(&*method.service));
        proof.check(named, || format!("without {}: {refused:?}", method.path));
    }
}

/// A whole service that nobody wrote down.
fn new_service(proof: &mut Proof, place: (usize, usize)) {
    let mut set = set();
    let file = &mut set.file[place.0];
    let mut service = file.service[place.1].clone();
    service.name = Some("ForgottenService".to_owned());
    file.service.push(service);
    let refused = parse(quipu::POLICY, &set);
    let named = refused.as_ref().is_err_and(|e| e.contains("ForgottenService"));
    proof.check(named, || format!("a new service: {refused:?}"));
}
