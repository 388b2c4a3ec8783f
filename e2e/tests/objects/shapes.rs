//! The longest legal messages of the shortest elements, for any request of the contract; and what is not quite legal.

use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::{FieldDescriptorProto, field_descriptor_proto::Type};

use crate::contract::{Contract, is_list, number, write_bytes};

/// A message and how it was made.
pub(crate) struct Shape {
    /// For people.
    pub(crate) what: String,
    /// The message.
    pub(crate) message: Vec<u8>,
    /// Of one of the request's own fields.
    pub(crate) of_field: bool,
    /// Of a message inside.
    pub(crate) nested: bool,
}

/// Every shape of a request, each as long as `size` allows.
pub(crate) fn of(contract: &Contract, message: &str, size: usize) -> Vec<Shape> {
    let mut shapes = unknown(size);
    for field in contract.fields(message) {
        let mut more = of_field(contract, field, size);
        more.iter_mut().for_each(|shape| shape.of_field = !shape.nested);
        shapes.extend(more);
    }
    shapes
}

/// Of what no request knows.
fn unknown(size: usize) -> Vec<Shape> {
    let key = |kind| {
        let mut key = Vec::new();
        encode_key(2000, kind, &mut key);
        key
    };
    let number = [key(WireType::Varint), vec![0]].concat();
    let empty = [key(WireType::LengthDelimited), vec![0]].concat();
    let (open, close) = (key(WireType::StartGroup), key(WireType::EndGroup));
    let nest = |depth: usize| [open.repeat(depth), close.repeat(depth)].concat();
    let mut long = Vec::new();
    write_bytes(2000, &vec![b'a'; size - 8], &mut long);
    vec![
        shape("unknown numbers", filled(&number, size)),
        shape("unknown texts", filled(&empty, size)),
        shape("one unknown text", long),
        shape("unknown groups 90 deep", filled(&nest(90), size)),
        shape("unknown groups as deep as can be", nest(size / (2 * open.len()))),
        shape("the first field of any kind", filled(&[0x0a, 0], size)),
    ]
}

fn of_field(contract: &Contract, field: &FieldDescriptorProto, size: usize) -> Vec<Shape> {
    let name = field.name();
    let mut shapes = Vec::new();
    let element = |value: &[u8]| {
        let mut element = Vec::new();
        write_bytes(number(field), value, &mut element);
        element
    };
    match field.r#type() {
        Type::String | Type::Bytes | Type::Message => {
            shapes.push(shape(format!("{name}: empty"), filled(&element(b""), size)));
            if field.r#type() == Type::Message {
                shapes.extend(nested(contract, field, size));
            } else {
                shapes.push(shape(format!("{name}: one letter"), filled(&element(b"a"), size)));
                shapes.push(shape(format!("{name}: one"), element(&vec![b'a'; size - 8])));
                shapes.push(shape(format!("{name}: with long lengths"), filled(&overlong(field), size)));
            }
        }
        Type::Group => panic!("{name} is a group"),
        // Numbers: those of a list may stand packed.
        _ => {
            let mut one = Vec::new();
            encode_key(number(field), WireType::Varint, &mut one);
            one.push(1);
            shapes.push(shape(format!("{name}: one after the other"), filled(&one, size)));
            if is_list(field) {
                shapes.push(shape(format!("{name}: packed"), element(&vec![1; size - 8])));
            }
        }
    }
    shapes
}

/// The shapes of a message inside, once as long as can be, and short ones many times.
fn nested(contract: &Contract, field: &FieldDescriptorProto, size: usize) -> Vec<Shape> {
    let inner = field.type_name().trim_start_matches('.');
    let wrap = |shape: Shape, times: usize| {
        let mut element = Vec::new();
        write_bytes(number(field), &shape.message, &mut element);
        let what = format!("{}.{} ×{times}", field.name(), shape.what);
        Shape { what, message: element.repeat(times), of_field: false, nested: true }
    };
    let long = of(contract, inner, size - 8).into_iter().map(|shape| wrap(shape, 1));
    let short = of(contract, inner, 600).into_iter().map(|shape| wrap(shape, size / 700));
    long.chain(short).collect()
}

/// An empty element whose key and length are written in ten bytes each, which is legal.
fn overlong(field: &FieldDescriptorProto) -> Vec<u8> {
    let mut key = Vec::new();
    encode_key(number(field), WireType::LengthDelimited, &mut key);
    let mut length = Vec::new();
    encode_varint(0, &mut length);
    for written in [&mut key, &mut length] {
        let last = written.len() - 1;
        written[last] |= 0x80;
        written.resize(9, 0x80);
        written.push(0);
    }
    [key, length].concat()
}

fn shape(what: impl Into<String>, message: Vec<u8>) -> Shape {
    Shape { what: what.into(), message, of_field: false, nested: false }
}

/// As many as fit.
fn filled(element: &[u8], size: usize) -> Vec<u8> {
    element.repeat(size / element.len())
}
