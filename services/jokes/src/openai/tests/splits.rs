//! The same answer, however it is split on its way.

use mesh_testkit::{Asked, Reply};

use super::*;

/// Characters of one to four bytes, and what JSON escapes.
const TEXT: &str = "zß水😀 \"q\" \\ \n\u{1}é👩‍🚀";

/// The length of the body of a stream, without the framing of HTTP.
async fn length(fake: &FakeLlm, reply: &Reply) -> usize {
    fake.script(vec![reply.clone()]);
    let model = model(fake);
    let response = model.send(model.call(&prompt()).unwrap()).await.unwrap();
    response.bytes().await.unwrap().len()
}

fn check(whole: &Whole, context: &str) {
    assert_eq!((whole.text.as_str(), whole.error.as_deref()), (TEXT, None), "{context}");
    assert_eq!(whole.end, Some((Finish::Stop, tokens(3, 4))), "{context}");
}

#[tokio::test]
async fn a_split_at_any_byte_of_a_stream_changes_nothing() {
    let fake = FakeLlm::start().await.unwrap();
    let model = model(&fake);
    let mut splits = 0;
    for reply in [Reply::text(TEXT).every(5), Reply::text(TEXT).every(7).escaped()] {
        let reply = reply.usage(3, 4);
        for at in 1..length(&fake, &reply).await {
            fake.script(vec![reply.clone().written_at(vec![at])]);
            check(&hear(&model, &prompt()).await, &format!("split at {at}"));
            splits += 1;
        }
    }
    println!("{splits} splits of a stream");
}

#[tokio::test]
async fn pieces_of_any_size_change_nothing() {
    let fake = FakeLlm::start().await.unwrap();
    let model = model(&fake);
    for escaped in [false, true] {
        for size in 1..40 {
            let reply = Reply::text(TEXT).every(3).usage(3, 4).written_every(size);
            fake.script(vec![if escaped { reply.escaped() } else { reply }]);
            check(&hear(&model, &prompt()).await, &format!("pieces of {size}"));
        }
    }
}

#[tokio::test]
async fn deltas_split_anywhere_change_nothing() {
    let fake = FakeLlm::start().await.unwrap();
    let model = model(&fake);
    for escaped in [false, true] {
        for at in 1..TEXT.len() {
            let reply = Reply::text(TEXT).split_at(vec![at]).usage(3, 4);
            fake.script(vec![if escaped { reply.escaped() } else { reply }]);
            let whole = hear(&model, &prompt()).await;
            check(&whole, &format!("split at {at}"));
        }
    }
}

#[tokio::test]
async fn a_whole_completion_in_pieces_is_the_same() {
    let fake = FakeLlm::start().await.unwrap();
    fake.always(
        Reply::text(TEXT).usage(3, 4).whole().written_every(3).after_write(Duration::from_micros(50)),
    );
    check(&hear(&model(&fake), &prompt()).await, "whole");
}

#[tokio::test]
async fn many_answers_at_once_stay_apart() {
    let fake = FakeLlm::start().await.unwrap();
    let echo = |asked: &Asked| {
        Reply::text(asked.body["messages"][1]["content"].as_str().unwrap()).every(1).written_every(9)
    };
    fake.respond_with(std::sync::Arc::new(echo));
    let model = model(&fake);
    let calls = (0..100).map(|number| {
        let model = &model;
        async move {
            let text = format!("{number}: {TEXT}");
            let turns = vec![Turn { role: Role::User, text: text.clone() }];
            assert_eq!(hear(model, &Prompt { turns, ..prompt() }).await.text, text);
        }
    });
    futures::future::join_all(calls).await;
    assert_eq!(fake.counts().completed, 100);
}
