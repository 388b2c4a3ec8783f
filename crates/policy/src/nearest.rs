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

/// Edit distance in which two neighbours that changed places count once (optimal string alignment), row by row.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let at = |row: &[usize], index: Option<usize>| index.and_then(|index| row.get(index).copied());
    let (mut above, mut row): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=right.len()).collect());
    let mut before = None;
    for (line, a) in left.chars().enumerate() {
        let mut next = vec![line + 1];
        let mut last = None;
        for (column, b) in right.iter().copied().enumerate() {
            let replaced = at(&row, Some(column)).map(|cost| cost + usize::from(a != b));
            let removed = at(&row, Some(column + 1)).map(|cost| cost + 1);
            let added = at(&next, Some(column)).map(|cost| cost + 1);
            let swapped = (before == Some(b) && last == Some(a)).then(|| at(&above, column.checked_sub(1)));
            let swapped = swapped.flatten().map(|cost| cost + 1);
            next.extend([replaced, removed, added, swapped].into_iter().flatten().min());
            last = Some(b);
        }
        above = std::mem::replace(&mut row, next);
        before = Some(a);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_edits_and_swaps() {
        for (left, right, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("auth", "auth", 0),
            ("egde", "edge", 1),
            ("ca", "ac", 1),
            ("abcd", "badc", 2),
        ] {
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
