//! A small mesh of two services for the tests: its contract, its policy file, and edits of the file by line.

use std::path::{Path, PathBuf};

use mesh_policy::{Contract, Faults, Policy};
use prost::Message;
use prost_types::{
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, MethodOptions, ServiceDescriptorProto,
    method_options::IdempotencyLevel,
};

/// The policy file of the small mesh. The tests name its lines by number.
pub(crate) const DEMO: &str = "\
version: 1
trustDomain: demo.local
namespace: demo
monitoring: {namespace: monitoring, app: prometheus}
scopes:
  alpha:read: Read alphas.
  alpha:write: Write alphas.
roles:
  user: [alpha:read, alpha:write]
workloads:
  edge:
    listens:
      http: {port: 8080, from: [internet]}
      admin: {port: 9100}
    uses: [cache]
  alpha:
    listens:
      grpc: {port: 50051, services: [demo.v1.Alpha], health: [edge], reflection: [person]}
      admin: {port: 9101}
    uses: [db]
    disruption: {maxUnavailable: 2}
  beta:
    listens:
      grpc: {port: 50052, services: [demo.v1.Beta]}
      admin: {port: 9102}
  person: {external: true}
resources:
  cache: {port: 6379}
  db: {port: 5432, namespace: data, app: postgres}
calls:
  demo.v1.Alpha:
    Read: {from: [edge, person], user: {scope: alpha:read}, deadline: 2s}
    Write: {from: [edge], user: required, deadline: 5s}
    Watch: {from: [beta], deadline: 1h, idle: 30s}
    Purge: {nobody: kept for the migration tool}
  demo.v1.Beta:
    Do:
      - {from: [edge], user: {scope: alpha:write}, deadline: 5s}
      - {from: [person], deadline: 500ms}
";

/// The contract of the small mesh.
pub(crate) fn demo_contract() -> Contract {
    let none = None;
    let alpha = service(
        "Alpha",
        [
            ("Read", Some(IdempotencyLevel::NoSideEffects), false),
            ("Write", Some(IdempotencyLevel::Idempotent), false),
            ("Watch", Some(IdempotencyLevel::NoSideEffects), true),
            ("Purge", Some(IdempotencyLevel::IdempotencyUnknown), false),
        ],
    );
    let beta = service("Beta", [("Do", none, false)]);
    contract([alpha, beta])
}

pub(crate) fn contract(services: impl IntoIterator<Item = ServiceDescriptorProto>) -> Contract {
    let file = FileDescriptorProto {
        name: Some("demo/v1/demo.proto".into()),
        package: Some("demo.v1".into()),
        service: services.into_iter().collect(),
        ..FileDescriptorProto::default()
    };
    let set = FileDescriptorSet { file: vec![file] };
    Contract::from_descriptor_set(&set.encode_to_vec()).unwrap()
}

pub(crate) fn service<'a>(
    name: &str,
    methods: impl IntoIterator<Item = (&'a str, Option<IdempotencyLevel>, bool)>,
) -> ServiceDescriptorProto {
    let method = |(name, level, streaming): (&str, Option<IdempotencyLevel>, bool)| MethodDescriptorProto {
        name: Some(name.into()),
        server_streaming: Some(streaming),
        options: level
            .map(|level| MethodOptions { idempotency_level: Some(level.into()), ..MethodOptions::default() }),
        ..MethodDescriptorProto::default()
    };
    ServiceDescriptorProto {
        name: Some(name.into()),
        method: methods.into_iter().map(method).collect(),
        ..ServiceDescriptorProto::default()
    }
}

pub(crate) fn parse(text: &str) -> Result<Policy, Faults> {
    Policy::parse("mesh.yaml", text, &demo_contract())
}

pub(crate) fn demo() -> Policy {
    parse(DEMO).unwrap()
}

/// The small mesh's file with line `line` (from 1) replaced by `text`, which may be several lines or none.
pub(crate) fn with_line(line: usize, text: &str) -> String {
    let mut lines: Vec<&str> = DEMO.lines().collect();
    if text.is_empty() {
        lines.remove(line - 1);
    } else {
        lines[line - 1] = text;
    }
    lines.join("\n") + "\n"
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The policy file of the present mesh.
pub(crate) fn mesh() -> Policy {
    let text = std::fs::read_to_string(root().join("policies/mesh.yaml")).unwrap();
    Policy::parse("policies/mesh.yaml", &text, Contract::quipu()).unwrap_or_else(|faults| panic!("{faults}"))
}

/// A small deterministic generator (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}
