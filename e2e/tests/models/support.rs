//! What the rows share: a mesh with the test's own language model, the joke that it tells, and how tokens are counted.

use mesh_testkit::{Asked, FakeLlm};
use quipu_e2e::{Process, Setup};
use serde_json::Value;

/// A joke as models tell it: two whole sentences, then the turn.
pub(crate) const JOKE: &str = r#"{"setup":"My cat has a new job. She works at the computer.","punchline":"She watches the mouse all day long."}"#;

/// A joke that tells which it is.
pub(crate) fn numbered(number: u64) -> String {
    format!(
        r#"{{"setup":"Why did cat number {number} sit on the computer?","punchline":"To watch the mouse."}}"#
    )
}

/// A mesh whose model is this server, which has models by these names.
pub(crate) fn setup(fake: &FakeLlm, models: &[&str]) -> Setup {
    let setup = Setup::new().without_rates().with("jokes", "OPENAI_BASE_URL", fake.base_url()).with(
        "jokes",
        "QUIPU_JOKES_OPENAI_MODELS",
        models.join(","),
    );
    ["auth", "sentiment", "jokes", "gateway"]
        .into_iter()
        .fold(setup, |setup, workload| setup.with(workload, "QUIPU_LOG", "info"))
}

/// The seed in a call, by which a test knows its wish.
pub(crate) fn seed(asked: &Asked) -> Option<u32> {
    asked.body["seed"].as_u64().and_then(|seed| u32::try_from(seed).ok())
}

/// Calls so far in which this model was asked.
pub(crate) fn calls(fake: &FakeLlm, model: &str) -> usize {
    fake.asked().iter().filter(|asked| asked.body["model"] == model).count()
}

/// Tokens of a text that the provider did not count, by the rule that the service states.
pub(crate) fn weigh(text: &str) -> u64 {
    let ascii = text.chars().filter(char::is_ascii).count();
    u64::try_from(ascii.div_ceil(4) + text.chars().count() - ascii).unwrap()
}

/// The same of the prompt of a call.
pub(crate) fn weigh_prompt(asked: &Asked) -> u64 {
    let messages = asked.body["messages"].as_array().unwrap().iter();
    let of = |message: &Value| {
        let tokens = weigh(message["content"].as_str().unwrap());
        if message["role"] == "system" { tokens } else { tokens + 3 }
    };
    messages.map(of).sum::<u64>() + 3
}

/// The sum of a metric over all its label sets that have these labels.
pub(crate) async fn metric(process: &Process, name: &str, labels: &[&str]) -> f64 {
    let text = process.metrics().await;
    let of_name = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
    };
    let lines = text.lines().filter(of_name).filter(|line| labels.iter().all(|label| line.contains(label)));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
