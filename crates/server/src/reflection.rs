//! Server reflection, limited to what the server serves: nobody learns of other services by asking this one.

use std::collections::{BTreeSet, HashMap};

use mesh_error::Error;
use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tonic_reflection::server::Builder;

use crate::health::HEALTH;
use crate::server::SURFACE_MESSAGE;
use crate::stack::Routes;

/// The names of the two versions that clients ask for.
const NAMES: [&str; 2] = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// Adds both versions of reflection for `services`, health and reflection itself.
///
/// # Errors
/// When a descriptor set cannot be decoded.
pub(crate) fn add(routes: &mut Routes, services: &[&'static str]) -> Result<(), Error> {
    let contract = FileDescriptorSet::decode(mesh_proto::FILE_DESCRIPTOR_SET).map_err(Error::internal)?;
    let contract = limit(contract, services);
    let builder = || {
        let mut builder = Builder::configure()
            .register_file_descriptor_set(contract.clone())
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(HEALTH);
        for name in services.iter().chain(&NAMES) {
            builder = builder.with_service_name(*name);
        }
        builder
    };
    let (v1, v1alpha) = (builder().build_v1(), builder().build_v1alpha());
    routes.add(v1.map_err(Error::internal)?, SURFACE_MESSAGE);
    routes.add(v1alpha.map_err(Error::internal)?, SURFACE_MESSAGE);
    Ok(())
}

/// The files that declare the services, with all that they import.
fn limit(all: FileDescriptorSet, services: &[&str]) -> FileDescriptorSet {
    let mut kept: BTreeSet<String> =
        all.file.iter().filter(|file| declares(file, services)).map(|file| file.name().to_owned()).collect();
    let by_name: HashMap<&str, &FileDescriptorProto> =
        all.file.iter().map(|file| (file.name(), file)).collect();
    let mut pending: Vec<String> = kept.iter().cloned().collect();
    while let Some(name) = pending.pop() {
        for import in by_name.get(name.as_str()).map(|file| file.dependency.as_slice()).unwrap_or_default() {
            if kept.insert(import.clone()) {
                pending.push(import.clone());
            }
        }
    }
    let file = all.file.iter().filter(|file| kept.contains(file.name())).cloned().collect();
    FileDescriptorSet { file }
}

fn declares(file: &FileDescriptorProto, services: &[&str]) -> bool {
    file.service.iter().any(|service| {
        let full = format!("{}.{}", file.package(), service.name());
        services.contains(&full.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_files_of_the_served_services_are_kept() {
        let all = FileDescriptorSet::decode(mesh_proto::FILE_DESCRIPTOR_SET).expect("valid");
        let kept = limit(all, &["quipu.sentiment.v1.SentimentService"]);
        let packages: BTreeSet<_> = kept.file.iter().map(|file| file.package().to_owned()).collect();
        assert!(packages.contains("quipu.sentiment.v1"));
        assert!(!packages.contains("quipu.auth.v1"));
    }

    #[test]
    fn imports_come_along() {
        let all = FileDescriptorSet::decode(mesh_proto::FILE_DESCRIPTOR_SET).expect("valid");
        let kept = limit(all, &["quipu.auth.v1.AuthService"]);
        let names: BTreeSet<_> = kept.file.iter().map(|file| file.name().to_owned()).collect();
        assert!(kept.file.iter().flat_map(|file| &file.dependency).all(|import| names.contains(import)));
        assert!(!names.is_empty());
    }
}
