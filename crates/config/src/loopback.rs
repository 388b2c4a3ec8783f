//! What is on this machine, where a secret may go without TLS.

use std::net::IpAddr;

/// Whether the host of a URL is this machine: `localhost`, or a loopback address, one of IPv6 with or without its brackets.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    match host.trim_matches(['[', ']']) {
        "localhost" => true,
        host => host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for (host, is_it) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("localhost.example", false),
            ("10.0.0.1", false),
            ("[::2]", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host), is_it, "{host}");
        }
    }
}
