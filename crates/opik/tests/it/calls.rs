//! Scores over the REST API.

use mesh_opik::{Experiment, Item, Opik, OpikConfig, Score};
use mesh_testkit::FakeOpik;
use serde_json::{Value, json};
use std::time::SystemTime;

fn opik_at(url: &str) -> Opik {
    Opik::new(&OpikConfig::new(url, "tests").unwrap()).unwrap()
}

fn score(value: f64) -> Score {
    Score { name: "rating".to_owned(), value, reason: None }
}

#[tokio::test]
async fn a_conversation_that_nobody_knows_has_no_score() {
    let opik = FakeOpik::start().await.unwrap();
    assert!(!opik_at(&opik.url()).score("0198c0de0000700080000000000000aa", &score(1.0)).await.unwrap());
    assert!(opik.scores().is_empty());
}

#[tokio::test]
async fn errors_say_what_may_be_the_matter_and_never_the_key() {
    let opik = FakeOpik::start_with("right", "team").await.unwrap();
    let refused = opik_at(&opik.url()).score("a", &score(1.0)).await.unwrap_err();
    assert!(refused.to_string().contains("OPIK_API_KEY") && !refused.is_passing(), "{refused}");
    let away = opik_at("http://127.0.0.1:1/api").score("a", &score(1.0)).await.unwrap_err();
    assert!(away.is_passing(), "{away}");
    let open = FakeOpik::start().await.unwrap();
    open.fail_next(1, 503);
    assert!(opik_at(&open.url()).score("a", &score(1.0)).await.unwrap_err().is_passing());
}

#[tokio::test]
async fn an_experiment_over_the_same_input_meets_the_same_items() {
    let opik = FakeOpik::start().await.unwrap();
    let now = SystemTime::now();
    let item = |topic: &str, output: Value, error: Option<String>| Item {
        input: json!({"topic": topic}),
        output,
        started: now,
        ended: now,
        scores: vec![Score { name: "schema".to_owned(), value: 1.0, reason: Some("parsed".to_owned()) }],
        error,
    };
    let many = (0..150).map(|n| item(&n.to_string(), json!({"setup": "a"}), None));
    let failed = item("sky", Value::Null, Some("the provider is away".to_owned()));
    let experiment = Experiment {
        name: "run".to_owned(),
        dataset: "topics".to_owned(),
        metadata: json!({"model": "puns"}),
        items: many.chain([failed]).collect(),
    };
    let client = opik_at(&opik.url());
    let first = client.send_experiment(&experiment).await.unwrap();
    let second = client.send_experiment(&experiment).await.unwrap();
    assert_ne!(first, second);
    let (datasets, experiments) = (opik.datasets(), opik.experiments());
    assert_eq!((datasets.len(), datasets[0].items.len()), (1, 151));
    assert_eq!(experiments.len(), 2);
    assert!(experiments.iter().all(|e| e.items.len() == 151 && e.metadata["model"] == "puns"));
    assert_eq!((opik.traces().len(), opik.scores().len()), (302, 302));
    assert_eq!(opik.traces().iter().filter(|trace| trace.error_info.is_some()).count(), 2);
}
