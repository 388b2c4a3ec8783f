//! Each failure of a server, and what it is to us.

use mesh_testkit::{Break, Reply};

use super::*;

/// What a call comes to that fails before any text.
async fn fault(fake: &FakeLlm, reply: Reply) -> ModelError {
    fake.script(vec![reply]);
    let error = model(fake).answer(&prompt()).await.err().expect("a failure");
    assert!(!error.to_string().contains("SECRET"), "{error}");
    error
}

#[tokio::test]
async fn every_status_has_its_meaning() {
    let fake = FakeLlm::start().await.unwrap();
    for (name, statuses) in [
        ("rate_limited", &[429][..]),
        ("unavailable", &[408, 409, 500, 501, 502, 503, 504, 529, 599]),
        ("rejected", &[300, 304, 400, 401, 402, 403, 404, 405, 413, 415, 418, 422, 451]),
    ] {
        for status in statuses {
            let error = fault(&fake, Reply::error(*status, "some_code", "SECRET")).await;
            assert_eq!(error.name(), name, "{status}: {error}");
            let text = error.to_string();
            assert!(*status == 429 || text.contains(&format!("status {status}: ")), "{text}");
            assert_eq!(text.contains("some_code"), *status != 429 && *status >= 400, "{text}");
        }
    }
}

#[tokio::test]
async fn a_limited_call_says_when_to_come_again() {
    let fake = FakeLlm::start().await.unwrap();
    let wait = async |name: &str, value: &str| match fault(
        &fake,
        Reply::error(429, "rate_limit_exceeded", "SECRET").header(name, value),
    )
    .await
    {
        ModelError::RateLimited { retry_after } => retry_after,
        other => panic!("{other}"),
    };
    assert_eq!(wait("retry-after", "3").await, Some(Duration::from_secs(3)));
    assert_eq!(wait("retry-after-ms", "1500").await, Some(Duration::from_millis(1500)));
    assert_eq!(wait("retry-after", "86400").await, Some(Duration::from_secs(3600)));
    assert_eq!(wait("retry-after", "soon").await, None);
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
    let waited = wait("retry-after", &date).await.unwrap();
    assert!((50..=60).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test]
async fn a_codes_text_is_one_short_word_or_nothing() {
    let fake = FakeLlm::start().await.unwrap();
    let long = "x".repeat(41);
    for code in ["sk-SECRET-1", "SECRET of a prompt", "SECRET\n", "SECRET0", &long, ""] {
        let error = fault(&fake, Reply::error(400, code, "SECRET")).await;
        assert_eq!(error.to_string(), "the provider refuses the call: status 400");
    }
    for body in ["", "<html>SECRET</html>", "[1]", "\"SECRET\"", "{\"error\":\"SECRET\"}", "{\"error\":null}"]
    {
        let error = fault(&fake, Reply::http(401, body)).await;
        assert_eq!(error.to_string(), "the provider refuses the call: status 401");
    }
    assert!(matches!(fault(&fake, Reply::http(404, "x".repeat(1 << 20))).await, ModelError::Rejected(_)));
}

#[tokio::test]
async fn an_error_with_the_status_of_success_is_an_error() {
    let fake = FakeLlm::start().await.unwrap();
    let error = json!({ "error": { "message": "SECRET", "type": "server_error", "code": null } });
    for (reply, name) in [
        (Reply::error(200, "rate_limit_exceeded", "SECRET"), "rate_limited"),
        (Reply::error(200, "invalid_api_key", "SECRET"), "rejected"),
        (Reply::error(200, "server_error", "SECRET"), "unavailable"),
        (Reply::http(200, "{\"error\":\"SECRET\"}"), "unavailable"),
        (Reply::events(std::slice::from_ref(&error)), "unavailable"),
        (Reply::text("").event_after(0, &json!({ "error": { "code": 429 } })), "rate_limited"),
    ] {
        let error = fault(&fake, reply).await;
        assert_eq!(error.name(), name, "{error}");
    }
    fake.script(vec![Reply::text("abc").every(1).event_after(2, &error)]);
    let whole = hear(&model(&fake), &prompt()).await;
    assert_eq!((whole.text.as_str(), whole.end), ("ab", None));
    assert_eq!(whole.error.unwrap(), "the provider is away: an error: server_error");
}

#[tokio::test]
async fn what_breaks_off_before_the_first_text_fails_the_call() {
    let fake = FakeLlm::start().await.unwrap();
    for how in [Break::Reset, Break::Close] {
        let text = || Reply::text("abc").every(1);
        for reply in [Reply::hang_up(how), text().break_after(0, how), text().whole().break_after(0, how)] {
            let error = fault(&fake, reply).await;
            assert_eq!(error.to_string(), "the provider is away: broken off", "{how:?}");
        }
    }
    for reply in [Reply::text("").no_finish(), Reply::text("").no_finish().no_done(), Reply::stream("")] {
        assert_eq!(fault(&fake, reply).await.to_string(), "the provider is away: broken off");
    }
}

#[tokio::test]
async fn what_breaks_off_after_it_ends_the_text_with_an_error() {
    let fake = FakeLlm::start().await.unwrap();
    let text = || Reply::text("abc").every(1);
    for reply in [
        text().break_after(2, Break::Reset).between(Duration::from_millis(5)),
        text().break_after(2, Break::Close),
        Reply::text("ab").no_finish(),
        Reply::text("ab").no_finish().no_done(),
    ] {
        fake.script(vec![reply]);
        let whole = hear(&model(&fake), &prompt()).await;
        assert_eq!((whole.text.as_str(), whole.end), ("ab", None));
        assert_eq!(whole.error.as_deref(), Some("the provider is away: broken off"));
    }
}

#[tokio::test]
async fn what_is_no_answer_is_malformed() {
    let fake = FakeLlm::start().await.unwrap();
    let chunk = |inner: &str| format!("data: {{\"choices\":[{{\"delta\":{inner}}}]}}\n\n");
    let called = json!({ "choices": [{ "delta": { "tool_calls": [{ "id": "SECRET" }] } }] });
    let deep = "[".repeat(10_000);
    for reply in [
        Reply::stream("data: SECRET\n\n"),
        Reply::stream("data: {\"choices\":\n\n"),
        Reply::stream("data: {}\n\n"),
        Reply::stream("data: null\n\n"),
        Reply::stream("data: NaN\n\n"),
        Reply::stream(chunk("{\"content\":1}")),
        Reply::stream(chunk("{\"content\":\"a\",\"content\":\"b\"}")),
        Reply::stream(chunk("{\"content\":\"a\",}")),
        Reply::stream(chunk("\"SECRET\"")),
        Reply::stream(format!("data: {deep}\n\n")),
        Reply::stream(format!("data: {{\"error\":{deep}\n\n")),
        Reply::stream(format!("data: {}\n\n", " ".repeat(300 * 1024))),
        Reply::events(&[called]),
        Reply::text("").finish("tool_calls"),
        Reply::http(200, "<html>SECRET</html>"),
        Reply::http(200, ""),
        Reply::text("SECRET").content_type("text/html"),
        Reply::text("SECRET").content_type(""),
    ] {
        let error = fault(&fake, reply.clone()).await;
        assert_eq!(error.name(), "malformed", "{error} {reply:?}");
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let (fake, trap) = (FakeLlm::start().await.unwrap(), FakeLlm::start().await.unwrap());
    for status in [301, 302, 303, 307, 308] {
        let to = format!("{}/chat/completions", trap.base_url());
        let error = fault(&fake, Reply::redirect(status, &to)).await;
        assert_eq!(
            error.to_string(),
            format!("the provider refuses the call: status {status}: no redirect is followed")
        );
    }
    assert_eq!((fake.counts().calls, trap.counts().connections), (5, 0));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_away() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let model = OpenAi::new(settings(format!("http://{}/v1", closed.local_addr().unwrap()))).unwrap();
    drop(closed);
    let error = model.answer(&prompt()).await.err().unwrap();
    let text = error.to_string();
    assert!(text.starts_with("the provider is away: no connection: Connection refused"), "{text}");
    assert!(!text.contains("127.0.0.1"), "{text}");
}
