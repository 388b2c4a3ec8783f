//! The embedded pun engine: tells jokes with no key and no network.
//!
//! It owns word lists that were written for it (`data/puns`), and sets their puns into templates. It is pure: the same
//! request and seed give the same joke, on every machine and with every version of every dependency. It never asks
//! anybody, never fails, and never repeats of a user's words more than a plain name of the topic. It speaks English.

use self::lexicon::Lexicon;
use self::random::SplitMix64;
use self::teller::Wish;
use crate::domain::{JokeRequest, Told};

mod lexicon;
mod random;
mod reply;
mod scene;
mod teller;
mod topic;

#[cfg(test)]
mod tests;

/// Tells a joke. The same request and seed give the same joke.
///
/// Setup and punchline have at most 400 characters each, and together at most the words of [`Length::words`].
/// The audience counts for nothing, as every joke is fit for children; so does the language, as all are English.
///
/// [`Length::words`]: crate::domain::Length::words
#[must_use]
pub fn tell(request: &JokeRequest, seed: u64) -> Told {
    let lexicon = Lexicon::get();
    let text = request.topic.as_str();
    let mut random = SplitMix64::for_text(seed, text);
    let subject = lexicon.subject_of(text, &mut random);
    let name = subject.map_or_else(|| topic::name(text), |subject| subject.name.to_owned());
    let wish = Wish { style: request.params.style, length: request.params.length, subject, name: &name };
    teller::joke(lexicon, &wish, &mut random)
}

/// Answers the last words of a conversation with a few clean sentences that hold a joke.
///
/// The answer is one paragraph of plain text with less than 1,000 characters.
#[must_use]
pub fn reply(said: &str, seed: u64) -> String {
    reply::to(said, seed, Lexicon::get())
}
