//! The scalars of the file: names, numbers, durations and texts, each with exactly one way to write it.

use std::{ops::RangeInclusive, time::Duration};

use super::At;
use crate::{
    fault::Collector,
    yaml::{Node, Value},
};

/// The longest time that a rule may grant.
const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);

/// Words that YAML 1.1 readers (and so the tools behind the rendered files) take for something else than a text, and
/// names that the rendered files use for themselves.
pub(super) const RESERVED: [&str; 12] =
    ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "internet", "nobody", "default-deny"];

/// The text of a scalar; any other kind of node is a fault that names `what`.
pub(crate) fn text<'n>(node: &'n Node, what: &str, faults: &mut Collector) -> Option<At<&'n str>> {
    match &node.value {
        Value::Scalar { text, plain } if *plain && (text.is_empty() || text == "~" || text == "null") => {
            faults.at(node.spot, format!("{what} is missing"));
            None
        }
        Value::Scalar { text, .. } => Some(At { spot: node.spot, value: text }),
        Value::Refused => None,
        Value::List(_) => fault(node, faults, format!("{what} must be a single value, not a list")),
        Value::Map(_) => fault(node, faults, format!("{what} must be a single value, not a mapping")),
    }
}

/// A decimal number in `range`, written without quotes, sign, leading zero or separator.
pub(crate) fn number(
    node: &Node,
    what: &str,
    range: RangeInclusive<u16>,
    faults: &mut Collector,
) -> Option<At<u16>> {
    let written = text(node, what, faults)?;
    let plain = matches!(node.value, Value::Scalar { plain: true, .. });
    let parsed =
        written.value.parse().ok().filter(|number: &u16| plain && number.to_string() == written.value);
    match parsed.filter(|number| range.contains(number)) {
        Some(value) => Some(At { spot: written.spot, value }),
        None => {
            let (low, high) = (range.start(), range.end());
            fault(
                node,
                faults,
                format!("{what} must be a number from {low} to {high}, not \"{}\"", written.value),
            )
        }
    }
}

/// `true`, written so.
pub(crate) fn only_true(node: &Node, what: &str, faults: &mut Collector) -> Option<()> {
    let written = text(node, what, faults)?;
    if written.value == "true" && matches!(node.value, Value::Scalar { plain: true, .. }) {
        return Some(());
    }
    fault(node, faults, format!("{what} can only be true; leave the key out otherwise"))
}

/// A duration: a whole number directly followed by `ms`, `s`, `m` or `h`; above zero and at most a day.
pub(crate) fn duration(node: &Node, what: &str, faults: &mut Collector) -> Option<At<Duration>> {
    let written = text(node, what, faults)?;
    match parse_duration(written.value) {
        Some(value) => Some(At { spot: written.spot, value }),
        None => fault(
            node,
            faults,
            format!(
                "{what} must be a duration like 500ms, 30s, 5m or 1h, from 1ms to 24h, not \"{}\"",
                written.value
            ),
        ),
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let amount: u64 =
        number.parse().ok().filter(|amount: &u64| *amount > 0 && amount.to_string() == number)?;
    let duration = match unit {
        "ms" => Duration::from_millis(amount),
        "s" => Duration::from_secs(amount),
        "m" => Duration::from_secs(amount.checked_mul(60)?),
        "h" => Duration::from_secs(amount.checked_mul(60 * 60)?),
        _ => return None,
    };
    (duration <= MAX_DURATION).then_some(duration)
}

/// Why `name` cannot be the name of a workload, a resource or a namespace, if it cannot.
///
/// The rule is that of Kubernetes service names (RFC 1035 labels, the part of RFC 1123's that begins with a letter):
/// the name becomes a service account, a label and a DNS name.
pub(crate) fn name_problem(name: &str) -> Option<String> {
    let legal = name.len() <= 63
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-');
    if !legal {
        return Some(format!(
            "\"{name}\" is not a name: 1 to 63 of a-z, 0-9 and \"-\", beginning with a letter, not ending with \"-\""
        ));
    }
    RESERVED.contains(&name).then(|| format!("\"{name}\" is a reserved word"))
}

/// Why `scope` cannot be the name of a scope or a role, if it cannot: words of a-z joined by `:` or `-`.
pub(crate) fn scope_problem(scope: &str) -> Option<String> {
    let legal = scope.len() <= 64
        && scope
            .split([':', '-'])
            .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()));
    (!legal).then(|| format!("\"{scope}\" is not a scope or role: words of a-z joined by \":\" or \"-\""))
}

/// A list of texts: at least one, none twice, no wildcard.
pub(crate) fn list(node: &Node, what: &str, faults: &mut Collector) -> Vec<At<String>> {
    let items = match &node.value {
        Value::List(items) => items,
        Value::Refused => return Vec::new(),
        Value::Scalar { .. } | Value::Map(_) => {
            faults.at(node.spot, format!("{what} must be a list, written [a, b]"));
            return Vec::new();
        }
    };
    if items.is_empty() {
        faults.at(node.spot, format!("{what} is an empty list; {}", instead_of_empty(what)));
    }
    let mut list: Vec<At<String>> = Vec::new();
    for item in items {
        let Some(entry) = text(item, &format!("an entry of {what}"), faults) else { continue };
        if entry.value.contains('*') {
            let message = format!("wildcard \"{}\" in {what}; name each one", entry.value);
            faults.at(entry.spot, message);
        } else if list.iter().any(|other| other.value == entry.value) {
            faults.at(entry.spot, format!("\"{}\" is twice in {what}", entry.value));
        } else {
            list.push(At { spot: entry.spot, value: entry.value.to_owned() });
        }
    }
    list
}

fn instead_of_empty(what: &str) -> &'static str {
    if what == "\"from\"" {
        "to declare that nobody may call a method, write {nobody: the reason}"
    } else {
        "leave the key out"
    }
}

fn fault<T>(node: &Node, faults: &mut Collector, message: String) -> Option<T> {
    faults.at(node.spot, message);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_one_spelling() {
        for (text, millis) in
            [("1ms", 1), ("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("24h", 86_400_000)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "s",
            "5",
            "0s",
            "05s",
            "-1s",
            "+1s",
            "1.5s",
            "1 s",
            "1S",
            "1d",
            "25h",
            "1m30s",
            "99999999999999999999s",
            "18446744073709551615h",
            "1ß",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_is_a_label_that_begins_with_a_letter() {
        for name in ["a", "auth", "tasks-worker", "s3", &"a".repeat(63)] {
            assert_eq!(name_problem(name), None, "{name}");
        }
        for name in [
            "",
            "A",
            "9a",
            "-a",
            "a-",
            "a_b",
            "a.b",
            "a b",
            "ä",
            "*",
            "true",
            "internet",
            "default-deny",
            &"a".repeat(64),
        ] {
            assert!(name_problem(name).is_some(), "{name}");
        }
    }
}
