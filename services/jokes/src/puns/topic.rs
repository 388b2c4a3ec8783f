//! Reads what a user wrote as a topic: as words to look up, and as a name that may be repeated.

use unicode_normalization::UnicodeNormalization;

/// Stands for a topic that is not fit to be repeated.
pub(super) const UNNAMED: &str = "this";

/// Most characters that are read of a text.
const MAX_READ: usize = 2_000;
/// Most words of a name.
const MAX_WORDS: usize = 4;
/// Most characters of a word of a name.
const MAX_WORD: usize = 20;

/// The words of a text, to be compared with others: NFKC, lower case, without plural endings.
pub(super) fn words(text: &str) -> Vec<String> {
    let text: String = text.chars().take(MAX_READ).nfkc().flat_map(char::to_lowercase).collect();
    let text = text.replace('\u{2019}', "'");
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '\'');
    words.map(|word| word.trim_matches('\'')).filter(|word| !word.is_empty()).map(stem).collect()
}

/// The topic's name as a joke may repeat it: what stands after "about", if that is one to four plain words of Latin letters,
/// digits, hyphens and apostrophes, else [`UNNAMED`].
pub(super) fn name(text: &str) -> String {
    let text: String = text.chars().take(MAX_READ).nfkc().collect();
    let text = text.replace('\u{2019}', "'");
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let about = words.iter().rposition(|word| word.eq_ignore_ascii_case("about")).map_or(0, |at| at + 1);
    let words = words.get(about..).unwrap_or_default();
    let is_plain = (1..=MAX_WORDS).contains(&words.len()) && words.iter().all(|word| is_plain(word));
    if is_plain { words.join(" ") } else { UNNAMED.to_owned() }
}

/// The last word of a name, which is most often its noun.
pub(super) fn last_word(name: &str) -> &str {
    name.rsplit([' ', '-']).next().unwrap_or(name)
}

fn is_plain(word: &str) -> bool {
    word.chars().count() <= MAX_WORD
        && word.chars().all(|c| is_latin(c) || c.is_ascii_digit() || c == '-' || c == '\'')
        && !word.starts_with(['-', '\''])
        && !word.ends_with(['-', '\''])
}

/// A letter of the blocks Basic Latin, Latin-1 Supplement, Latin Extended-A and -B.
fn is_latin(c: char) -> bool {
    c.is_alphabetic() && c <= '\u{24F}'
}

/// A word without its plural or possessive ending. It need not be a word, only the same for `cookie` and `cookies`.
fn stem(word: &str) -> String {
    let word = word.strip_suffix("'s").unwrap_or(word);
    if word.chars().count() < 4 {
        return word.to_owned();
    }
    if let Some(head) = word.strip_suffix("ies").or_else(|| word.strip_suffix("ie")) {
        return format!("{head}y");
    }
    for ending in ["ses", "xes", "zes", "ches", "shes"] {
        if word.ends_with(ending) && !word.ends_with("rses") && !word.ends_with("uses") {
            return word.strip_suffix("es").unwrap_or(word).to_owned();
        }
    }
    if ["ss", "us", "is"].iter().any(|ending| word.ends_with(ending)) {
        return word.to_owned();
    }
    word.strip_suffix('s').unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singular_and_plural_are_one_word() {
        for (one, many) in [
            ("cat", "cats"),
            ("cookie", "cookies"),
            ("puppy", "puppies"),
            ("horse", "horses"),
            ("house", "houses"),
            ("glass", "glasses"),
            ("box", "boxes"),
            ("bee", "bees"),
            ("witch", "Witches"),
            ("ｃａｔ", "Cat's"),
        ] {
            assert_eq!(words(one), words(many), "{one}");
        }
        assert_eq!(words("  Tennis, chess & a BUS! "), ["tennis", "chess", "a", "bus"]);
        assert!(words("?! \u{200f}🐱").is_empty());
    }

    #[test]
    fn only_a_plain_name_is_repeated() {
        for (text, expected) in [
            ("llamas", "llamas"),
            ("Ada Lovelace", "Ada Lovelace"),
            ("a joke about my aunt's tractor", "my aunt's tractor"),
            ("crème   brûlée", "crème brûlée"),
            ("rock’n’roll", "rock'n'roll"),
            ("42", "42"),
            ("one two three four five", UNNAMED),
            ("{topic}", UNNAMED),
            ("<b>x</b>", UNNAMED),
            ("a\u{7}b", UNNAMED),
            ("a\tb", UNNAMED),
            ("שלום", UNNAMED),
            ("-- '", UNNAMED),
            ("", UNNAMED),
        ] {
            assert_eq!(name(text), expected, "{text:?}");
        }
        assert_eq!(name(&"é".repeat(200)), UNNAMED);
        assert_eq!(last_word("red-hot tractor"), "tractor");
    }
}
