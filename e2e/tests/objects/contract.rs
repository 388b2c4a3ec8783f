//! The messages of the contract, from its descriptors: no row here knows a method that it did not find.

use std::collections::BTreeMap;

use prost::{Message as _, encoding};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

/// A method and what it takes.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    /// On the wire: `/package.Service/Method`.
    pub(crate) path: String,
    /// Its name alone.
    pub(crate) name: String,
    /// Full name of the request message.
    pub(crate) takes: String,
}

/// All messages and methods.
pub(crate) struct Contract {
    messages: BTreeMap<String, DescriptorProto>,
    /// Every method of every service.
    pub(crate) rpcs: Vec<Rpc>,
}

impl Contract {
    /// Of this repository.
    pub(crate) fn read() -> Self {
        let set = FileDescriptorSet::decode(mesh_proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut all = Self { messages: BTreeMap::new(), rpcs: Vec::new() };
        for file in &set.file {
            for message in &file.message_type {
                all.add(file.package(), message);
            }
            for service in &file.service {
                let methods = service.method.iter().map(|method| Rpc {
                    path: format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                    name: method.name().to_owned(),
                    takes: method.input_type().trim_start_matches('.').to_owned(),
                });
                all.rpcs.extend(methods);
            }
        }
        assert!(all.rpcs.len() >= 23, "the contract is not whole");
        all
    }

    fn add(&mut self, scope: &str, message: &DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            self.add(&name, nested);
        }
        self.messages.insert(name, message.clone());
    }

    /// The fields of a message.
    pub(crate) fn fields(&self, message: &str) -> &[FieldDescriptorProto] {
        &self.messages.get(message).unwrap_or_else(|| panic!("no message {message}")).field
    }

    /// A method by its name.
    pub(crate) fn rpc(&self, name: &str) -> &Rpc {
        self.rpcs.iter().find(|rpc| rpc.name == name).unwrap_or_else(|| panic!("no method {name}"))
    }

    /// A request of texts by the names of their fields.
    pub(crate) fn request(&self, rpc: &Rpc, texts: &[(&str, &str)]) -> Vec<u8> {
        let mut message = Vec::new();
        for (name, text) in texts {
            let field = self.fields(&rpc.takes).iter().find(|field| field.name() == *name);
            let field = field.unwrap_or_else(|| panic!("{} has no {name}", rpc.takes));
            assert_eq!(field.r#type(), Type::String, "{name}");
            write_bytes(number(field), text.as_bytes(), &mut message);
        }
        message
    }
}

/// The number of a field.
pub(crate) fn number(field: &FieldDescriptorProto) -> u32 {
    u32::try_from(field.number()).unwrap()
}

/// Whether a field is a list.
pub(crate) fn is_list(field: &FieldDescriptorProto) -> bool {
    field.label() == Label::Repeated
}

/// Writes a text, bytes or a message.
pub(crate) fn write_bytes(number: u32, value: &[u8], to: &mut Vec<u8>) {
    encoding::encode_key(number, encoding::WireType::LengthDelimited, to);
    encoding::encode_varint(value.len() as u64, to);
    to.extend_from_slice(value);
}
