//! Characters that nobody sees: controls, zero widths, marks of direction, tags, private ones.
//!
//! Some are part of honest writing, and only there they pass: joiners inside emoji and in the scripts of India and of the
//! Arabs, selectors of variants after something to select, tags in the flags of England, Scotland and Wales.

/// What was read, as far as it decides about the next character.
#[derive(Debug, Default)]
pub(super) struct Characters {
    before: Option<char>,
    open: Open,
}

/// What must come next.
#[derive(Debug, Default, PartialEq, Eq)]
enum Open {
    /// Anything.
    #[default]
    Nothing,
    /// An emoji, after the joiner behind another.
    Emoji,
    /// More tags of a flag, so many having come.
    Tags(u8),
}

/// Most tags of a flag, its end not counted (`gbeng`).
const MAX_TAGS: u8 = 5;

impl Characters {
    /// Whether the next character may stand here.
    pub(super) fn step(&mut self, c: char) -> bool {
        let passes = match std::mem::take(&mut self.open) {
            Open::Emoji => is_emoji(c),
            Open::Tags(count) => return self.tag(c, count),
            Open::Nothing => {
                c.is_ascii() && (!c.is_ascii_control() || matches!(c, '\n' | '\t')) || self.alone(c)
            }
        };
        self.before = Some(c);
        passes
    }

    /// Whether nothing is missing at the end.
    pub(super) fn is_complete(&self) -> bool {
        self.open == Open::Nothing
    }

    fn tag(&mut self, c: char, count: u8) -> bool {
        self.before = Some(c);
        match c {
            '\u{e007f}' => count > 0,
            '\u{e0061}'..='\u{e007a}' if count < MAX_TAGS => {
                self.open = Open::Tags(count + 1);
                true
            }
            _ => false,
        }
    }

    fn alone(&mut self, c: char) -> bool {
        let before = self.before.unwrap_or(' ');
        match c {
            '\u{200d}' if is_emoji(before) || matches!(before, '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}') => {
                self.open = Open::Emoji;
                true
            }
            '\u{200c}' | '\u{200d}' => joins(before),
            '\u{200e}' | '\u{200f}' | '\u{61c}' => is_rtl(before),
            '\u{180b}'..='\u{180f}' => matches!(before, '\u{1800}'..='\u{18af}'),
            '\u{fe00}'..='\u{fe0f}' => {
                !before.is_whitespace() && !before.is_ascii_alphabetic() && !is_selector(before)
            }
            '\u{e0100}'..='\u{e01ef}' => {
                matches!(before, '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
            }
            '\u{e0061}'..='\u{e007a}' if before == '\u{1f3f4}' => {
                self.open = Open::Tags(1);
                true
            }
            _ => !is_hidden(c),
        }
    }
}

/// What is refused wherever it stands, if no better rule knows it. The soft hyphen passes: it is common in copied text, and
/// the other rules read over it.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{200b}' | '\u{2028}' | '\u{2029}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fdd0}'..='\u{fdef}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}')
        || u32::from(c) & 0xfffe == 0xfffe
}

fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Emoji, generously: symbols and dingbats with them.
fn is_emoji(c: char) -> bool {
    matches!(c, '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{21ff}'
        | '\u{2300}'..='\u{23ff}' | '\u{2460}'..='\u{24ff}' | '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}'
        | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

/// Letters and signs of scripts that are written with joiners: Arabic and its kin, of India, Sri Lanka, Myanmar, Khmer,
/// Mongolian.
fn joins(c: char) -> bool {
    matches!(c, '\u{620}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{f00}'..='\u{109f}' | '\u{1780}'..='\u{18af}'
        | '\u{fb50}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

fn is_rtl(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(text: &str) -> bool {
        let mut state = Characters::default();
        text.chars().all(|c| state.step(c)) && state.is_complete()
    }

    #[test]
    fn honest_writing_passes() {
        for text in [
            "👨‍👩‍👧‍👦 family, 🏳️‍🌈, 👩🏽‍🚀, ❤️‍🔥, 1️⃣",
            "🏴󠁧󠁢󠁥󠁮󠁧󠁿 and 🏴󠁧󠁢󠁳󠁣󠁴󠁿",
            "می‌خواهم",
            "क्‍ष र्‌य श्रीलंका",
            "مرحبا\u{200f} שלום\u{200e}!",
            "e\u{301}\u{327} naïve\n\ttab",
            "葛\u{e0100}",
        ] {
            assert!(passes(text), "{text:?}");
        }
    }

    #[test]
    fn hidden_characters_do_not() {
        for text in [
            "a\u{0}",
            "a\rb",
            "\u{1b}[31m",
            "\u{85}",
            "a\u{200b}b",
            "a\u{200d}b",
            "🙂\u{200d}",
            "🙂\u{200d}a",
            "\u{feff}a",
            "a\u{202e}b",
            "a\u{2066}",
            "a\u{2060}",
            "\u{e0041}\u{e0042}",
            "🏴\u{e0067}",
            "a\u{fe0f}",
            "🙂\u{fe0f}\u{fe0e}",
            "\u{e000}",
            "\u{10ffff}",
            "\u{fffe}",
            "\u{3164}",
            "a\u{200e}",
        ] {
            assert!(!passes(text), "{text:?}");
        }
    }
}
