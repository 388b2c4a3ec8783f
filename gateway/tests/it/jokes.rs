//! Jokes, chats and budgets as whole answers of JSON.

use std::sync::atomic::Ordering;

use mesh_proto::jokes::v1;
use serde_json::json;

use crate::world::{ALL_SCOPES, World, send};

#[tokio::test(flavor = "multi_thread")]
async fn a_joke_has_the_form_of_the_contract() {
    let world = World::start().await;
    let body = json!({
        "topic": "tea", "style": "knock_knock", "audience": "children", "language": "en",
        "length": "short", "temperature": 0.5, "seed": 7, "model": "puns-1",
    });
    let reply = world.post_signed_in("/v1/jokes", body).await;
    assert_eq!((reply.status, reply.header("content-type")), (201, "application/json"));
    assert_eq!(reply.header("vary"), "accept");
    let joke = json!({
        "id": "j1", "setup": "Why\nso?", "punchline": "So.", "topic": "tea", "model": "puns-1", "provider": "quipu",
        "params": {
            "style": "knock_knock", "audience": "children", "language": "en",
            "length": "short", "temperature": 0.5, "seed": 7,
        },
        "latency_ms": 12,
        "usage": {"input_tokens": 120, "output_tokens": 30, "cost": 0.000_036},
        "sentiment": {"label": "positive", "score": 0.5},
        "rating": null, "cached": false, "fallback": false, "created_at": "2023-11-14T22:13:20Z",
    });
    assert_eq!(reply.json(), json!({"joke": joke}));
    let (topic, params, model) = world.jokes.0.wish.lock().unwrap().clone().unwrap();
    assert_eq!((topic.as_str(), params.style(), model.as_str()), ("tea", v1::Style::KnockKnock, "puns-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_is_null_and_what_was_not_wanted_is_absent() {
    let world = World::start().await;
    let joke = world.get("/v1/jokes/j7").await.json()["joke"].clone();
    assert_eq!(
        (&joke["id"], &joke["sentiment"], &joke["rating"]),
        (&json!("j7"), &json!(null), &json!(null))
    );
    assert!(joke.as_object().unwrap().contains_key("sentiment"));
    assert_eq!(joke["params"], json!({"style": "pun", "language": "en", "length": "medium"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_its_status_reason_and_fields() {
    let world = World::start().await;
    for (topic, status, reason) in [
        ("invalid", 400, "INVALID_FIELDS"),
        ("guarded", 400, "GUARD_REFUSED"),
        ("refused", 422, "ANSWER_REFUSED"),
        ("declined", 422, "MODEL_DECLINED"),
        ("rejected", 502, "MODEL_REJECTED_CALL"),
        ("unfit", 502, "MODEL_ANSWER_INVALID"),
        ("broken", 502, "MODEL_BROKE_OFF"),
        ("away", 503, "MODEL_UNAVAILABLE"),
        ("spent", 429, "BUDGET_SPENT"),
    ] {
        let reply = world.post_signed_in("/v1/jokes", json!({"topic": topic})).await;
        assert_eq!((reply.status, reply.reason().as_str()), (status, reason), "{topic}");
        let chat = json!({"messages": [{"role": "user", "content": topic}]});
        let chat = world.post_signed_in("/v1/chat", chat).await;
        assert_eq!((chat.status, chat.reason().as_str()), (status, reason), "{topic} in a chat");
    }
    let problem =
        async |topic: &str| world.post_signed_in("/v1/jokes", json!({"topic": topic})).await.problem();
    let invalid = problem("invalid").await;
    assert_eq!(
        (&invalid["errors"][0]["field"], &invalid["errors"][1]["field"]),
        (&json!("topic"), &json!("audience"))
    );
    let guarded = problem("guarded").await;
    assert_eq!((&guarded["rule"], &guarded["errors"][0]["field"]), (&json!("injection"), &json!("audience")));
    assert_eq!(guarded["detail"], "audience: gives orders");
    assert_eq!(problem("refused").await["rule"], "slur");
    assert_eq!(problem("spent").await["retry_after"], 77);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_can_tell_itself_never_reaches_the_service() {
    let world = World::start().await;
    let fault = |path: &'static str, body| {
        let world = &world;
        async move {
            let problem = world.post_signed_in(path, body).await.problem();
            assert_eq!(problem["status"], 400);
            problem["errors"][0]["field"].as_str().unwrap_or_default().to_owned()
        }
    };
    assert_eq!(fault("/v1/jokes", json!({"topic": "tea", "style": "Pun"})).await, "style");
    assert_eq!(fault("/v1/jokes", json!({"topic": "tea", "length": "epic"})).await, "length");
    assert_eq!(fault("/v1/jokes", json!({"style": "pun"})).await, "topic");
    assert_eq!(fault("/v1/jokes", json!({"topic": "tea", "params": {}})).await, "params");
    assert_eq!(fault("/v1/jokes", json!({"topic": "tea", "seed": -1})).await, "");
    let system = json!({"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]});
    assert_eq!(fault("/v1/chat", system).await, "messages[1].role");
    assert_eq!(world.jokes.0.made.load(Ordering::SeqCst), 0);
    assert_eq!(world.get("/v1/jokes?style=limerick").await.problem()["errors"][0]["field"], "style");
    assert_eq!(world.get("/v1/jokes?topic=tea").await.reason(), "INVALID_QUERY");
}

#[tokio::test(flavor = "multi_thread")]
async fn jokes_are_listed_rated_and_deleted() {
    let world = World::start().await;
    let list = world.get("/v1/jokes?page_size=7&page_token=t&style=one_liner&model=puns-1").await.json();
    assert_eq!((&list["jokes"][0]["id"], &list["next_page_token"]), (&json!("j1"), &json!("next")));
    let asked = world.jokes.0.list.lock().unwrap().clone().unwrap();
    let expected = v1::ListJokesRequest {
        page_size: 7,
        page_token: "t".into(),
        style: v1::Style::OneLiner.into(),
        model: "puns-1".into(),
    };
    assert_eq!(asked, expected);
    let rated = world.post_signed_in("/v1/jokes/j3/feedback", json!({"rating": -1, "comment": "old"})).await;
    assert_eq!((rated.status, &rated.json()["joke"]["rating"]), (200, &json!(-1)));
    let odd = world.post_signed_in("/v1/jokes/j3/feedback", json!({"rating": 5})).await;
    assert_eq!((odd.status, &odd.problem()["errors"][0]["field"]), (400, &json!("rating")));
    let delete = |id: &str| {
        let path = format!("/v1/jokes/{id}");
        send(world.request("DELETE", &path).bearer_auth(world.token(ALL_SCOPES)))
    };
    let gone = delete("j3").await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    assert_eq!(delete("nobodys").await.reason(), "NOT_FOUND");
    assert_eq!(world.get("/v1/jokes/nobodys").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn models_and_budgets_are_in_dollars() {
    let world = World::start().await;
    let prices = json!({"input_per_million": 0.15, "output_per_million": 0.6});
    let model = json!({"name": "puns-1", "provider": "quipu", "default": true, "prices": prices});
    assert_eq!(world.get("/v1/jokes/models").await.json(), json!({"models": [model]}));
    let budget = json!({
        "scope": "user", "period": "day", "ends_at": "2023-11-14T22:13:20Z",
        "calls": {"used": 3, "limit": 100},
        "tokens": {"used": 450, "limit": null},
        "cost": {"used": 0.000_108, "limit": 0.5},
    });
    assert_eq!(world.get("/v1/usage").await.json(), json!({"budgets": [budget]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_whole_unless_events_are_asked_for() {
    let world = World::start().await;
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let messages = json!([message("user", "a"), message("assistant", "b"), message("user", "c")]);
    let reply = world.post_signed_in("/v1/chat", json!({"messages": messages})).await;
    assert_eq!((reply.status, reply.header("vary")), (200, "accept"));
    let expected = json!({
        "message": message("assistant", "one\ntwo "),
        "model": "puns-1",
        "usage": {"input_tokens": 120, "output_tokens": 30, "cost": 0.000_036},
        "truncated": false,
    });
    assert_eq!(reply.json(), expected);
    let late = json!({"messages": [message("user", "late-broken")]});
    assert_eq!(world.post_signed_in("/v1/chat", late).await.status, 502, "nothing of it was sent yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joke_with_an_idempotency_key_is_made_once_and_never_streamed() {
    let world = World::start().await;
    let ask = |key: &str, accept: &str| {
        let request = world.request("POST", "/v1/jokes").bearer_auth(world.token(ALL_SCOPES));
        let request = request.header("idempotency-key", key.to_owned()).header("accept", accept.to_owned());
        send(request.json(&json!({"topic": "tea"})))
    };
    let streamed = ask("k-1", "text/event-stream").await;
    assert_eq!((streamed.status, streamed.reason().as_str()), (400, "STREAM_NOT_REPLAYABLE"));
    let first = ask("k-1", "application/json").await;
    let again = ask("k-1", "*/*").await;
    assert_eq!((first.status, again.status, &first.text), (201, 201, &again.text));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(
        ask("k-1", "text/event-stream").await.status,
        400,
        "also when it could be answered from memory"
    );
    assert_eq!(world.jokes.0.made.load(Ordering::SeqCst), 1);
}
