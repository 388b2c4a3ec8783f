//! The methods that exist: read from a compiled descriptor set, so that nobody repeats them by hand.
//!
//! Health and reflection are part of every server, not of the contract in `proto/`; their methods are added here, so
//! that the policy covers them like any other.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use prost::Message;
use prost_types::{
    FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto, method_options::IdempotencyLevel,
};

/// A descriptor set that cannot be decoded.
pub type ContractError = prost::DecodeError;

/// One RPC method: its path on the wire and what a caller must know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Full name of the service, such as `quipu.auth.v1.AuthService`.
    pub service: Arc<str>,
    /// Name of the method, such as `Login`.
    pub name: Arc<str>,
    /// Path on the wire, such as `/quipu.auth.v1.AuthService/Login`; matched byte for byte.
    pub path: Arc<str>,
    /// As metrics and traces name it, such as `quipu.auth.v1.AuthService/Login`.
    pub full_name: Arc<str>,
    /// Whether calling twice is as good as calling once: the method states `NO_SIDE_EFFECTS` or `IDEMPOTENT`.
    pub retry_safe: bool,
    /// Whether the caller sends a stream.
    pub client_streaming: bool,
    /// Whether the callee answers with a stream.
    pub server_streaming: bool,
}

impl Method {
    /// Whether either side is a stream, so that the call has an idle limit beside its total one.
    pub fn is_streaming(&self) -> bool {
        self.client_streaming || self.server_streaming
    }

    fn new(service: &Arc<str>, name: &str) -> Self {
        Self {
            service: Arc::clone(service),
            name: name.into(),
            path: format!("/{service}/{name}").into(),
            full_name: format!("{service}/{name}").into(),
            retry_safe: false,
            client_streaming: false,
            server_streaming: false,
        }
    }

    fn from_descriptor(service: &Arc<str>, method: &MethodDescriptorProto) -> Self {
        let level = method.options.as_ref().map(prost_types::MethodOptions::idempotency_level);
        Self {
            retry_safe: matches!(level, Some(IdempotencyLevel::NoSideEffects | IdempotencyLevel::Idempotent)),
            client_streaming: method.client_streaming(),
            server_streaming: method.server_streaming(),
            ..Self::new(service, method.name())
        }
    }
}

/// The services and methods of a descriptor set. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Contract(Arc<BTreeMap<Arc<str>, Vec<Method>>>);

impl Contract {
    /// Reads an encoded `google.protobuf.FileDescriptorSet`.
    ///
    /// # Errors
    /// When the bytes are not a descriptor set.
    pub fn from_descriptor_set(encoded: &[u8]) -> Result<Self, ContractError> {
        let set = FileDescriptorSet::decode(encoded)?;
        let mut services = BTreeMap::new();
        for file in &set.file {
            for service in &file.service {
                let (name, methods) = read_service(file.package(), service);
                if Surface::of(&name).is_none() {
                    services.insert(name, methods);
                }
            }
        }
        Ok(Self(Arc::new(services)))
    }

    /// The contract of this repository, decoded once.
    ///
    /// Were the embedded set damaged, the contract would be empty and every policy file refused: that fails closed.
    pub fn quipu() -> &'static Self {
        static QUIPU: LazyLock<Contract> = LazyLock::new(|| {
            Contract::from_descriptor_set(mesh_proto::FILE_DESCRIPTOR_SET).unwrap_or_default()
        });
        &QUIPU
    }

    /// Full names of the services, in order; without health and reflection.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(AsRef::as_ref)
    }

    /// The methods of a service, in the order of its `.proto` file.
    pub fn methods_of(&self, service: &str) -> Option<&[Method]> {
        self.0.get(service).map(Vec::as_slice)
    }

    /// Every method of every service; without health and reflection.
    pub fn methods(&self) -> impl Iterator<Item = &Method> {
        self.0.values().flatten()
    }
}

fn read_service(package: &str, service: &ServiceDescriptorProto) -> (Arc<str>, Vec<Method>) {
    let name: Arc<str> = if package.is_empty() {
        service.name().into()
    } else {
        format!("{package}.{}", service.name()).into()
    };
    let methods = service.method.iter().map(|method| Method::from_descriptor(&name, method)).collect();
    (name, methods)
}

/// What every server offers beside its own services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    Health,
    Reflection,
}

impl Surface {
    /// The surface that a service belongs to, if any.
    pub(crate) fn of(service: &str) -> Option<Self> {
        match service {
            "grpc.health.v1.Health" => Some(Self::Health),
            "grpc.reflection.v1.ServerReflection" | "grpc.reflection.v1alpha.ServerReflection" => {
                Some(Self::Reflection)
            }
            _ => None,
        }
    }

    /// The methods of the surface, as `tonic-health` and `tonic-reflection` serve them.
    pub(crate) fn methods(self) -> Vec<Method> {
        match self {
            Self::Health => {
                let service = "grpc.health.v1.Health".into();
                let check = Method { retry_safe: true, ..Method::new(&service, "Check") };
                let watch =
                    Method { retry_safe: true, server_streaming: true, ..Method::new(&service, "Watch") };
                vec![check, watch]
            }
            Self::Reflection => {
                ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
                    .into_iter()
                    .map(|service| Method {
                        retry_safe: true,
                        client_streaming: true,
                        server_streaming: true,
                        ..Method::new(&service.into(), "ServerReflectionInfo")
                    })
                    .collect()
            }
        }
    }
}
