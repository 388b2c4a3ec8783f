//! Chance that is the same everywhere and for ever, so that a seed names a joke.

/// SplitMix64 of Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014), with the constants
/// of Vigna's `splitmix64.c`. Neighbouring seeds give unrelated numbers. Not for secrets.
#[derive(Debug)]
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Other numbers for other texts, by the text's 64-bit FNV-1a hash, so that one seed does not bring the same kind of joke
    /// for every topic.
    pub(super) fn for_text(seed: u64, text: &str) -> Self {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        Self::new(seed ^ text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `count`; 0 if there is none.
    pub(super) fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % count).unwrap_or(0)
    }

    /// One of the items.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_paper() {
        let mut random = SplitMix64::new(1_234_567);
        let numbers = [random.next(), random.next(), random.next()];
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn a_text_changes_the_numbers() {
        assert_eq!(SplitMix64::for_text(0, "a").0, 0xaf63_dc4c_8601_ec8c);
        assert_ne!(SplitMix64::for_text(1, "a").next(), SplitMix64::for_text(1, "b").next());
    }

    #[test]
    fn nothing_can_be_picked_from_nothing() {
        let mut random = SplitMix64::new(1);
        assert_eq!(random.pick::<u8>(&[]), None);
        assert!((0..100).all(|_| random.below(3) < 3));
    }
}
