//! One form for all ways to write a character.
//!
//! Every character is folded by itself, without a look at its neighbours. So a text folds alike however it is cut, and a
//! pattern that was folded the same way is found in it.

use unicode_normalization::char::{decompose_canonical, decompose_compatible, is_combining_mark};

/// Gives the letters by which words are known: compatibility forms resolved, marks and invisible characters dropped, lower
/// case, look-alikes of other scripts as Latin letters.
pub(super) fn skeleton(c: char, mut emit: impl FnMut(char)) {
    if c.is_ascii() {
        return emit(c.to_ascii_lowercase());
    }
    if is_ignorable(c) {
        return;
    }
    if let Some(letter) = boxed(c) {
        return emit(letter);
    }
    decompose_compatible(c, |part| {
        if !is_combining_mark(part) {
            for lower in part.to_lowercase().filter(|lower| !is_combining_mark(*lower)) {
                look_alike(lower, &mut emit);
            }
        }
    });
}

/// A whole text as [`skeleton`].
pub(super) fn skeleton_of(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| skeleton(c, |part| out.push(part)));
    out
}

/// Gives the form in which patterns are looked for: widths and ligatures resolved, marks that stand alone and invisible
/// characters dropped; case and composed letters such as `é` stay.
pub(super) fn plain(c: char, mut emit: impl FnMut(char)) {
    if c.is_ascii() {
        return emit(c);
    }
    if is_ignorable(c) || is_overlay(c) {
        return;
    }
    let (mut parts, mut same) = (0, true);
    decompose_canonical(c, |part| {
        parts += 1;
        same &= part == c;
    });
    if parts == 1 && same { decompose_compatible(c, emit) } else { emit(c) }
}

/// A whole text as [`plain`].
pub(super) fn plain_of(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| plain(c, |part| out.push(part)));
    out
}

/// Whether a character stands for no sound and no space: what may hide between the letters of a word.
pub(super) fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Marks that are put over or through any character.
fn is_overlay(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}')
}

/// Whether words of the script stand without blanks between them.
pub(crate) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{edf}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{2fff}'
        | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Letters in boxes, discs and flags, which Unicode does not decompose.
fn boxed(c: char) -> Option<char> {
    let from = |base: u32| u8::try_from(u32::from(c) - base).ok().map(|place| char::from(b'a' + place));
    match c {
        '\u{1f1e6}'..='\u{1f1ff}' => from(0x1f1e6),
        '\u{1f150}'..='\u{1f169}' => from(0x1f150),
        '\u{1f170}'..='\u{1f189}' => from(0x1f170),
        _ => None,
    }
}

/// The Latin letter that a letter in lower case looks like (after the confusables of UTS #39, its common part).
fn look_alike(c: char, emit: &mut impl FnMut(char)) {
    let latin = match c {
        'а' | 'α' | 'ɑ' | 'ᴀ' => 'a',
        'в' | 'β' | 'ʙ' => 'b',
        'с' | 'ϲ' | 'ᴄ' => 'c',
        'ԁ' | 'đ' | 'ᴅ' => 'd',
        'е' | 'ε' | 'є' | 'ᴇ' | 'ɛ' => 'e',
        'ꜰ' => 'f',
        'ɡ' | 'ɢ' => 'g',
        'һ' | 'н' | 'հ' | 'ʜ' => 'h',
        'і' | 'ι' | 'ı' | 'ɪ' | 'ɩ' => 'i',
        'ј' | 'ᴊ' => 'j',
        'к' | 'κ' | 'ᴋ' => 'k',
        'ł' | 'ʟ' | 'ӏ' => 'l',
        'м' | 'ᴍ' => 'm',
        'η' | 'ո' | 'ɴ' => 'n',
        'о' | 'ο' | 'ø' | 'օ' | 'ᴏ' | 'σ' => 'o',
        'р' | 'ρ' | 'ᴘ' => 'p',
        'ԛ' => 'q',
        'ʀ' => 'r',
        'ѕ' | 'ꜱ' => 's',
        'т' | 'τ' | 'ᴛ' => 't',
        'υ' | 'ս' | 'ᴜ' | 'μ' => 'u',
        'ν' | 'ѵ' | 'ᴠ' => 'v',
        'ω' | 'ԝ' | 'ᴡ' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'γ' | 'ү' | 'ʏ' => 'y',
        'ζ' | 'ᴢ' => 'z',
        'ß' => {
            emit('s');
            's'
        }
        'æ' => {
            emit('a');
            'e'
        }
        other => other,
    };
    emit(latin);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disguises_fold_to_the_same_letters() {
        for text in [
            "Ignore",
            "ｉｇｎｏｒｅ",
            "іgnоrе",
            "i\u{200b}g\u{200d}nore",
            "ígnörê",
            "𝐢𝐠𝐧𝐨𝐫𝐞",
            "🄸🄶🄽🄾🅁🄴",
            "🅸🅶🅽🅾🆁🅴",
        ] {
            assert_eq!(skeleton_of(text), "ignore", "{text}");
        }
    }

    #[test]
    fn patterns_see_case_and_accents() {
        assert_eq!(plain_of("Ｃafé ①２ ﬁ n\u{338}o"), "Café 12 fi no");
    }
}
