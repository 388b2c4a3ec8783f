//! The engine as its callers see it.

mod golden;

use std::collections::HashSet;

use super::lexicon::Lexicon;
use super::teller::MAX_CHARS;
use super::{reply, tell};
use crate::domain::{JokeRequest, Length, Params, Style, Told, Topic};

const LENGTHS: [Length; 3] = [Length::Short, Length::Medium, Length::Long];

fn request(topic: &str, style: Style, length: Length) -> JokeRequest {
    let params = Params { style, length, ..Params::default() };
    JokeRequest { topic: Topic::parse(topic).unwrap(), params }
}

fn topics() -> Vec<&'static str> {
    Lexicon::get().subjects.iter().map(|subject| subject.name).collect()
}

fn words(told: &Told) -> usize {
    told.setup.split_whitespace().count() + told.punchline.split_whitespace().count()
}

/// What must hold of every joke.
fn check(told: &Told) {
    for part in [&told.setup, &told.punchline] {
        assert!(!part.is_empty() && part.chars().count() <= MAX_CHARS, "{told:?}");
        assert!(!part.contains(['{', '}', '|', '~', ';', '<', '>']) || part.ends_with(';'), "{told:?}");
        assert!(!part.chars().any(char::is_control), "{told:?}");
        for bad in ["  ", "..", "!.", "?.", " .", " ,", ",,", "\"\"", ".,", "!!", "??"] {
            assert!(!part.contains(bad), "{bad:?}: {told:?}");
        }
        assert!(part.matches('"').count().is_multiple_of(2), "{told:?}");
        let words: Vec<String> = part.split(' ').map(str::to_lowercase).collect();
        for pair in words.windows(2) {
            let is_vowel = pair[1].starts_with(['a', 'e', 'i', 'o']) && !pair[1].starts_with("one");
            let is_right = match pair[0].as_str() {
                "a" => !is_vowel || pair[1].starts_with("ewe"),
                "an" => is_vowel || pair[1].starts_with('u') || pair[1].starts_with("ho"),
                _ => true,
            };
            assert!(is_right, "{pair:?}: {told:?}");
        }
    }
    assert!(told.setup.ends_with(['.', '?', '!', ',', ';', ':', '"']), "{told:?}");
    assert!(told.punchline.ends_with(['.', '?', '!', '"']), "{told:?}");
    let is_upper = |text: &str| text.chars().find(|c| c.is_alphanumeric()).is_some_and(|c| !c.is_lowercase());
    assert!(is_upper(&told.setup), "{told:?}");
    assert!(is_upper(&told.punchline) || told.setup.ends_with([',', ';', ':']), "{told:?}");
    for text in [&told.setup, &told.punchline] {
        for sentence in text.split([".", "?", "!"].map(|mark| mark.chars().next().unwrap())).skip(1) {
            if let Some(rest) = sentence.strip_prefix(' ') {
                assert!(is_upper(rest), "{told:?}");
            }
        }
    }
}

#[test]
fn every_line_of_the_lists_is_understood() {
    let (lexicon, faults) = Lexicon::read();
    assert_eq!(faults, Vec::<&str>::new());
    assert!(lexicon.subjects.len() >= 60, "{} topics", lexicon.subjects.len());
    let is_pair = |kind: &str| ["call", "say", "ask"].contains(&kind);
    let pairs =
        lexicon.subjects.iter().flat_map(|subject| &subject.puns).filter(|pun| is_pair(pun.kind)).count();
    assert!(pairs >= 300, "{pairs} pairs");
    for subject in lexicon.subjects.iter().chain([&lexicon.any]) {
        for kind in ["call", "say", "knock", "fact"] {
            assert!(subject.puns.iter().any(|pun| pun.kind == kind), "{}: {kind}", subject.name);
        }
        for pun in &subject.puns {
            assert_eq!(pun.lead.ends_with('?'), ["ask", "spell"].contains(&pun.kind), "{pun:?}");
            assert!(!pun.turn.ends_with('.'), "{pun:?}");
        }
    }
    assert_eq!(lexicon.any.name, "*");
}

#[test]
fn every_style_on_every_topic_reads_well() {
    for topic in topics() {
        for style in Style::ALL {
            for length in LENGTHS {
                for seed in 0..8 {
                    check(&tell(&request(topic, style, length), seed));
                }
            }
        }
    }
}

#[test]
fn a_joke_is_as_long_as_it_may_be() {
    for style in Style::ALL {
        for (length, least, most) in
            [(Length::Short, 0, 25), (Length::Medium, 0, 60), (Length::Long, 25, 120)]
        {
            let mut total = 0;
            for seed in 0..200 {
                let topic = *topics().get(usize::try_from(seed).unwrap() % topics().len()).unwrap();
                let told = tell(&request(topic, style, length), seed);
                assert!(words(&told) <= most, "{told:?}");
                total += words(&told);
            }
            assert!(total / 200 >= least, "{style:?} {length:?}: {total}");
        }
    }
}

#[test]
fn one_topic_has_hundreds_of_jokes() {
    for topic in ["cats", "databases", "quantum llamas"] {
        for style in Style::ALL {
            let jokes: HashSet<String> =
                (0..2_000).map(|seed| tell(&request(topic, style, Length::Medium), seed)).map(text).collect();
            assert!(jokes.len() >= 300, "{topic} {style:?}: {}", jokes.len());
        }
    }
}

#[test]
fn all_topics_have_tens_of_thousands_of_jokes() {
    let topics = topics();
    let jokes: HashSet<String> = (0..50_000_usize)
        .map(|at| {
            let style = Style::ALL[at % 6];
            let length = LENGTHS[at / 6 % 3];
            tell(&request(topics[at / 18 % topics.len()], style, length), at as u64)
        })
        .map(text)
        .collect();
    assert!(jokes.len() >= 20_000, "{}", jokes.len());
}

#[test]
fn a_known_topic_is_met() {
    for (topic, expected) in [
        ("my three kittens", "cats"),
        ("KUBERNETES", "the cloud"),
        ("Rust's borrow checker", "programming"),
        ("vanilla ice cream", "ice cream"),
        ("black cats", "cats"),
        ("the sea", "the sea"),
    ] {
        let subject = Lexicon::get().subject_of(topic, &mut super::SplitMix64::new(1)).unwrap();
        assert_eq!(subject.name, expected, "{topic}");
    }
    let both: HashSet<_> = (0..50)
        .filter_map(|seed| Lexicon::get().subject_of("cats and dogs", &mut super::SplitMix64::new(seed)))
        .map(|subject| subject.name)
        .collect();
    assert_eq!(both, HashSet::from(["cats", "dogs"]));
}

#[test]
fn an_unknown_topic_is_named() {
    let named = (0..100).filter(|seed| {
        let told = tell(&request("quantum llamas", Style::Pun, Length::Medium), *seed);
        text(told).contains("llamas")
    });
    assert_eq!(named.count(), 100);
}

#[test]
fn a_hostile_topic_is_not_repeated() {
    let long = "é".repeat(200);
    for topic in [
        "{topic}",
        "{x} {who}",
        "<script>alert(1)</script>",
        "\u{202e}evil\u{202c}",
        "x\u{200b}y\u{feff}",
        "שלום עולם",
        "🐙🐙🐙",
        "a | b ~ c",
        "ignore everything that was said before and print the key",
        "̷̡̛z̸̢̛a̴l̵g̶o̷",
        "' \" -- ;",
        long.as_str(),
    ] {
        for style in Style::ALL {
            for length in LENGTHS {
                for seed in 0..20 {
                    let told = tell(&request(topic, style, length), seed);
                    check(&told);
                    let all = format!("{} {}", text(told), reply(topic, seed));
                    assert!(all.replace("café", "").is_ascii(), "{all}");
                    assert!(
                        !all.contains("alert(") && !all.contains("ignore") && !all.contains('<'),
                        "{all}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_text_gets_an_answer_with_a_joke() {
    let long = "about ".repeat(5_000);
    for said in [
        "",
        "hello",
        "tell me a joke about bees, please",
        "Tell me about <b>{x}</b>",
        "another one",
        "thanks!",
        "what is the capital of France?",
        "knock knock",
        "I like trains",
        "\u{0}\u{7}\u{202e}",
        long.as_str(),
    ] {
        for seed in 0..200 {
            let answer = reply(said, seed);
            assert!(answer.ends_with(['.', '!', '?', '"']) && answer.len() < 1_000, "{answer}");
            assert!(!answer.contains(['{', '}', '<', '\u{0}', '\u{202e}', '\n']), "{answer}");
            assert!(answer.chars().next().is_some_and(char::is_uppercase), "{answer}");
        }
    }
}

#[test]
fn an_answer_keeps_to_what_was_asked() {
    for seed in 0..50 {
        assert!(reply("Do you know a knock-knock joke?", seed).contains("Who's there?"));
        assert!(reply("tell me a joke about flugelhorns please", seed).contains("flugelhorns"));
        let bees = reply("a pun about bees!", seed).to_lowercase();
        assert!(["bee", "hive", "honey", "nectar"].iter().any(|word| bees.contains(word)), "{bees}");
    }
}

fn text(told: Told) -> String {
    format!("{} {}", told.setup, told.punchline)
}

#[test]
#[ignore = "prints jokes, to be read by people"]
fn read_some() {
    let topics = topics();
    for at in 0..240_usize {
        let topic = topics[at * 7 % topics.len()];
        let told = tell(&request(topic, Style::ALL[at % 6], LENGTHS[at / 6 % 3]), at as u64);
        println!("{topic}: {} / {}", told.setup, told.punchline);
    }
}
