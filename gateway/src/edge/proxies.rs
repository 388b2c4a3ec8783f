//! Whose word about the client's address is taken: exactly one hop, and only from the listed networks.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use http::HeaderMap;

/// The header that a proxy writes.
pub(crate) const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The header by which a proxy says that it took TLS off.
pub(crate) const X_FORWARDED_PROTO: &str = "x-forwarded-proto";

/// A network of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    base: u128,
    prefix: u8,
}

/// The networks whose `X-Forwarded-For` is believed; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// Whether an address is of a trusted proxy.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = bits(address);
        self.0.iter().any(|network| network.mask(address) == network.base)
    }

    /// The client's address: what a trusted peer names last, else the peer itself.
    pub(crate) fn client_of(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.contains(peer) {
            return peer;
        }
        let last = headers.get_all(X_FORWARDED_FOR).iter().next_back().and_then(|v| v.to_str().ok());
        last.and_then(|list| list.rsplit(',').next()).and_then(|hop| parse_hop(hop.trim())).unwrap_or(peer)
    }

    /// Whether a trusted peer says that the client used TLS.
    pub(crate) fn says_tls(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let told =
            headers.get(X_FORWARDED_PROTO).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"https"));
        told && self.contains(peer.to_canonical())
    }
}

impl Network {
    fn mask(self, address: u128) -> u128 {
        if self.prefix == 0 { 0 } else { address & (u128::MAX << (128 - u32::from(self.prefix))) }
    }
}

/// All addresses as IPv6 bits, IPv4 mapped.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// What limits count: an IPv4 address, or the /64 of an IPv6 address, which is one customer's.
pub(crate) fn source_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("{}/64", Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

/// "10.0.0.0/8, 192.0.2.7, 2001:db8::/32"
impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(parse_network).collect::<Result<_, _>>().map(Self)
    }
}

fn parse_network(text: &str) -> Result<Network, String> {
    let fault = || format!("`{text}` is not a network such as 10.0.0.0/8");
    let (address, length) =
        text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let address: IpAddr = address.parse().map_err(|_| fault())?;
    let (own, offset) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
    let length: u8 = length.map_or(Ok(own), str::parse).map_err(|_| fault())?;
    if length > own {
        return Err(fault());
    }
    let network = Network { base: bits(address), prefix: length + offset };
    if network.mask(network.base) != network.base {
        return Err(format!("`{text}` has bits set behind its prefix"));
    }
    Ok(network)
}

impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            let address = Ipv6Addr::from_bits(network.base);
            let comma = if index == 0 { "" } else { "," };
            match address.to_ipv4_mapped().filter(|_| network.prefix >= 96) {
                Some(v4) => write!(f, "{comma}{v4}/{}", network.prefix - 96)?,
                None => write!(f, "{comma}{address}/{}", network.prefix)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(trusted: &str, peer: &str, forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(value));
        }
        let trusted: TrustedProxies = trusted.parse().unwrap();
        trusted.client_of(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_trusted_peer_is_believed_and_only_its_last_word() {
        assert_eq!(client("", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("192.0.2.0/24", "192.0.2.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("192.0.2.0/24", "192.0.2.1", &["1.1.1.1, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("192.0.2.0/24", "192.0.2.1", &["1.1.1.1", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("192.0.2.0/24", "::ffff:192.0.2.1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(client("192.0.2.0/24", "192.0.2.1", &["rubbish"]), "192.0.2.1");
        assert_eq!(client("192.0.2.0/24", "192.0.2.1", &[]), "192.0.2.1");
    }

    #[test]
    fn networks_are_read_strictly_and_written_back() {
        let all: TrustedProxies = "10.0.0.0/8,192.0.2.7/32,2001:db8::/32,0.0.0.0/0".parse().unwrap();
        assert_eq!(all.to_string().parse::<TrustedProxies>().unwrap(), all);
        for bad in ["10.0.0.1/8", "10.0.0.0/33", "x", "10.0.0.0/", "2001:db8::/129"] {
            assert!(bad.parse::<TrustedProxies>().is_err(), "{bad}");
        }
        assert!(!all.contains("2001:db9::1".parse().unwrap()));
        assert!(all.contains("2001:db8:1::1".parse().unwrap()));
    }

    #[test]
    fn one_ipv6_customer_is_one_source() {
        let source = |a: &str| source_of(a.parse().unwrap());
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), source("2001:db8:1:2:ffff::1"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
