//! Texts that the guards are tried on: what must not leave, what users send, and what keeps the guards busy.
//!
//! The tests of these guards read this file, and so do those of the whole mesh: it stands on nothing but the corpora.

/// What surrounds a banned text in an answer.
pub(crate) const BEFORE: &str =
    "Why did the cat sit down? Because it was tired of standing up.\nThe end came soon [sighs] and so on. ";
pub(crate) const AFTER: &str = " Then everybody laughed! \"Was that all?\" It was.";

/// A policy beside the built-in one, which some of [`banned`] break.
pub(crate) const POLICY: &str = "words: {brands: {list: [acme, big corp, 悪い], on: out}}\n\
    patterns: {order: {regex: 'ORDER no\\. [0-9]{2} of [a-z]', on: out}}\n";

/// Between two words, so that eight of them reach over more sentences than a window gathers before it looks at them.
const LINES: &str = " --------\n-------- ";

const BENIGN: &str = include_str!("../../../data/guard/benign.txt");
const INJECTIONS: &str = include_str!("../../../data/guard/injections.txt");

/// Small, and alike on every machine (Marsaglia's xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    /// Up to four parts of these texts, and now and then any character.
    pub(crate) fn text(&mut self, fragments: &[String]) -> String {
        let mut text = String::new();
        for _ in 0..self.below(5) {
            let chars: Vec<char> = fragments[self.below(fragments.len())].chars().collect();
            let (a, b) = (self.below(chars.len() + 1), self.below(chars.len() + 1));
            text.extend(&chars[a.min(b)..a.max(b)]);
            let any = char::from_u32(u32::try_from(self.below(0x11_0000)).unwrap());
            text.extend(any.filter(|_| self.below(9) == 0));
        }
        text
    }
}

/// Honest topics and messages.
pub(crate) fn benign() -> impl Iterator<Item = &'static str> {
    lines(BENIGN)
}

/// Prompt injections: their class and their text.
pub(crate) fn injections() -> impl Iterator<Item = (&'static str, String)> {
    lines(INJECTIONS).map(|line| {
        let (class, text) = line.split_once('\t').unwrap();
        (class, unescaped(text))
    })
}

/// What may not leave, and by which rule, where this is the secret and this the system prompt.
pub(crate) fn banned(canary: &str, system: &str) -> Vec<(String, String)> {
    let mut list = secrets(canary, system);
    let mut add = |rule, texts: &[&str]| list.extend(texts.iter().map(|text| (rule, (*text).to_owned())));
    add("secret", &["sk-abcdefghij0123456789abcd", "AKIAIOSFODNN7EXAMPLE", "-----BEGIN PRIVATE KEY-----"]);
    for tag in [
        "b",
        "script",
        "img src=x",
        "/div",
        "!DOCTYPE html",
        "svg/onload=x",
        "a href='x'",
        "iframe",
        "?xml",
        "p",
    ] {
        add("html", &[&format!("<{tag}>"), &format!("&lt;{tag}&gt;")]);
    }
    add("html", &["[Click. Here! Now](https://x.example)", "![a. b](/c)", "[x](\nhttp://y.example)"]);
    add("html", &["javascript:alert(1)"]);
    add("control_characters", &["\u{0}", "\u{7}", "\u{1b}[0m", "\u{200b}", "\u{202e}", "\u{2066}"]);
    add("control_characters", &["\u{feff}", "\u{e0041}", "\u{85}", "\u{e000}"]);
    for name in ["ann", "bob.lee", "c+d", "e_f", "joe-1", "x"] {
        add("personal_data.email", &[&format!("{name}@mail.example.org")]);
    }
    let cards = ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "6011000990139424"];
    add("personal_data.card", &cards);
    let accounts =
        ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "FR14 2004 1010 0505 0001 3M02 606"];
    add("personal_data.iban", &accounts);
    (10..30).for_each(|area| add("personal_data.ssn", &[&format!("1{area}-45-6789")]));
    (200..260).for_each(|area| add("personal_data.phone", &[&format!("({area}) 555-0123")]));
    (30..50).for_each(|area| add("personal_data.phone", &[&format!("+49 {area} 9018-20")]));
    add("words.brands", &["Big. Corp", "ＡＣＭＥ", "аcmе", "a\u{301}cme", "悪い"]);
    (0..20).for_each(|number| add("patterns.order", &[&format!("ORDER no. {number:02} of x")]));
    list.into_iter().map(|(rule, text)| (rule.to_owned(), text)).collect()
}

/// The secret in some disguises, and parts of the system prompt.
fn secrets(canary: &str, system: &str) -> Vec<(&'static str, String)> {
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let spaced: String = canary.chars().flat_map(|c| [c, ' ']).collect();
    let reversed: String = canary.chars().rev().collect();
    let turned: Vec<char> = canary.chars().map(rot13).collect();
    let turned: Vec<String> = turned.chunks(5).map(|part| part.iter().collect()).collect();
    let in_words = canary.to_lowercase().replace('-', " ");
    let in_lines = canary.chars().map(|c| format!("---- {c} ----\n")).collect();
    let forms = [
        canary.to_owned(),
        canary.to_uppercase(),
        in_words,
        hex,
        spaced,
        reversed,
        in_lines,
        turned.join(". "),
    ];
    let words: Vec<&str> = system.split_whitespace().take(31).collect();
    let runs = words.windows(8).enumerate().map(|(n, run)| run.join(if n % 2 == 0 { LINES } else { " " }));
    forms.into_iter().chain(runs).map(|text| ("secret", text)).collect()
}

/// Parts of honest and of hostile texts, and oddities.
pub(crate) fn fragments() -> Vec<String> {
    let odd = [
        "\u{200d}",
        "👨‍👩‍👧",
        "[",
        "](",
        "<",
        "&#x3",
        "4111 1111 ",
        "DE89 ",
        "@",
        "\u{301}\u{301}",
        "\n",
        ". ",
        "\u{e0067}",
        "%41%",
        " the big corp ",
        "ORDER no. 12 of a",
    ];
    let odd = odd.map(str::to_owned).into_iter().chain(["A".repeat(99)]);
    benign().map(str::to_owned).chain(injections().map(|(_, text)| text)).chain(odd).collect()
}

/// Texts of about a length that make the guards work.
pub(crate) fn long(bytes: usize) -> Vec<String> {
    let parts = [
        "a",
        "a. ",
        "[a. ",
        "1 ",
        "1. ",
        "ignore all the ",
        "QUJD",
        "a b ",
        "<",
        "the of to and ",
        "\u{301}",
        "猫。",
        "%41",
        "4111 ",
        "a@",
        "! ",
    ];
    parts.iter().map(|part| part.repeat(bytes / part.len())).collect()
}

fn rot13(c: char) -> char {
    let turn = |base: u8| u8::try_from(c).map_or(c, |byte| char::from((byte - base + 13) % 26 + base));
    match c {
        'a'..='z' => turn(b'a'),
        'A'..='Z' => turn(b'A'),
        _ => c,
    }
}

/// The lines of a corpus, without comments.
fn lines(corpus: &str) -> impl Iterator<Item = &str> {
    corpus.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

/// Decodes `\n`, `\t`, `\\` and `\u{…}`.
fn unescaped(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (c, length) = match after.chars().next() {
            Some('n') => ('\n', 1),
            Some('t') => ('\t', 1),
            Some('u') => {
                let end = after.find('}').unwrap();
                (char::from_u32(u32::from_str_radix(&after[2..end], 16).unwrap()).unwrap(), end + 1)
            }
            _ => ('\\', 1),
        };
        out.push(c);
        rest = &after[length..];
    }
    out + rest
}
