//! A seed names the same joke for ever.

use super::request;
use crate::domain::{Length, Style};
use crate::puns::{reply, tell};

/// What some seeds named when they were first asked. They change with the lists, and with nothing else.
const GOLDEN: [(&str, Style, u64, &str, &str); 6] = [
    (
        "cats",
        Style::Pun,
        1,
        "Why did the cat apply for a job in the computer shop?",
        "It had heard that everyone gets a mouse.",
    ),
    (
        "Kubernetes",
        Style::OneLiner,
        2,
        "When the lazy one gets the blame, containers have only one thing to say:",
        "It serves you right.",
    ),
    (
        "cheese",
        Style::KnockKnock,
        3,
        "Knock, knock! \"Who's there?\" \"Cheddar.\" \"Cheddar who?\"",
        "\"Cheddar open up before the crackers are gone!\"",
    ),
    (
        "the sea",
        Style::Riddle,
        4,
        "Riddle me this: what do whales call a match without a winner?",
        "A tide game!",
    ),
    (
        "my bicycle",
        Style::Dad,
        5,
        "\"What do bicycle menders say when friends are invited on Sunday?\" asked Dad.",
        "\"Wheel be there!\"",
    ),
    (
        "flugelhorns",
        Style::Observational,
        6,
        "It is a strange thing: everyone has an opinion about flugelhorns until somebody takes notes.",
        "Then we all have to be somewhere.",
    ),
];

#[test]
fn a_seed_names_a_joke() {
    for (topic, style, seed, setup, punchline) in GOLDEN {
        let told = tell(&request(topic, style, Length::Short), seed);
        assert_eq!((told.setup.as_str(), told.punchline.as_str()), (setup, punchline), "{topic}");
    }
    for seed in 0..200 {
        let request = request("bread and llamas", Style::Dad, Length::Long);
        assert_eq!(tell(&request, seed), tell(&request, seed));
        assert_eq!(reply("hello", seed), reply("hello", seed));
    }
}
