//! Calls as the protocol has them, and answers in each of their forms.

use mesh_testkit::Reply;

use super::*;

#[tokio::test]
async fn a_call_is_as_the_protocol_has_it() {
    let fake = FakeLlm::start().await.unwrap();
    let turns = [(Role::User, "Hi"), (Role::Assistant, "Hello"), (Role::User, "More")]
        .map(|(role, text)| Turn { role, text: text.to_owned() });
    let prompt = Prompt {
        turns: turns.to_vec(),
        schema: Some(&SCHEMA),
        temperature: Some(0.5),
        seed: Some(7),
        ..prompt()
    };
    assert_eq!(hear(&model(&fake), &prompt).await.text, "Hello.");
    let asked = fake.asked().remove(0);
    assert_eq!(asked.path, "/v1/chat/completions");
    assert_eq!(asked.authorization, Some(format!("Bearer {KEY}")));
    let header =
        |name| asked.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!((header("cookie"), header("referer")), (None, None));
    assert_eq!(
        asked.body,
        json!({
            "model": "theirs",
            "messages": [
                { "role": "system", "content": "Be funny." },
                { "role": "user", "content": "Hi" },
                { "role": "assistant", "content": "Hello" },
                { "role": "user", "content": "More" },
            ],
            "stream": true,
            "stream_options": { "include_usage": true },
            "max_completion_tokens": 100,
            "temperature": 0.5,
            "seed": 7,
            "response_format": {
                "type": "json_schema",
                "json_schema": { "name": "answer", "strict": true, "schema": *SCHEMA },
            },
        })
    );
}

#[tokio::test]
async fn what_is_not_wanted_is_not_sent() {
    let fake = FakeLlm::start().await.unwrap();
    let settings = Settings {
        key: None,
        max_tokens_field: MaxTokensField::MaxTokens,
        ..settings(fake.base_url() + "/")
    };
    hear(&OpenAi::new(settings).unwrap(), &Prompt { system: String::new(), ..prompt() }).await;
    let asked = fake.asked().remove(0);
    assert_eq!((asked.path.as_str(), asked.authorization), ("/v1/chat/completions", None));
    let fields: Vec<_> = asked.body.as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["max_tokens", "messages", "model", "stream", "stream_options"]);
    assert_eq!(asked.body["messages"], json!([{ "role": "user", "content": "Tell a joke." }]));
}

#[tokio::test]
async fn pieces_come_as_they_are_said_and_the_usage_comes_after_the_end() {
    let fake = FakeLlm::start().await.unwrap();
    fake.always(Reply::text("one two three").every(4).usage(11, 22).reasoning(5));
    let whole = hear(&model(&fake), &prompt()).await;
    assert_eq!((whole.text.as_str(), whole.pieces), ("one two three", 4));
    assert_eq!(whole.end, Some((Finish::Stop, tokens(11, 22))));
}

#[tokio::test]
async fn an_answer_ends_for_a_reason() {
    let fake = FakeLlm::start().await.unwrap();
    let said = |reason| Reply::text("x").finish(reason).no_usage();
    for (reply, finish) in [
        (said("stop"), Finish::Stop),
        (said("length"), Finish::Length),
        (said("content_filter"), Finish::Filtered),
        (Reply::refusal("I cannot.").every(2).no_usage(), Finish::Filtered),
        (Reply::refusal("I cannot.").whole().no_usage(), Finish::Filtered),
        (said("stop").no_done(), Finish::Stop),
        (Reply::text("").no_usage(), Finish::Stop),
    ] {
        fake.script(vec![reply]);
        let whole = hear(&model(&fake), &prompt()).await;
        assert_eq!(whole.end, Some((finish, None)), "{whole:?}");
        assert!(whole.text.is_empty() || whole.text == "x", "a refusal is no text: {whole:?}");
    }
}

#[tokio::test]
async fn a_whole_completion_is_an_answer_too() {
    let fake = FakeLlm::start().await.unwrap();
    fake.always(Reply::text("zß水😀\n\"").whole().escaped().usage(3, 4));
    let whole = hear(&model(&fake), &prompt()).await;
    assert_eq!((whole.text.as_str(), whole.pieces), ("zß水😀\n\"", 1));
    assert_eq!(whole.end, Some((Finish::Stop, tokens(3, 4))));
}

#[tokio::test]
async fn only_the_first_choice_counts_and_reasoning_is_no_answer() {
    let fake = FakeLlm::start().await.unwrap();
    let choice = |index: u32, delta: Value, finish: Value| json!({ "index": index, "delta": delta, "finish_reason": finish });
    fake.always(Reply::events(&[
        json!({ "choices": [], "prompt_filter_results": [{}] }),
        json!({ "choices": [choice(1, json!({ "content": "no" }), json!("stop"))] }),
        json!({ "choices": [choice(0, json!({ "content": null, "reasoning_content": "no" }), json!(""))] }),
        json!({ "choices": [choice(0, json!({ "content": "yes", "tool_calls": [] }), json!(null))], "usage": null }),
        json!({ "choices": [choice(0, json!({}), json!("stop"))], "usage": { "prompt_tokens": 1, "completion_tokens": 1 } }),
        json!({ "choices": [choice(0, json!({ "content": "no" }), json!(null))] }),
        json!({ "choices": [], "usage": { "prompt_tokens": 5, "completion_tokens": 6, "more": {} } }),
    ]));
    let whole = hear(&model(&fake), &prompt()).await;
    assert_eq!((whole.text.as_str(), whole.end), ("yes", Some((Finish::Stop, tokens(5, 6)))));
}

#[tokio::test]
async fn a_usage_that_is_not_said_in_full_is_not_said() {
    let fake = FakeLlm::start().await.unwrap();
    for (usage, wanted) in [
        (json!({}), None),
        (json!({ "prompt_tokens": 5 }), None),
        (json!({ "completion_tokens": 5, "prompt_tokens": null }), None),
        (json!({ "prompt_tokens": 5, "completion_tokens": 6 }), tokens(5, 6)),
    ] {
        let choice = json!({ "index": 0, "delta": { "content": "x" }, "finish_reason": "stop" });
        fake.always(Reply::events(&[json!({ "choices": [choice], "usage": usage })]));
        assert_eq!(hear(&model(&fake), &prompt()).await.end, Some((Finish::Stop, wanted)), "{usage}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_after_an_answer_in_order() {
    let fake = FakeLlm::start().await.unwrap();
    fake.script(vec![
        Reply::text("a"),
        Reply::text("b").whole(),
        Reply::error(429, "slow", "Wait."),
        Reply::text("c"),
    ]);
    let model = model(&fake);
    for _ in 0..4 {
        hear(&model, &prompt()).await;
    }
    assert_eq!(fake.counts().connections, 1);
}
