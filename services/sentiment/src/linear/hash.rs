//! FNV-1a of 64 bits, as a running state: the hash of `a + b` continues from the hash of `a`, so that no feature string is
//! ever put together.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The hash of what was written so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fnv(u64);

impl Fnv {
    /// The hash of the empty string.
    pub(crate) const NEW: Self = Self(OFFSET);

    /// The hash of a whole string.
    pub(crate) const fn of(text: &str) -> Self {
        Self::NEW.then(text)
    }

    /// The hash of what was written so far followed by `text` (UTF-8).
    #[must_use]
    pub(crate) const fn then(self, text: &str) -> Self {
        let mut hash = self.0;
        let mut rest = text.as_bytes();
        while let [byte, tail @ ..] = rest {
            hash = (hash ^ *byte as u64).wrapping_mul(PRIME);
            rest = tail;
        }
        Self(hash)
    }

    /// The 64 bits.
    pub(crate) const fn value(self) -> u64 {
        self.0
    }

    /// The bucket of a model of `2^bits` buckets: high and low half folded, then the low bits.
    pub(crate) const fn bucket(self, mask: u64) -> u64 {
        (self.0 ^ (self.0 >> 32)) & mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fnv_1a_and_it_continues() {
        // Published test vectors of FNV-1a 64.
        assert_eq!(Fnv::of("").value(), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Fnv::of("a").value(), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Fnv::of("foobar").value(), 0x8594_4171_f739_67e8);
        assert_eq!(Fnv::of("foo").then("bar"), Fnv::of("foobar"));
    }
}
