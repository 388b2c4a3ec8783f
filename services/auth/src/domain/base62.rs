//! Bytes as letters and digits, always of the same length for as many bytes, so that ids and secrets can be selected with
//! a double click and hold no separator.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The big-endian number in base 62, padded with zeros to the length that any number of so many bytes fits in: 6 digits
/// for 4 bytes, 22 for 16, 43 for 32.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut number = bytes.to_vec();
    let mut digits = Vec::new();
    for _ in 0..length(bytes.len()) {
        let mut rest: u32 = 0;
        for byte in &mut number {
            let value = (rest << 8) | u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            rest = value % 62;
        }
        let digit = usize::try_from(rest).ok().and_then(|at| ALPHABET.get(at));
        digits.push(char::from(digit.copied().unwrap_or(b'0')));
    }
    digits.iter().rev().collect()
}

/// How many digits `bytes` bytes take: 8 / log2(62) = 1.3436 digits for each byte, rounded up.
pub(crate) const fn length(bytes: usize) -> usize {
    (bytes * 13_437).div_ceil(10_000)
}

/// Whether a text has exactly `digits` digits of base 62.
pub(crate) fn is_valid(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_fit_the_largest_number() {
        assert_eq!((length(4), length(16), length(32)), (6, 22, 43));
        for bytes in 1..=64 {
            let bits = f64::from(u32::try_from(length(bytes)).unwrap()) * 62_f64.log2();
            assert!(bits >= f64::from(u32::try_from(bytes * 8).unwrap()), "{bytes}");
        }
    }

    #[test]
    fn known_values() {
        assert_eq!(encode(&[0; 4]), "000000");
        assert_eq!(encode(&[0, 0, 0, 61]), "00000z");
        assert_eq!(encode(&[0, 0, 0, 62]), "000010");
        assert_eq!(encode(&[0xff; 4]), "4gfFC3");
    }

    #[test]
    fn different_bytes_differ() {
        let mut seen = std::collections::HashSet::new();
        for number in 0..10_000_u32 {
            assert!(seen.insert(encode(&number.to_be_bytes())));
        }
    }
}
