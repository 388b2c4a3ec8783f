//! Counts the fields of a message while it comes, before it is decoded.
//!
//! An empty element of a list takes two bytes on the wire and two dozen in memory. A limit of bytes alone lets a message of
//! four megabytes become fifty; no message of ours has more fields than a few hundred.

use bytes::{Buf as _, Bytes};

/// Fields of one message on its outermost level, each element of a list counted.
pub(crate) const MOST_FIELDS: usize = 1024;

/// What the next byte belongs to.
#[derive(Clone, Copy)]
enum At {
    /// Number and type of a field.
    Tag,
    /// A number that is the field's value.
    Number,
    /// The length of what follows.
    Length,
    /// Bytes of a value that are of no interest.
    Value(u64),
    /// Behind something that no message holds: the decoder stops there.
    Lost,
}

/// The fields of the present message.
pub(super) struct Fields {
    at: At,
    seen: usize,
    /// The tag or length as far as it is known, and the bits of it.
    known: u64,
    bits: u32,
}

impl Default for Fields {
    fn default() -> Self {
        Self { at: At::Tag, seen: 0, known: 0, bits: 0 }
    }
}

impl Fields {
    /// Follows a part of the message; whether it still has few enough fields.
    pub(super) fn follow(&mut self, mut data: Bytes) -> bool {
        while data.has_remaining() && self.seen <= MOST_FIELDS {
            self.at = match self.at {
                At::Tag => self.varint(data.get_u8(), Self::tag),
                At::Length => self.varint(data.get_u8(), |_, length| value(length)),
                At::Number if data.get_u8() < 0x80 => At::Tag,
                At::Number => At::Number,
                At::Value(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(data.remaining());
                    data.advance(taken);
                    value(left.saturating_sub(taken as u64))
                }
                At::Lost => return true,
            };
        }
        self.seen <= MOST_FIELDS
    }

    /// Takes a byte of a number, which may be written longer than it need be: up to ten bytes, as the decoder has it.
    fn varint(&mut self, byte: u8, then: fn(&mut Self, u64) -> At) -> At {
        self.known |= u64::from(byte & 0x7f) << self.bits;
        self.bits += 7;
        match byte {
            0x80.. if self.bits < 64 => self.at,
            0x80.. => At::Lost,
            _ => {
                let whole = std::mem::take(&mut self.known);
                self.bits = 0;
                then(self, whole)
            }
        }
    }

    fn tag(&mut self, tag: u64) -> At {
        self.seen += 1;
        match tag & 7 {
            0 => At::Number,
            1 => At::Value(8),
            2 => At::Length,
            // The begin and the end of a group.
            3 | 4 => At::Tag,
            5 => At::Value(4),
            _ => At::Lost,
        }
    }
}

fn value(left: u64) -> At {
    if left == 0 { At::Tag } else { At::Value(left) }
}

#[cfg(test)]
mod tests {
    use mesh_proto::sentiment::v1::AnalyzeBatchRequest;
    use prost::Message as _;

    use super::*;

    /// The fields of a message that comes in chunks, and whether they are few enough.
    fn count(message: &[u8], chunk: usize) -> (usize, bool) {
        let mut fields = Fields::default();
        let few = message.chunks(chunk).all(|chunk| fields.follow(Bytes::copy_from_slice(chunk)));
        (fields.seen, few)
    }

    #[test]
    fn fields_are_counted_however_the_message_is_cut() {
        let texts = vec![String::new(), "a".repeat(300), "\n\n".into()];
        let message = AnalyzeBatchRequest { texts, explain: true, model: "linear".into() }.encode_to_vec();
        for chunk in [1, 2, 3, 7, 1000] {
            assert_eq!(count(&message, chunk), (5, true), "{chunk}");
        }
        // A group with a fixed number of eight bytes and one of four.
        let odd = [0x0b, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1d, 1, 2, 3, 4, 0x0c];
        assert_eq!(count(&odd, 1), (4, true));
    }

    #[test]
    fn a_list_of_nothing_is_refused_where_it_becomes_too_long() {
        let list = |elements: usize| [0x0a, 0].repeat(elements);
        assert_eq!(count(&list(MOST_FIELDS), 64), (MOST_FIELDS, true));
        assert_eq!(count(&list(MOST_FIELDS + 1), 64), (MOST_FIELDS + 1, false));
        assert_eq!(count(&list(1 << 20), 1 << 10), (MOST_FIELDS + 1, false), "the rest is not looked at");
    }

    #[test]
    fn numbers_that_are_longer_than_they_need_be_hide_nothing() {
        let one = [
            0x8a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
            0x00,
        ];
        assert_eq!(AnalyzeBatchRequest::decode(&one.repeat(3)[..]).unwrap().texts.len(), 3, "it is legal");
        assert_eq!(count(&one.repeat(3), 4), (3, true));
        assert!(!count(&one.repeat(2000), 4).1);
    }

    #[test]
    fn what_is_no_message_is_left_to_the_decoder() {
        for junk in [
            &[0x0f, 1, 2][..],
            &[0xff; 64],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(count(junk, 1).1, "{junk:?}");
        }
    }
}
