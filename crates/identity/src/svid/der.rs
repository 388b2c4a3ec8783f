//! The one form that DER allows. The certificate parser looks neither at the class of a tag nor at
//! whether it is said to hold elements.

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const BIT_STRING: u8 = 3;
/// Deeper than any certificate.
const MAX_DEPTH: usize = 16;

/// Whether `bytes` are whole elements with the shortest lengths, where of the universal types sequences and sets, and only
/// these, hold elements.
pub(super) fn is_strict(bytes: &[u8]) -> bool {
    are_strict(bytes, MAX_DEPTH)
}

/// Whether `bytes` are one element of this tag, and strict.
pub(super) fn is_one(bytes: &[u8], tag: u8) -> bool {
    is_strict(bytes) && matches!(element(bytes), Some((found, _, [])) if found == tag)
}

fn are_strict(mut rest: &[u8], depth: usize) -> bool {
    while !rest.is_empty() {
        let Some((tag, content, behind)) = element(rest) else { return false };
        let holds_elements = tag & 0x20 != 0;
        let universal = tag & 0xc0 == 0;
        if universal && holds_elements != matches!(tag & 0x1f, 16 | 17) {
            return false;
        }
        if holds_elements && (depth == 0 || !are_strict(content, depth - 1)) {
            return false;
        }
        rest = behind;
    }
    true
}

/// Tag and content of the first element, and what is behind it; no tag of several bytes is used in certificates.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (length, rest) = match bytes {
        [_, length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest),
        [_, 0x81, length @ 0x80..=0xff, rest @ ..] => (usize::from(*length), rest),
        [_, 0x82, high @ 1..=0xff, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
        _ => return None,
    };
    let tag = bytes.first().filter(|tag| **tag & 0x1f != 0x1f)?;
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_element_has_its_tag_and_nothing_behind_it() {
        assert!(is_one(&[3, 2, 7, 0x80], BIT_STRING) && is_one(&[0x30, 3, 0x86, 1, b'a'], SEQUENCE));
        for bad in [&[][..], &[0x10, 0], &[0xb0, 0], &[0x30, 0, 5, 0], &[0x30, 2, 5, 1]] {
            assert!(!is_one(bad, SEQUENCE), "{bad:x?}");
        }
    }

    #[test]
    fn one_form_is_strict_and_every_other_is_not() {
        let long = |head: &[u8], length: usize| [head, &vec![0; length]].concat();
        for good in [
            &[][..],
            &[5, 0],
            &[0x30, 3, 2, 1, 7, 5, 0],
            &[0xa0, 2, 5, 0],
            &[0x80, 1, 0xff],
            &long(&[4, 0x81, 0x80], 0x80),
            &long(&[4, 0x82, 1, 0], 0x100),
        ] {
            assert!(is_strict(good), "{good:x?}");
        }
        for bad in [
            &[5][..],
            &[5, 1],
            &[0x10, 0],          // a sequence that is said to hold no elements
            &[0x24, 2, 4, 0],    // a string in pieces
            &[0x30, 0x80, 0, 0], // a length to be found out
            &[0x30, 0x81, 2, 5, 0],
            &[0x30, 1, 5],
            &[0x1f, 0x1f, 0],
            &long(&[4, 0x81, 0x7f], 0x7f),
            &long(&[4, 0x82, 0, 0xff], 0xff),
            &long(&[4, 0x83, 0, 1, 0], 0x100),
        ] {
            assert!(!is_strict(bad), "{bad:x?}");
        }
        let nested =
            |depth: u8| (0..depth).fold(Vec::new(), |inner, at| [&[0x30, at * 2][..], &inner].concat());
        assert!(is_strict(&nested(16)) && !is_strict(&nested(17)));
    }
}
