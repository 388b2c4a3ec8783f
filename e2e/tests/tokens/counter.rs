//! Reads the counters that the programs publish.

use quipu_e2e::Process;

/// The sum of all series of a metric whose labels have all the texts.
pub(crate) async fn sum(process: &Process, metric: &str, labels: &[&str]) -> u64 {
    let text = process.metrics().await;
    let of = |line: &&str| {
        let name = line.split(['{', ' ']).next();
        name == Some(metric) && labels.iter().all(|label| line.contains(label))
    };
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
    let sum = text.lines().filter(of).map(value).fold(0.0, |sum, value| sum + value);
    // A counter is whole.
    format!("{sum:.0}").parse().unwrap()
}

/// How often a verifier has fetched the issuer's keys.
pub(crate) async fn key_fetches(process: &Process) -> u64 {
    sum(process, "token_key_fetches_total", &[]).await
}

/// The statements that `auth` has run on the tables of keys and accounts; upkeep touches neither.
pub(crate) async fn key_statements(auth: &Process) -> u64 {
    let mut all = 0;
    for table in ["SELECT api_keys", "UPDATE api_keys", "INSERT api_keys", "DELETE api_keys", "SELECT users"]
    {
        let label = format!("db_query_summary=\"{table}\"");
        all += sum(auth, "db_client_operation_duration_seconds_count", &[&label]).await;
    }
    all
}
