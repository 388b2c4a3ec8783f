use super::*;

const GOOD: (&str, &str) = ("QUIPU_DATABASE_URL", "sqlite:///tmp/unused.db");

fn read(extra: &[(&str, &str)]) -> std::result::Result<Config, Vec<String>> {
    let mut reader = Reader::from_pairs([&[GOOD], extra].concat());
    let config = Config::read(&mut reader);
    match reader.finish() {
        Ok(_) => Ok(config.unwrap()),
        Err(faults) => Err(faults.0.into_iter().map(|fault| fault.name).collect()),
    }
}

fn names(config: &Config) -> Vec<String> {
    config.models.build().unwrap().iter().map(|entry| entry.info().name.clone()).collect()
}

#[test]
fn nothing_need_be_set_but_a_database() {
    let config = read(&[]).unwrap();
    assert_eq!(names(&config), ["puns"]);
    assert_eq!(config.listen.listen.port(), GRPC_PORT);
    assert!(config.budgets.user_day.calls.is_some());
}

#[test]
fn an_endpoint_brings_its_models_and_the_first_one_answers() {
    let endpoint = [
        ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1"),
        ("QUIPU_JOKES_OPENAI_MODELS", "llama3.2, qwen3"),
        ("QUIPU_JOKES_FALLBACK", "puns"),
        ("QUIPU_JOKES_PRICES", "llama3.2=0.15/0.60"),
    ];
    let config = read(&endpoint).unwrap();
    assert_eq!(names(&config), ["llama3.2", "qwen3", "puns"]);
    assert_eq!(config.models.prices.to_string(), "llama3.2=0.15/0.6");
    let config = read(&[&endpoint[..], &[("QUIPU_JOKES_DEFAULT_MODEL", "puns")]].concat()).unwrap();
    assert_eq!(names(&config)[0], "puns");
}

#[test]
fn each_bad_value_is_named() {
    for (name, value) in [
        ("QUIPU_JOKES_CACHE", "maybe"),
        ("QUIPU_JOKES_CACHE_LIFE", "0"),
        ("QUIPU_JOKES_CHAT_TOKENS", "1"),
        ("QUIPU_REDIS_URL", "http://redis"),
        ("QUIPU_JOKES_BUDGET_USER_DAY", "calls=many"),
        ("QUIPU_JOKES_PRICES", "puns=cheap"),
        ("QUIPU_JOKES_PRICES", "unknown=1/1"),
        ("QUIPU_JOKES_FALLBACK", "unknown"),
        ("QUIPU_JOKES_DEFAULT_MODEL", "unknown"),
        ("QUIPU_JOKES_OPENAI_MODELS", "gpt-4o"),
        ("QUIPU_JOKES_GUARD_FILE", "/nowhere/guards.yaml"),
        ("QUIPU_JOKES_STALL_TIMEOUT", "never"),
    ] {
        assert_eq!(read(&[(name, value)]).unwrap_err(), [name], "{value}");
    }
    assert_eq!(read(&[("OPENAI_API_KEY", "sk-canary")]).unwrap_err(), ["QUIPU_JOKES_OPENAI_MODELS"]);
}

#[test]
fn a_key_does_not_show_itself() {
    let config =
        read(&[("OPENAI_API_KEY", "sk-canary"), ("QUIPU_JOKES_OPENAI_MODELS", "gpt-4o-mini")]).unwrap();
    assert!(!format!("{config:?}").contains("canary"));
}
