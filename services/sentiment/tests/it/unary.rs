//! One text, many texts, and the list of models.

use mesh_error::Kind;
use mesh_proto::sentiment::v1 as pb;
use quipu_sentiment::Config;

use crate::support::{Running, analyze, ask, failure, is_embedded};

#[tokio::test]
async fn a_text_gets_a_label_a_score_and_the_shares_of_its_words() {
    let running = Running::embedded().await;
    let mut operator = running.operator();
    let request =
        pb::AnalyzeRequest { explain: true, ..ask("I 😍 this phone, the battery lasts forever.") };
    let analysis = analyze(&mut operator, request).await;
    assert_eq!(analysis.label(), pb::Label::Positive);
    assert!(is_embedded(analysis.model.as_ref()));
    let p = analysis.probabilities.unwrap();
    assert!((p.positive + p.neutral + p.negative - 1.0).abs() < 1e-9);
    assert!((analysis.score - (p.positive - p.negative)).abs() < 1e-12 && analysis.score > 0.5);
    let phone = analysis.words.iter().find(|word| word.text == "phone").unwrap();
    assert_eq!((phone.start, phone.end), (9, 14), "offsets are code points");
    let plain = analyze(&mut operator, ask("What a waste of money :(")).await;
    assert_eq!((plain.label(), plain.words.len()), (pb::Label::Negative, 0));
}

#[tokio::test]
async fn a_text_without_words_is_neutral_by_rule() {
    let running = Running::embedded().await;
    let analysis = analyze(&mut running.operator(), ask("!!! ...")).await;
    let p = analysis.probabilities.unwrap();
    assert_eq!((analysis.label(), analysis.score), (pb::Label::Neutral, 0.0));
    assert_eq!((p.positive, p.neutral, p.negative), (0.0, 1.0, 0.0));
}

#[tokio::test]
async fn the_limits_of_a_text_are_exact() {
    let running = Running::embedded().await;
    let mut operator = running.operator();
    for text in [String::new(), "a".repeat(10_001), "😀".repeat(10_001)] {
        let fault = failure(operator.analyze(ask(&text)).await);
        assert_eq!((fault.kind(), fault.violations()[0].field.as_str()), (Kind::InvalidArgument, "text"));
    }
    for text in ["a".repeat(10_000), "😀".repeat(10_000), " ".into(), "\0".into()] {
        analyze(&mut operator, ask(&text)).await;
    }
}

#[tokio::test]
async fn a_model_that_is_not_loaded_is_not_found() {
    let running = Running::embedded().await;
    let request = pb::AnalyzeRequest { model: "gpt".into(), ..ask("good") };
    let fault = failure(running.operator().analyze(request).await);
    assert_eq!((fault.kind(), fault.reason()), (Kind::NotFound, "MODEL_NOT_FOUND"));
}

fn batch(texts: Vec<String>) -> pb::AnalyzeBatchRequest {
    pb::AnalyzeBatchRequest { texts, ..Default::default() }
}

#[tokio::test]
async fn a_bad_text_of_a_batch_does_not_fail_the_others() {
    use pb::batch_result::Outcome;
    let running = Running::embedded().await;
    let texts = vec!["great".into(), String::new(), "awful".into(), "x".repeat(10_001)];
    let answer = running.operator().analyze_batch(batch(texts)).await.unwrap().into_inner();
    assert!(is_embedded(answer.model.as_ref()));
    let outcomes: Vec<_> = answer.results.into_iter().map(|result| result.outcome.unwrap()).collect();
    let [Outcome::Analysis(great), Outcome::Error(empty), Outcome::Analysis(awful), Outcome::Error(long)] =
        &outcomes[..]
    else {
        panic!("{outcomes:?}");
    };
    assert_eq!((great.label(), awful.label()), (pb::Label::Positive, pb::Label::Negative));
    assert_eq!((empty.field.as_str(), long.field.as_str()), ("texts[1]", "texts[3]"));
    assert_eq!(empty.reason, "INVALID_FIELDS");
}

#[tokio::test]
async fn a_batch_holds_1_to_256_texts_in_their_order() {
    let running = Running::embedded().await;
    let mut operator = running.operator();
    for count in [0, 257] {
        let fault = failure(operator.analyze_batch(batch(vec!["a".into(); count])).await);
        assert_eq!((fault.kind(), fault.violations()[0].field.as_str()), (Kind::InvalidArgument, "texts"));
    }
    let mood =
        |place: usize| if place.is_multiple_of(3) { "wonderful ".repeat(40) } else { "horrible ".repeat(40) };
    let answer = operator.analyze_batch(batch((0..256).map(mood).collect())).await.unwrap().into_inner();
    assert_eq!(answer.results.len(), 256);
    for (place, result) in answer.results.iter().enumerate() {
        let Some(pb::batch_result::Outcome::Analysis(analysis)) = &result.outcome else {
            panic!("{result:?}")
        };
        assert_eq!(analysis.score > 0.0, place.is_multiple_of(3), "{place}");
    }
}

/// The largest batch of the contract passes the limits for messages.
#[tokio::test]
async fn the_largest_batch_is_answered() {
    let running = Running::embedded().await;
    let answer = running.operator().analyze_batch(batch(vec!["a".repeat(10_000); 256])).await.unwrap();
    assert_eq!(answer.into_inner().results.len(), 256);
}

#[tokio::test]
async fn the_models_are_listed_the_default_one_first() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/onnx/tiny-distilbert-3");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/models/linear18.ksl");
    let mut config = Config::local();
    config.models = format!("bert={folder},own={file}").parse().unwrap();
    config.default_model = "bert".into();
    let running = Running::app(config).await;
    let mut operator = running.operator();
    let models = operator.list_models(pb::ListModelsRequest {}).await.unwrap().into_inner().models;
    let told: Vec<_> =
        models.iter().map(|model| (model.name.as_str(), model.backend.as_str(), model.default)).collect();
    assert_eq!(told, [("bert", "onnx", true), ("linear18", "linear", false), ("own", "linear", false)]);
    assert!(models.iter().all(|model| model.sha256.len() == 64 && model.labels.len() == 3));
    assert_eq!(models.iter().map(|model| model.explains).collect::<Vec<_>>(), [false, true, true]);
    let by_default = analyze(&mut operator, ask("What a waste of money :(")).await;
    assert_eq!((by_default.label(), by_default.model.unwrap().name.as_str()), (pb::Label::Negative, "bert"));
    let request = pb::AnalyzeRequest { model: "own".into(), ..ask("great") };
    assert_eq!(analyze(&mut operator, request).await.model.unwrap().name, "own");
}

#[tokio::test]
async fn a_user_needs_the_scope_and_an_operator_needs_no_user() {
    let running =
        Running::with(vec![quipu_sentiment::models::embedded().unwrap()], "linear18", Default::default())
            .await;
    let mut gateway = running.client("gateway");
    assert_eq!(failure(gateway.analyze(ask("good")).await).kind(), Kind::Unauthenticated);
    let listing = running.user("sentiment:read");
    assert_eq!(failure(gateway.analyze(listing.request(ask("good"))).await).kind(), Kind::PermissionDenied);
    assert!(gateway.list_models(listing.request(pb::ListModelsRequest {})).await.is_ok());
    let analyzing = running.user("sentiment:analyze");
    assert!(gateway.analyze(analyzing.request(ask("good"))).await.is_ok());
    analyze(&mut running.operator(), ask("good")).await;
}

/// Row J1 of the test plan, over the wire.
#[tokio::test]
async fn odd_texts_are_answered_or_refused_and_never_an_error_of_ours() {
    let running = Running::embedded().await;
    let mut operator = running.operator();
    let odd = [
        "\u{200b}\u{200d}".repeat(2_000),
        format!("a{}", "\u{301}".repeat(9_999)),
        "\u{202e}שלום\u{202c}".repeat(500),
        "\0".repeat(500),
        "x".repeat(1 << 20),
        "😀".repeat(100_000),
    ];
    for text in odd {
        let request = pb::AnalyzeRequest { explain: true, ..ask(&text) };
        if let Err(status) = operator.analyze(request).await {
            assert_eq!(mesh_error::Error::from_status(&status).kind(), Kind::InvalidArgument, "{status:?}");
        }
    }
}
