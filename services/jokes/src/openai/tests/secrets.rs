//! Settings that cannot be used, and a key that shows nowhere.

use mesh_testkit::Reply;

use super::*;

#[tokio::test]
async fn the_key_shows_nowhere() {
    let fake = FakeLlm::start().await.unwrap();
    let settings = settings(fake.base_url());
    let model = OpenAi::new(settings.clone()).unwrap();
    let mut shown = format!("{settings:?} {model:?} {:?} {:?}", model.client, model.authorization);
    let echo = || Reply::error(401, KEY, &format!("Incorrect API key provided: {KEY}"));
    fake.script(vec![
        echo(),
        echo().header("x-key", KEY),
        Reply::error(200, KEY, KEY),
        Reply::stream(format!("data: {KEY}\n\n")),
        Reply::http(500, KEY),
        Reply::redirect(302, &format!("http://127.0.0.1/{KEY}")),
        Reply::text("x").content_type(KEY),
        Reply::text("x").finish(KEY),
    ]);
    for _ in 0..8 {
        let error = match model.answer(&prompt()).await {
            Err(error) => error,
            Ok(answer) => answer.filter_map(async |piece| piece.err()).boxed().next().await.unwrap(),
        };
        shown +=
            &format!("{error} {error:?} {:?}", std::error::Error::source(&error).map(ToString::to_string));
    }
    drop(fake);
    let error = model.answer(&prompt()).await.err().unwrap();
    shown += &format!("{error} {error:?}");
    assert!(!shown.contains(KEY) && !shown.contains("CANARY"), "{shown}");
    assert!(!shown.contains("Tell a joke") && !shown.contains("Be funny"), "{shown}");
}

#[test]
fn a_base_url_is_one_that_can_be_trusted() {
    let url = |base: &str, plain| {
        let settings = Settings { plain_http: plain, ..settings(base.to_owned()) };
        OpenAi::new(settings).map(|model| model.url.to_string()).map_err(|fault| fault.to_string())
    };
    let done = |url: &str| Ok(url.to_owned());
    let fault = |what: &str| Err(format!("the base URL {what}"));
    assert_eq!(url("https://a.test/v1", PlainHttp::Never), done("https://a.test/v1/chat/completions"));
    assert_eq!(url("https://a.test", PlainHttp::Never), done("https://a.test/chat/completions"));
    assert_eq!(url("https://a.test:8/x//", PlainHttp::Never), done("https://a.test:8/x/chat/completions"));
    for local in ["http://127.0.0.1:1/v1", "http://[::1]/v1", "http://localhost/v1"] {
        assert!(url(local, PlainHttp::Loopback).is_ok() && url(local, PlainHttp::Anywhere).is_ok());
        assert_eq!(url(local, PlainHttp::Never), fault("must be https://"));
    }
    for other in ["http://a.test/v1", "http://10.0.0.1/v1", "http://localhost.a.test/", "http://128.0.0.1/"] {
        assert_eq!(url(other, PlainHttp::Loopback), fault("may be http:// only on this machine"));
        assert!(url(other, PlainHttp::Anywhere).is_ok());
    }
    for (bad, what) in [
        ("", "is no URL"),
        ("api.a.test/v1", "is no URL"),
        ("ftp://a.test/", "must be http:// or https://"),
        ("file:///etc/passwd", "must be http:// or https://"),
        ("https://user@a.test/", "must not have a user or a password"),
        ("https://:SECRET@a.test/", "must not have a user or a password"),
        ("https://a.test/?key=SECRET", "must not have a query or a fragment"),
        ("https://a.test/?", "must not have a query or a fragment"),
        ("https://a.test/#x", "must not have a query or a fragment"),
    ] {
        assert_eq!(url(bad, PlainHttp::Anywhere), fault(what), "{bad}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let fault = |change: fn(&mut Settings)| {
        let mut settings = settings("https://a.test/v1".to_owned());
        change(&mut settings);
        OpenAi::new(settings).unwrap_err().to_string()
    };
    let key = fault(|settings| settings.key = Some("SECRET\n".to_owned().into()));
    assert_eq!(key, "the key has characters that no header may have");
    let times = fault(|settings| settings.times.stall = Duration::ZERO);
    assert!(times.starts_with("a time limit of zero"), "{times}");
    assert_eq!("loopback".parse(), Ok(PlainHttp::Loopback));
    assert_eq!("max_tokens".parse(), Ok(MaxTokensField::MaxTokens));
    assert!("yes".parse::<PlainHttp>().is_err() && "n".parse::<MaxTokensField>().is_err());
}
