//! Where a person signs in from.

use std::net::IpAddr;

use super::text;

/// The client as the gateway describes it. It informs the owner of a session and separates guessers from owners; nothing is
/// allowed because of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Client {
    address: Option<IpAddr>,
    user_agent: String,
}

/// What counts as one place: an IPv4 address, or the /64 that an IPv6 customer has to herself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source(String);

impl Client {
    /// From what the gateway says. An address that is none is as good as no address.
    pub(crate) fn new(address: &str, user_agent: &str) -> Self {
        let address = address.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        Self { address, user_agent: text::harmless(user_agent, 256) }
    }

    /// For people; empty when unknown.
    pub(crate) fn address(&self) -> String {
        self.address.map(|address| address.to_string()).unwrap_or_default()
    }

    /// For people; may be empty.
    pub(crate) fn user_agent(&self) -> &str {
        &self.user_agent
    }

    /// The place.
    pub(crate) fn source(&self) -> Source {
        Source(match self.address {
            None => "unknown".to_owned(),
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        })
    }
}

impl Source {
    /// As stored.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a place at all: what is unknown is never a place that somebody is known from.
    pub(crate) fn is_known(&self) -> bool {
        self.0 != "unknown"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> Source {
        Client::new(address, "").source()
    }

    #[test]
    fn a_64_is_one_place() {
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
    }

    #[test]
    fn an_ipv4_address_is_itself_also_when_mapped() {
        assert_eq!(source("::ffff:203.0.113.7"), source("203.0.113.7"));
        assert_ne!(source("203.0.113.7"), source("203.0.113.8"));
    }

    #[test]
    fn what_is_no_address_is_unknown() {
        for odd in ["", "localhost", "203.0.113.7:80", "203.0.113.7, 198.51.100.1", "\n"] {
            assert!(!source(odd).is_known(), "{odd}");
            assert_eq!(Client::new(odd, "").address(), "");
        }
    }

    #[test]
    fn the_user_agent_is_cut_and_harmless() {
        let client = Client::new("", &format!("a\r\nb{}", "x".repeat(500)));
        assert_eq!(client.user_agent().chars().count(), 256);
        assert!(!client.user_agent().contains('\n'));
    }
}
