//! Counts of calls, read from this process's own metrics: in a local mesh that is everybody's.

use std::collections::BTreeMap;

use crate::api::mesh::Seen;

/// How the lines of the histogram's count begin.
const COUNT: &str = "rpc_client_call_duration_seconds_count{";

/// Caller, callee, `package.Service/Method`.
pub(super) type Key = (String, String, String);

/// From the metrics in the Prometheus text format.
pub(super) fn calls(metrics: &str) -> BTreeMap<Key, Seen> {
    let mut calls: BTreeMap<Key, Seen> = BTreeMap::new();
    for line in metrics.lines() {
        if let Some((key, ok, count)) = parse(line) {
            let seen = calls.entry(key).or_default();
            let sum = if ok { &mut seen.ok } else { &mut seen.failed };
            *sum = sum.saturating_add(count);
        }
    }
    calls
}

/// No label of ours holds a comma, a brace or a quote.
fn parse(line: &str) -> Option<(Key, bool, u32)> {
    let (labels, count) = line.strip_prefix(COUNT)?.rsplit_once("} ")?;
    let label = |name: &str| {
        let mut pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"').to_owned())
    };
    let key = (label("quipu_workload")?, label("quipu_server")?, label("rpc_method")?);
    let ok = label("rpc_response_status_code")? == "OK";
    Some((key, ok, count.trim().parse::<u64>().map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed_by_call_and_outcome() {
        let line = |code: &str, count: u32| {
            format!(
                "rpc_client_call_duration_seconds_count{{rpc_system_name=\"grpc\",rpc_method=\"a.B/C\",\
                 rpc_response_status_code=\"{code}\",quipu_workload=\"gateway\",quipu_server=\"auth\"}} {count}\n"
            )
        };
        let text =
            [line("OK", 3), line("UNAVAILABLE", 1), line("INTERNAL", 1), "other_count{} 9\n".to_owned()]
                .concat();
        let calls = calls(&text);
        let key = ("gateway".to_owned(), "auth".to_owned(), "a.B/C".to_owned());
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[&key], Seen { ok: 3, failed: 2 });
    }
}
