//! Emoticons: `_emoticon` of `train/features.py`. All of their characters are ASCII.

use super::unicode::{is_alnum, is_space};

const EYES: [char; 3] = [':', ';', '='];
const NOSES: [char; 4] = ['-', 'o', '*', '\''];
const MOUTHS: [char; 12] = [')', ']', '(', '\\', '[', 'd', 'D', 'p', 'P', '/', '|', '@'];
const ROUNDS: [char; 4] = [')', ']', '(', '['];

/// Number of characters of the emoticon at the start of `rest`; all of them are ASCII.
pub(super) fn emoticon(rest: &str, before: Option<char>) -> Option<usize> {
    match rest.chars().next()? {
        '<' => {
            if rest.starts_with("<3") {
                Some(2)
            } else {
                rest.starts_with("</3").then_some(3)
            }
        }
        '^' => {
            if rest.starts_with("^_^") || rest.starts_with("^.^") {
                Some(3)
            } else {
                rest.starts_with("^^").then_some(2)
            }
        }
        c if EYES.contains(&c) => eyes_first(rest, before),
        c if ROUNDS.contains(&c) && before.is_none_or(is_space) => mouth_first(rest),
        _ => None,
    }
}

/// `:)`, `;-P`, `=((`
fn eyes_first(rest: &str, before: Option<char>) -> Option<usize> {
    let nose = usize::from(rest.chars().nth(1).is_some_and(|c| NOSES.contains(&c)));
    let from = 1 + nose;
    let mouth = rest.get(from..)?;
    let length = mouth.chars().take_while(|c| MOUTHS.contains(c)).count();
    let first = mouth.chars().next()?;
    let runs_on = mouth.get(length..).and_then(|tail| tail.chars().next()).is_some_and(is_alnum);
    let inside_word = before.is_some_and(is_alnum) && is_alnum(first);
    (length > 0 && !runs_on && !inside_word).then_some(from + length)
}

/// `(:`, `)-;`
fn mouth_first(rest: &str) -> Option<usize> {
    let rounds = rest.chars().take_while(|c| ROUNDS.contains(c)).count();
    let nose = usize::from(rest.get(rounds..)?.chars().next().is_some_and(|c| NOSES.contains(&c)));
    let mut tail = rest.get(rounds + nose..)?.chars();
    let eyes = tail.next().is_some_and(|c| EYES.contains(&c));
    (eyes && !tail.next().is_some_and(is_alnum)).then_some(rounds + nose + 1)
}
