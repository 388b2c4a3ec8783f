//! What the service counts. Labels are names of configured models and rules, and words of closed lists: all bounded.

use crate::domain::Usage;
use crate::error::JokesError;

/// Counter: jokes and chats, by model and outcome.
const ANSWERS: &str = "jokes_answers_total";
/// Counter: calls to providers, by model and outcome.
const CALLS: &str = "jokes_provider_calls_total";
/// Counter: tokens, by model and direction (`input`, `output`).
const TOKENS: &str = "jokes_tokens_total";
/// Counter: billionths of a US dollar, by model.
const COST: &str = "jokes_cost_nanos_total";
/// Counter: refusals of the guards, by direction (`input`, `output`) and rule.
const REFUSALS: &str = "jokes_guard_refusals_total";
/// Counter: looks into the cache, by outcome (`hit`, `miss`, `error`).
const CACHE: &str = "jokes_cache_total";
/// Counter: ratings told to Opik, by outcome (`told`, `unknown`, `failed`).
const SCORES: &str = "jokes_scores_total";
/// Counter: usages that were more than what had been reserved, by model. The provider does not keep to its limit.
const OVERRUNS: &str = "jokes_usage_overruns_total";

pub(crate) fn answered<T>(model: &str, result: &Result<T, JokesError>) {
    let outcome = result.as_ref().err().map_or("done", JokesError::outcome);
    metrics::counter!(ANSWERS, "model" => model.to_owned(), "outcome" => outcome).increment(1);
    match result.as_ref().err() {
        Some(JokesError::RefusedInput { refusal, .. }) => refused("input", &refusal.rule),
        Some(JokesError::RefusedAnswer(refusal)) => refused("output", &refusal.rule),
        _ => {}
    }
}

fn refused(direction: &'static str, rule: &str) {
    metrics::counter!(REFUSALS, "direction" => direction, "rule" => rule.to_owned()).increment(1);
}

pub(crate) fn called(model: &str, outcome: &'static str) {
    metrics::counter!(CALLS, "model" => model.to_owned(), "outcome" => outcome).increment(1);
}

pub(crate) fn used(model: &str, usage: Usage) {
    let count = |direction: &'static str, tokens: u32| {
        metrics::counter!(TOKENS, "model" => model.to_owned(), "direction" => direction)
            .increment(tokens.into());
    };
    count("input", usage.input_tokens);
    count("output", usage.output_tokens);
    metrics::counter!(COST, "model" => model.to_owned()).increment(usage.cost_nanos.unsigned_abs());
}

pub(crate) fn overrun(model: &str) {
    metrics::counter!(OVERRUNS, "model" => model.to_owned()).increment(1);
}

pub(crate) fn score(outcome: &'static str) {
    metrics::counter!(SCORES, "outcome" => outcome).increment(1);
}

pub(crate) fn cache(outcome: &'static str) {
    metrics::counter!(CACHE, "outcome" => outcome).increment(1);
}
