//! The small part of YAML that a guard's policy needs: mappings, lists and texts, each with its line.
//!
//! Aliases, anchors, tags, duplicate keys and second documents are refused; size and depth are bounded.

use saphyr_parser::{Event, Parser};

use super::policy::GuardFault;

/// A word list of 10,000 entries is far below this.
const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 6;

/// A value and its line.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// What is still open: a list, or a mapping and its next key.
enum Open {
    List(usize, Vec<Node>),
    Map(usize, Vec<(String, Node)>, Option<String>),
}

/// The one document of a text; none when it is empty.
pub(super) fn parse(text: &str) -> Result<Option<Node>, GuardFault> {
    if text.len() > MAX_BYTES {
        return Err(GuardFault::at(1, "file", format!("has more than {MAX_BYTES} bytes")));
    }
    let (mut stack, mut root, mut documents) = (Vec::new(), None, 0);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|fault| {
            GuardFault::at(fault.marker().line(), "file", format!("not YAML: {}", fault.info()))
        })?;
        let line = span.start.line();
        let fault = |what: &str| GuardFault::at(line, "file", what.to_owned());
        let node = match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err(fault("holds a second document"));
                }
                None
            }
            Event::Alias(_) => return Err(fault("holds an alias; write the value out")),
            Event::Scalar(_, _, anchor, tag) if anchor > 0 || tag.is_some() => {
                return Err(fault("holds an anchor or a tag"));
            }
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag)
                if anchor > 0 || tag.is_some() =>
            {
                return Err(fault("holds an anchor or a tag"));
            }
            Event::Scalar(text, ..) => Some(Node { line, value: Value::Text(text.into_owned()) }),
            Event::SequenceStart(..) => open(&mut stack, Open::List(line, Vec::new())).map_err(fault)?,
            Event::MappingStart(..) => open(&mut stack, Open::Map(line, Vec::new(), None)).map_err(fault)?,
            Event::SequenceEnd | Event::MappingEnd => stack.pop().map(close),
            _ => None,
        };
        if let Some(node) = node {
            place(&mut stack, &mut root, node)?;
        }
    }
    Ok(root)
}

fn open(stack: &mut Vec<Open>, one: Open) -> Result<Option<Node>, &'static str> {
    if stack.len() >= MAX_DEPTH {
        return Err("is nested too deeply");
    }
    stack.push(one);
    Ok(None)
}

fn close(open: Open) -> Node {
    match open {
        Open::List(line, items) => Node { line, value: Value::List(items) },
        Open::Map(line, entries, _) => Node { line, value: Value::Map(entries) },
    }
}

/// Puts a finished value where it belongs: into the open list, or as key or value into the open mapping.
fn place(stack: &mut [Open], root: &mut Option<Node>, node: Node) -> Result<(), GuardFault> {
    match stack.last_mut() {
        None => *root = Some(node),
        Some(Open::List(_, items)) => items.push(node),
        Some(Open::Map(_, entries, key)) => match (key.take(), node.value) {
            (None, Value::Text(text)) => {
                if entries.iter().any(|(other, _)| *other == text) {
                    return Err(GuardFault::at(node.line, &text, "is there twice".to_owned()));
                }
                *key = Some(text);
            }
            (None, _) => {
                return Err(GuardFault::at(node.line, "file", "has a key that is no plain name".to_owned()));
            }
            (Some(key), value) => entries.push((key, Node { line: node.line, value })),
        },
    }
    Ok(())
}
