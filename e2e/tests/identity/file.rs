//! An independent reading of the policy file: the YAML as it stands, without a line of the product's parser, so that what
//! the product makes of the file is compared with the file.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::Value;

/// What a rule asks of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum User {
    None,
    Any,
    Scope(String),
}

/// The file.
pub(crate) struct File {
    pub(crate) root: Value,
    /// What is granted: (caller, callee, path) and for which user.
    pub(crate) granted: BTreeMap<(String, String, String), User>,
}

const HEALTH: [&str; 2] = ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"];
const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

impl File {
    pub(crate) fn read(text: &str) -> Self {
        let root = yaml(text);
        let mut granted = BTreeMap::new();
        for (callee, workload) in object(&root["workloads"]) {
            let grpc = &workload["listens"]["grpc"];
            for (key, paths) in [("health", HEALTH), ("reflection", REFLECTION)] {
                for caller in texts(&grpc[key]) {
                    for path in paths {
                        granted.insert((caller.clone(), callee.clone(), path.to_owned()), User::None);
                    }
                }
            }
            for service in texts(&grpc["services"]) {
                for (method, rules) in object(&root["calls"][&service]) {
                    let one = [rules.clone()];
                    for rule in rules.as_array().map_or(&one[..], Vec::as_slice) {
                        for caller in texts(&rule["from"]) {
                            let path = format!("/{service}/{method}");
                            granted.insert((caller, callee.clone(), path), user(&rule["user"]));
                        }
                    }
                }
            }
        }
        Self { root, granted }
    }

    /// What the caller may call on the callee.
    pub(crate) fn rule(&self, caller: &str, callee: &str, path: &str) -> Option<&User> {
        self.granted.get(&(caller.to_owned(), callee.to_owned(), path.to_owned()))
    }

    /// Every workload.
    pub(crate) fn workloads(&self) -> Vec<String> {
        object(&self.root["workloads"]).map(|(name, _)| name.clone()).collect()
    }

    /// The edges between workloads: caller and callee.
    pub(crate) fn edges(&self) -> BTreeSet<(String, String)> {
        self.granted.keys().map(|(caller, callee, _)| (caller.clone(), callee.clone())).collect()
    }

    /// The scopes of a role.
    pub(crate) fn scopes(&self, role: &str) -> Vec<String> {
        texts(&self.root["roles"][role])
    }
}

fn user(value: &Value) -> User {
    match value {
        Value::Null => User::None,
        Value::String(text) if text == "required" => User::Any,
        other => User::Scope(other["scope"].as_str().unwrap().to_owned()),
    }
}

/// The paths of all methods: those of the contract's descriptors, health and reflection, and `List` of health, which the
/// servers' own library has and no rule may name.
pub(crate) fn paths() -> Vec<String> {
    let set = prost_types::FileDescriptorSet::decode(mesh_proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut paths = BTreeSet::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                paths.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    paths.extend(HEALTH.into_iter().chain(REFLECTION).map(str::to_owned));
    paths.insert("/grpc.health.v1.Health/List".to_owned());
    paths.into_iter().collect()
}

/// The entries of a mapping; none when it is missing.
pub(crate) fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// A list of texts; empty when it is missing.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// A YAML text of one document.
pub(crate) fn yaml(text: &str) -> Value {
    let documents = Yaml::load_from_str(text).unwrap();
    assert_eq!(documents.len(), 1, "one document");
    json(&documents[0])
}

fn json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => Value::Bool(*value),
        Yaml::Value(Scalar::Integer(value)) => Value::from(*value),
        Yaml::Value(Scalar::FloatingPoint(value)) => Value::from(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => Value::from(value.as_ref()),
        Yaml::Sequence(items) => items.iter().map(json).collect(),
        Yaml::Mapping(entries) => {
            let pair = |(key, value)| (json(key).as_str().unwrap().to_owned(), json(value));
            Value::Object(entries.iter().map(pair).collect())
        }
        other => panic!("{other:?}"),
    }
}
