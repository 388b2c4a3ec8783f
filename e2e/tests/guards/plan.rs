//! What a provider says around a text, and the places where it cuts it.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
    ops::Range,
};

use mesh_testkit::Reply;
use quipu_e2e::{count, is_full};
use serde_json::{Value, json};

use crate::{
    asking::Way,
    samples::{AFTER, BEFORE, Random},
};

/// Bytes around a banned text at which the wire is cut, too.
const AROUND: usize = 12;

/// What the provider says in one call, and how it cuts it.
#[derive(Clone)]
pub(crate) struct Plan {
    /// Its place in the list of outputs.
    pub(crate) output: usize,
    pub(crate) way: Way,
    pub(crate) text: Text,
    pub(crate) cut: Cut,
}

/// An answer around the text that matters.
#[derive(Clone)]
pub(crate) struct Text {
    before: String,
    /// As it stands in the content: in JSON if that is asked for.
    middle: String,
    after: String,
    /// Whether the text that matters is written in escapes on the wire.
    escaped: bool,
    /// What may reach the client.
    pub(crate) passes: String,
}

#[derive(Clone)]
pub(crate) enum Cut {
    /// Two deltas, the second beginning at this byte of the content.
    Delta(usize),
    /// One delta whose event comes in two pieces, the second beginning at this byte.
    Wire(usize),
    /// Each character is a delta.
    Characters,
    /// One delta whose event comes in pieces of a byte.
    Bytes,
    /// Deltas and pieces that begin at these bytes.
    Several(Vec<usize>, Vec<usize>),
}

/// Every cut of a joke with a banned text, plain and in escapes, for both who wait and who read along.
pub(crate) fn of_joke(output: usize, banned: &str) -> Vec<Plan> {
    let mut plans = Vec::new();
    for way in [Way::Whole, Way::Stream] {
        for escaped in [false, true] {
            let text = Text::of_joke(output, banned, escaped);
            let all = 1..text.content().len();
            let places = if escaped { text.region(2) } else { all };
            plans.extend(text.plans(output, way, places));
        }
    }
    plans
}

/// Every cut of an answer with a banned text.
pub(crate) fn of_chat(output: usize, banned: &str) -> Vec<Plan> {
    let both = [false, true].map(|escaped| Text::of_chat(banned, escaped));
    // Deltas are cut in the text and not in its escapes.
    let all = 1..both[0].content().len();
    let [plain, escaped] = both;
    [plain.plans(output, Way::Chat, all), escaped.plans(output, Way::Chat, 0..0)].concat()
}

impl Text {
    /// A joke, the banned text in its setup or in its punchline.
    pub(crate) fn of_joke(output: usize, banned: &str, escaped: bool) -> Self {
        let middle = if escaped { units(banned) } else { inner(banned) };
        let (before, after) = (inner(BEFORE), inner(AFTER));
        let (before, after, passes) = match output % 2 {
            0 => (before, format!("{after}\",\"punchline\":\"So it goes.\"}}"), BEFORE.to_owned()),
            _ => (format!("{before}\",\"punchline\":\""), format!("{after}\"}}"), format!("{BEFORE}\n\n")),
        };
        Self { before: format!("{{\"setup\":\"{before}"), middle, after, escaped: false, passes }
    }

    pub(crate) fn of_chat(banned: &str, escaped: bool) -> Self {
        let [before, middle, after, passes] = [BEFORE, banned, AFTER, BEFORE].map(str::to_owned);
        Self { before, middle, after, escaped, passes }
    }

    /// A joke that no guard refuses.
    pub(crate) fn honest_joke(text: &str, escaped: bool) -> Self {
        let middle = if escaped { units(text) } else { inner(text) };
        let [before, after] = ["{\"setup\":\"", "\",\"punchline\":\"So it goes.\"}"].map(str::to_owned);
        Self { before, middle, after, escaped: false, passes: format!("{text}\n\nSo it goes.") }
    }

    /// An answer that no guard refuses.
    pub(crate) fn honest_chat(text: &str, escaped: bool) -> Self {
        let [middle, passes] = [text, text].map(str::to_owned);
        Self { before: String::new(), middle, after: String::new(), escaped, passes }
    }

    fn content(&self) -> String {
        [self.before.as_str(), &self.middle, &self.after].concat()
    }

    /// Where the banned text stands in the content, and so many bytes more.
    fn region(&self, more: usize) -> Range<usize> {
        let end = self.before.len() + self.middle.len() + more;
        self.before.len().saturating_sub(more)..end.min(self.content().len())
    }

    /// A stream of one delta, and where in it the banned text stands.
    fn stream(&self) -> (String, Range<usize>) {
        let head =
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}", inner(&self.before));
        let middle = if self.escaped { units(&self.middle) } else { inner(&self.middle) };
        let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        let tail = format!(
            "{}\"}},\"finish_reason\":null}}]}}\n\ndata: {end}\n\ndata: [DONE]\n\n",
            inner(&self.after)
        );
        let region = head.len() - AROUND..head.len() + middle.len() + AROUND;
        ([head, middle, tail].concat(), region)
    }

    /// Every cut of this text.
    fn plans(&self, output: usize, way: Way, deltas: Range<usize>) -> Vec<Plan> {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ u64::try_from(output).unwrap());
        let wire = self.stream().1;
        // The short form takes some of them, others for each output.
        let taken = |at: &usize| is_full() || (at + output).is_multiple_of(30);
        let mut cuts: Vec<Cut> = deltas.filter(taken).map(Cut::Delta).collect();
        cuts.extend(wire.filter(taken).map(Cut::Wire));
        cuts.extend([Cut::Characters, Cut::Bytes]);
        cuts.extend((0..count(10)).map(|_| several(self, &mut random)));
        cuts.into_iter().map(|cut| Plan { output, way, text: self.clone(), cut }).collect()
    }
}

impl Plan {
    pub(crate) fn reply(&self) -> Reply {
        let content = self.text.content();
        let escapes = |reply: Reply| if self.text.escaped { reply.escaped() } else { reply };
        match &self.cut {
            Cut::Delta(at) => Reply::text(content).split_at(vec![*at]),
            Cut::Wire(at) => Reply::stream(self.text.stream().0).written_at(vec![*at]),
            Cut::Characters => escapes(Reply::text(content).every(1)),
            Cut::Bytes => Reply::stream(self.text.stream().0).written_every(1),
            Cut::Several(deltas, pieces) => {
                escapes(Reply::text(content).split_at(deltas.clone()).written_at(pieces.clone()))
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { way, text, cut, .. } = self;
        match cut {
            Cut::Delta(at) => write!(f, "{way:?}, a delta begins at {at} of {:?}", text.content()),
            Cut::Wire(at) => write!(f, "{way:?}, a piece begins at {at} of {:?}", text.stream().0),
            Cut::Characters => write!(f, "{way:?}, one by one: {:?}", text.content()),
            Cut::Bytes => write!(f, "{way:?}, byte by byte: {:?}", text.stream().0),
            Cut::Several(deltas, pieces) => {
                write!(f, "{way:?}, deltas at {deltas:?}, pieces at {pieces:?}: {:?}", text.content())
            }
        }
    }
}

/// Deltas and pieces that begin anywhere.
pub(crate) fn several(text: &Text, random: &mut Random) -> Cut {
    let mut places = |most: usize, length: usize| {
        let places: BTreeSet<usize> = (0..random.below(most)).map(|_| 1 + random.below(length)).collect();
        places.into_iter().collect()
    };
    let deltas: Vec<usize> = places(12, text.content().len());
    // The body around each delta has some 150 bytes.
    let pieces = places(30, 300 + 150 * deltas.len() + 2 * text.content().len());
    Cut::Several(deltas, pieces)
}

/// The inside of a JSON string, with no more escapes than are needed.
fn inner(text: &str) -> String {
    let whole = Value::from(text).to_string();
    whole[1..whole.len() - 1].to_owned()
}

/// The inside of a JSON string, all of it escapes.
fn units(text: &str) -> String {
    text.encode_utf16().fold(String::new(), |mut out, unit| {
        write!(out, "\\u{unit:04x}").unwrap();
        out
    })
}
