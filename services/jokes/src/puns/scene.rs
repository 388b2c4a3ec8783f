//! Fills a template's slots and makes sentences of the result.
//!
//! A slot has one value throughout a joke. What a user wrote is put in as it is and never read as a template.

use super::lexicon::{Lexicon, Pun, Subject};
use super::random::SplitMix64;
use super::topic::last_word;

/// The values of one joke.
pub(super) struct Scene<'a> {
    lexicon: &'static Lexicon,
    subject: Option<&'static Subject>,
    /// What the topic is called.
    name: &'a str,
    pun: Pun,
    random: &'a mut SplitMix64,
    /// What was drawn already.
    drawn: Vec<(&'static str, &'static str)>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(
        lexicon: &'static Lexicon,
        subject: Option<&'static Subject>,
        name: &'a str,
        pun: Pun,
        random: &'a mut SplitMix64,
    ) -> Self {
        Self { lexicon, subject, name, pun, random, drawn: Vec::new() }
    }

    /// The template with a value in each slot, as sentences.
    pub(super) fn sentences(&mut self, template: &'static str, starts_sentence: bool) -> String {
        let mut text = String::with_capacity(256);
        self.fill(template, &mut text);
        polish(&text, starts_sentence)
    }

    fn fill(&mut self, template: &'static str, out: &mut String) {
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let (slot, after) = after.split_once('}').unwrap_or((after, ""));
            self.slot(slot, out);
            rest = after;
        }
        out.push_str(rest);
    }

    fn slot(&mut self, slot: &'static str, out: &mut String) {
        let end = || last_word(self.name).trim_matches('\'');
        match slot {
            "x" => out.push_str(self.name),
            "end" => out.push_str(end()),
            "first" => out.extend(end().chars().next().into_iter().flat_map(char::to_uppercase)),
            "last" => out.extend(end().chars().next_back().into_iter().flat_map(char::to_uppercase)),
            "word" => self.fill(self.pun.word, out),
            "lead" => self.fill(self.pun.lead, out),
            "turn" => self.fill(self.pun.turn, out),
            _ => {
                let value = self.draw(slot);
                self.fill(value, out);
            }
        }
    }

    fn draw(&mut self, slot: &'static str) -> &'static str {
        if let Some((_, value)) = self.drawn.iter().find(|(known, _)| *known == slot) {
            return value;
        }
        let choices = self.lexicon.choices(self.subject, slot);
        let value = self.random.pick(choices).copied().unwrap_or_default();
        self.drawn.push((slot, value));
        value
    }
}

/// Writes a capital where a sentence or an opening quotation begins, and one mark where two would meet.
fn polish(text: &str, starts_sentence: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut starts = starts_sentence;
    let (mut is_quoted, mut goes_on) = (false, false);
    // The last two characters that were written.
    let (mut before, mut last) = (' ', ' ');
    for c in text.chars() {
        let is_second_mark = matches!(c, '.' | ',' | '!') && matches!(last, '.' | '!' | '?');
        let closes_mark = c == '.' && last == '"' && matches!(before, '.' | '!' | '?');
        if is_second_mark || closes_mark {
            continue;
        }
        if c == '"' {
            // After `," she said, "` the same sentence goes on.
            starts = starts || (!is_quoted && !goes_on);
            goes_on = is_quoted && last == ',';
            is_quoted = !is_quoted;
        } else if c == ' ' {
            starts = starts || matches!(last, '.' | '!' | '?');
            goes_on = goes_on && !matches!(last, '.' | '!' | '?' | ':');
        } else if starts {
            out.extend(c.to_uppercase());
            (before, last) = (last, c);
            starts = false;
            continue;
        } else {
            starts = false;
        }
        out.push(c);
        (before, last) = (last, c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_begin_with_a_capital_and_end_with_one_mark() {
        for (text, expected) in [
            ("one. two? three!", "One. Two? Three!"),
            ("who is there?. nobody!.", "Who is there? Nobody!"),
            ("she said: \"come in!\" and left.", "She said: \"Come in!\" and left."),
            ("\"why?\" asked Dad.", "\"Why?\" asked Dad."),
            ("\"tell me,\" he said, \"when it rains.\"", "\"Tell me,\" he said, \"when it rains.\""),
            ("\"rain,\" he said. I asked: \"rain who?\"", "\"Rain,\" he said. I asked: \"Rain who?\""),
            ("they say \"no!\".", "They say \"No!\""),
        ] {
            assert_eq!(polish(text, true), expected);
        }
        assert_eq!(polish("and it cracked up.", false), "and it cracked up.");
    }
}
