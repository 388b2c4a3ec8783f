//! The name that was probably meant: a small edit distance over the names that exist.

/// ` (did you mean "jokes"?)` when one of `known` is near `wrong`, else nothing.
pub(crate) fn suggestion<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(wrong, known).map_or_else(String::new, |name| format!(" (did you mean \"{name}\"?)"))
}

/// The nearest of `known`: the same but for case, or at most a third of its letters away.
fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A name this long is not a slip of the pen, and the distance is quadratic.
    if wrong.len() > 200 {
        return None;
    }
    known
        .into_iter()
        .filter_map(|name| {
            if name.eq_ignore_ascii_case(wrong) {
                return Some((0, name));
            }
            let distance = distance(wrong, name);
            (distance <= (name.chars().count() / 3).max(1)).then_some((distance, name))
        })
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance, one row at a time.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, a) in left.chars().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        let mut next = vec![before];
        for (b, &above) in right.iter().zip(row.iter().skip(1)) {
            let cost = diagonal + usize::from(a != *b);
            before = cost.min(above + 1).min(before + 1);
            diagonal = above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        for (left, right, expected) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("auth", "auth", 0)]
        {
            assert_eq!(distance(left, right), expected, "{left} {right}");
            assert_eq!(distance(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        let known = ["auth", "gateway", "sentiment"];
        assert_eq!(nearest("sentimant", known), Some("sentiment"));
        assert_eq!(nearest("GATEWAY", known), Some("gateway"));
        assert_eq!(nearest("aut", known), Some("auth"));
        assert_eq!(nearest("images", known), None);
        assert_eq!(suggestion("autth", known), " (did you mean \"auth\"?)");
    }
}
