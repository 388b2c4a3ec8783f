//! A policy file as a tree of values with their places, out of the smallest useful part of YAML.
//!
//! What a reviewer cannot see at a glance is refused, not resolved: anchors, aliases, merge keys, tags, duplicate
//! keys, more than one document, tabs, and characters that are invisible or change the reading direction. Size and
//! depth are bounded, and the tree is built without recursion.

use std::{borrow::Cow, collections::HashMap};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::fault::{Collector, Spot};

/// A policy of a hundred workloads is far below this; a ConfigMap holds at most 1 MiB.
pub(crate) const MAX_BYTES: usize = 256 * 1024;
/// The deepest legal value lies at depth 7.
const MAX_DEPTH: usize = 12;

/// A value and where it begins.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) spot: Spot,
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Debug)]
pub(crate) enum Value {
    /// A scalar; `plain` when it was written without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
    /// Something that was refused already; readers pass over it in silence.
    Refused,
}

/// The key of an entry.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) spot: Spot,
    pub(crate) text: String,
}

/// The one document of `text`, or `None` when it has no usable structure. Every refusal is in `faults`.
pub(crate) fn parse(text: &str, faults: &mut Collector) -> Option<Node> {
    if text.len() > MAX_BYTES {
        let message = format!("the file is too large: at most {MAX_BYTES} bytes are read");
        faults.at(Spot { line: 1, column: 1 }, message);
        return None;
    }
    refuse_characters(text, faults);
    if !faults.is_empty() {
        return None;
    }
    let mut builder = Builder { stack: Vec::new(), root: None, documents: 0, faults };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.event(event, spot(span.start))?,
            Err(error) => {
                faults.at(spot(*error.marker()), format!("not YAML: {}", error.info()));
                return None;
            }
        }
    }
    let root = builder.root;
    if root.is_none() {
        faults.at(Spot { line: 1, column: 1 }, "the file is empty");
    }
    root
}

fn spot(marker: Marker) -> Spot {
    Spot { line: marker.line(), column: marker.col() + 1 }
}

/// Refuses what a reviewer would not see, where it stands in the text.
fn refuse_characters(text: &str, faults: &mut Collector) {
    for (line, content) in text.split('\n').enumerate() {
        let content = content.strip_suffix('\r').unwrap_or(content);
        let found = content.chars().enumerate().find_map(|(column, one)| Some((column, unseen(one)?)));
        if let Some((column, what)) = found {
            faults.at(Spot { line: line + 1, column: column + 1 }, format!("the line holds {what}"));
        }
    }
}

/// What is wrong with a character that does not show as itself: tabs, controls, invisible and bidirectional ones.
fn unseen(character: char) -> Option<&'static str> {
    match character {
        '\t' => Some("a tab; indent with spaces"),
        // Soft hyphen, joiners, fillers, marks of direction, separators, selectors of variants, tags.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}'
        | '\u{3164}' | '\u{ffa0}' | '\u{feff}' => Some("an invisible character"),
        '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => Some("an invisible character"),
        other => other.is_control().then_some("a control character"),
    }
}

/// A collection that is still open.
enum Open {
    List { spot: Spot, items: Vec<Node> },
    Map { spot: Spot, entries: Vec<(Key, Node)>, seen: HashMap<String, usize>, key: Option<Key> },
}

struct Builder<'f> {
    stack: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    faults: &'f mut Collector,
}

impl Builder<'_> {
    /// Takes one event; `None` ends the reading.
    fn event(&mut self, event: Event<'_>, spot: Spot) -> Option<()> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.faults.at(spot, "a second document; the file holds exactly one");
                    return None;
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_decoration(anchor, tag.is_some(), spot);
                let node = scalar(spot, text, style, self.faults);
                self.complete(node);
            }
            Event::Alias(_) => {
                self.faults.at(spot, "an alias; write the value out, so that a review sees it");
                self.complete(Node { spot, value: Value::Refused });
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_decoration(anchor, tag.is_some(), spot);
                self.open(Open::List { spot, items: Vec::new() }, spot)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_decoration(anchor, tag.is_some(), spot);
                self.open(Open::Map { spot, entries: Vec::new(), seen: HashMap::new(), key: None }, spot)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Some(())
    }

    fn refuse_decoration(&mut self, anchor: usize, tagged: bool, spot: Spot) {
        if anchor > 0 {
            self.faults.at(spot, "an anchor; write the value out, so that a review sees it");
        }
        if tagged {
            self.faults.at(spot, "a tag; the file holds plain values only");
        }
    }

    fn open(&mut self, open: Open, spot: Spot) -> Option<()> {
        if self.stack.len() >= MAX_DEPTH {
            self.faults.at(spot, format!("nested deeper than {MAX_DEPTH} levels"));
            return None;
        }
        self.stack.push(open);
        Some(())
    }

    fn close(&mut self) {
        let node = match self.stack.pop() {
            Some(Open::List { spot, items }) => Node { spot, value: Value::List(items) },
            Some(Open::Map { spot, entries, .. }) => Node { spot, value: Value::Map(entries) },
            None => return,
        };
        self.complete(node);
    }

    /// Puts a finished value where it belongs: into the open list, or as key or value into the open mapping.
    fn complete(&mut self, node: Node) {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, seen, key, .. }) => match key.take() {
                None => *key = Some(as_key(node, self.faults)),
                Some(key) => insert(entries, seen, (key, node), self.faults),
            },
        }
    }
}

/// A scalar, unless an escape or a block put a character into it that the text itself may not hold.
fn scalar(spot: Spot, text: Cow<'_, str>, style: ScalarStyle, faults: &mut Collector) -> Node {
    if let Some(what) = text.chars().find_map(unseen) {
        faults.at(spot, format!("the value holds {what}"));
        return Node { spot, value: Value::Refused };
    }
    let plain = matches!(style, ScalarStyle::Plain);
    Node { spot, value: Value::Scalar { text: text.into_owned(), plain } }
}

fn as_key(node: Node, faults: &mut Collector) -> Key {
    let spot = node.spot;
    let text = match node.value {
        Value::Scalar { text, .. } => text,
        Value::Refused => String::new(),
        Value::List(_) | Value::Map(_) => {
            faults.at(spot, "a key must be a plain name");
            String::new()
        }
    };
    Key { spot, text }
}

/// Adds an entry unless its key is there already or is YAML's merge key.
fn insert(
    entries: &mut Vec<(Key, Node)>,
    seen: &mut HashMap<String, usize>,
    (key, node): (Key, Node),
    faults: &mut Collector,
) {
    if key.text == "<<" {
        faults.at(key.spot, "a merge key; write the entries out, so that a review sees them");
        return;
    }
    if let Some(first) = seen.get(&key.text) {
        faults.at(key.spot, format!("duplicate key \"{}\" (first in line {first})", key.text));
        return;
    }
    seen.insert(key.text.clone(), key.spot.line);
    entries.push((key, node));
}
