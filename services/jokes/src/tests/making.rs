//! Jokes and answers that come to a good end.

use mesh_testkit::on_both;

use super::support::{Act, FEELS, Fixture, GOOD, PRICE, Scripted, Setup, TOKENS, all, joke, order, somebody};
use crate::cache::Mode;
use crate::domain::Conversation;
use crate::error::JokesError;
use crate::ports::{Role, Tokens, Turn};
use crate::service::Event;

on_both!(
    a_joke_is_told_kept_and_billed,
    whoever_reads_along_reads_the_same,
    a_joke_is_given_when_nobody_knows_how_it_feels,
    what_is_no_joke_is_asked_for_once_more,
    a_cached_joke_is_the_users_own_and_costs_nothing,
    a_chat_ends_with_what_it_used,
    usage_is_counted_when_the_provider_does_not_say,
);

async fn a_joke_is_told_kept_and_billed(fixture: Fixture) {
    let model = Scripted::new("m", [Act::Say(GOOD.to_owned(), 7)]);
    let jokes = fixture.service(Setup::of(&model)).await;
    let (_, joke) = joke(&jokes, "ana", false).await;
    let joke = joke.unwrap();
    assert_eq!(joke.told.punchline, "To watch the mouse.");
    assert_eq!((joke.usage.input_tokens, joke.usage.output_tokens), (TOKENS.input, TOKENS.output));
    assert_eq!(joke.usage.cost_nanos, PRICE.of(TOKENS));
    assert_eq!(joke.sentiment.as_ref().unwrap().label, "positive");
    assert!(
        u128::from(joke.latency_ms) >= FEELS.as_millis(),
        "{} ms leave the feelings out",
        joke.latency_ms
    );
    assert_eq!(jokes.joke_of(&somebody("ana"), &joke.id).await.unwrap(), joke);
    assert!(matches!(jokes.joke_of(&somebody("bob"), &joke.id).await, Err(JokesError::NotFound(_))));
    let used = jokes.usage(&somebody("ana")).await.unwrap()[0].used;
    assert_eq!((used.calls, used.tokens, used.cost_nanos), (1, 120, PRICE.of(TOKENS)));
}

async fn whoever_reads_along_reads_the_same(fixture: Fixture) {
    for size in [1, 3, 1_000] {
        let model = Scripted::new("m", [Act::Say(GOOD.to_owned(), size)]);
        let jokes = fixture.service(Setup::of(&model)).await;
        let (text, joke) = joke(&jokes, "ana", true).await;
        let told = joke.unwrap().told;
        assert_eq!(text, format!("{}\n\n{}", told.setup, told.punchline));
    }
}

async fn a_joke_is_given_when_nobody_knows_how_it_feels(fixture: Fixture) {
    let model = Scripted::new("m", [Act::Say(GOOD.to_owned(), 7)]);
    let jokes = fixture.service(Setup { knows_feelings: false, ..Setup::of(&model) }).await;
    let joke = joke(&jokes, "ana", false).await.1.unwrap();
    assert_eq!(joke.sentiment, None);
    assert_eq!(jokes.joke_of(&somebody("ana"), &joke.id).await.unwrap().sentiment, None);
}

async fn what_is_no_joke_is_asked_for_once_more(fixture: Fixture) {
    let bad = Act::Say("Here you are: nothing".to_owned(), 100);
    let model = Scripted::new("m", [bad.clone(), Act::Say(GOOD.to_owned(), 7), bad]);
    let jokes = fixture.service(Setup::of(&model)).await;
    assert!(joke(&jokes, "ana", false).await.1.is_ok());
    assert_eq!(model.calls(), 2);
    assert!(matches!(joke(&jokes, "ana", false).await.1, Err(JokesError::Unfit(_))));
    assert_eq!(model.calls(), 4);
    let used = jokes.usage(&somebody("ana")).await.unwrap()[0].used;
    assert_eq!((used.calls, used.tokens), (4, 480), "each call is billed");
}

async fn a_cached_joke_is_the_users_own_and_costs_nothing(fixture: Fixture) {
    let model = Scripted::new("m", [Act::Say(GOOD.to_owned(), 7)]);
    let jokes = fixture.service(Setup { cache: Mode::On, ..Setup::of(&model) }).await;
    let first = joke(&jokes, "ana", false).await.1.unwrap();
    let (text, second) = joke(&jokes, "ana", true).await;
    let second = second.unwrap();
    assert!(second.cached && !first.cached && second.id != first.id);
    assert_eq!((second.told, second.usage.cost_nanos), (first.told, 0));
    assert!(text.ends_with("To watch the mouse."));
    assert!(!joke(&jokes, "bob", false).await.1.unwrap().cached, "another's");
    assert_eq!(model.calls(), 2);
}

async fn a_chat_ends_with_what_it_used(fixture: Fixture) {
    let hello = Act::Say("Hello there. How are you?".to_owned(), 4);
    let long = Act::Say("And then some more. ".repeat(500), 10_000);
    let model = Scripted::new("m", [hello, Act::Endless, long]);
    let jokes = fixture.service(Setup::of(&model)).await;
    let said = Conversation::new(vec![Turn { role: Role::User, text: "Hi".to_owned() }]).unwrap();
    let (text, end) = all(jokes.chat(order("ana", true), &said).unwrap()).await;
    assert_eq!(text, "Hello there. How are you?");
    assert!(
        matches!(end, Ok(Event::ChatEnd(end)) if !end.truncated && end.usage.output_tokens == TOKENS.output)
    );
    for _ in 0..2 {
        let (text, end) = all(jokes.chat(order("ana", true), &said).unwrap()).await;
        assert!(
            matches!(end, Ok(Event::ChatEnd(end)) if end.truncated && end.usage.output_tokens == 200),
            "{text}"
        );
        assert!((700..=800).contains(&text.len()), "{}", text.len());
    }
}

async fn usage_is_counted_when_the_provider_does_not_say(fixture: Fixture) {
    let zeros = Tokens { input: 7, output: 0 };
    for tokens in [None, Some(Tokens::default()), Some(zeros)] {
        let model = Scripted::new("m", [Act::SayUncounted(GOOD.to_owned(), tokens)]);
        let jokes = fixture.service(Setup::of(&model)).await;
        let usage = joke(&jokes, "ana", false).await.1.unwrap().usage;
        assert!(usage.input_tokens > 100 && usage.output_tokens > 10, "{usage:?}");
    }
}
