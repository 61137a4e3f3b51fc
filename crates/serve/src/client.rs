//! Who sends a request: whoever is at the other end of the connection or, where that is a proxy that the operator
//! trusts, whoever the proxy says.
//!
//! `Forwarded` (RFC 7239) and `X-Forwarded-For` are lists that anyone may begin and each proxy appends to, so that
//! they are read from the right: the first hop that is no trusted proxy is the client, and what stands before it is
//! its own invention. A hop that cannot be read ends the reading, and so do two headers that name different
//! clients: most proxies write one of them and pass the other on as the client sent it. Then the connection's own
//! address counts.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use ipnet::IpNet;

use crate::accept::Peer;
use crate::site::Site;

/// The longest name of a host, in bytes (RFC 1035) with a port behind it.
const HOST_BYTES_MAX: usize = 259;

/// The networks whose word is taken for who the client is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads networks such as `10.0.0.0/8` or `fd00::/8`; an address alone stands for itself.
    ///
    /// # Errors
    /// With the first text that is neither.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        let network = |text: &String| {
            let alone = || text.parse::<IpAddr>().map(IpNet::from);
            text.parse::<IpNet>().or_else(|_| alone()).map_err(|_| text.clone())
        };
        texts.iter().map(network).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Who sends a request, as an extension of every request that came over a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// What its limits are counted for.
    pub(crate) address: IpAddr,
    /// Whether it speaks TLS, to us or to the proxy before us.
    pub(crate) tls: bool,
    /// The host that it asked the proxy for, where a trusted one says so; otherwise `Host` stands.
    pub(crate) host: Option<String>,
}

/// The outermost layer: says who the client is, once for everything below.
pub(crate) async fn identify(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    if let Some(peer) = request.extensions().get::<Peer>().copied() {
        let client = Client::of(peer, request.headers(), &site.settings.trusted_proxies);
        request.extensions_mut().insert(client);
    }
    next.run(request).await
}

impl Client {
    pub(crate) fn of(peer: Peer, headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let own = Self { address: peer.address.to_canonical(), tls: peer.tls, host: None };
        if !trusted.contains(own.address) {
            return own;
        }
        let (standard, common) = (forwarded(headers), x_forwarded(headers));
        match (named(&standard, trusted), named(&common, trusted)) {
            (Named::Nobody, Named::Nobody) => own.over(&said(headers)),
            (Named::Hop(hop), Named::Nobody) => own.over(hop),
            (Named::Nobody, Named::Hop(hop)) => own.over(hop).over(&said(headers)),
            (Named::Hop(hop), Named::Hop(same)) if hop.address == same.address => own.over(&said(headers)).over(hop),
            _ => own,
        }
    }

    /// What is known, with what a hop says of it.
    fn over(self, hop: &Hop) -> Self {
        Self {
            address: hop.address.unwrap_or(self.address),
            tls: hop.tls.unwrap_or(self.tls),
            host: hop.host.clone().or(self.host),
        }
    }
}

/// One member of a list: what a proxy says of whoever it heard from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hop {
    /// `None` where it cannot be read, or is hidden on purpose.
    address: Option<IpAddr>,
    tls: Option<bool>,
    host: Option<String>,
}

/// What a list comes to.
enum Named<'a> {
    /// There is no list.
    Nobody,
    Unreadable,
    Hop(&'a Hop),
}

fn named<'a>(hops: &'a [Hop], trusted: &TrustedProxies) -> Named<'a> {
    let mut found = Named::Nobody;
    for hop in hops.iter().rev() {
        let Some(address) = hop.address else { return Named::Unreadable };
        found = Named::Hop(hop);
        if !trusted.contains(address) {
            break;
        }
    }
    found
}

/// The hops of `X-Forwarded-For`.
fn x_forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let members = members(headers, "x-forwarded-for");
    members.iter().map(|member| Hop { address: address(member), ..Hop::default() }).collect()
}

/// `X-Forwarded-Proto` and `X-Forwarded-Host`, where they say one thing.
fn said(headers: &HeaderMap) -> Hop {
    let one = |name: &str| {
        let mut members = members(headers, name);
        members.dedup();
        members.pop().filter(|_| members.is_empty())
    };
    Hop {
        address: None,
        tls: one("x-forwarded-proto").and_then(|text| tls(&text)),
        host: one("x-forwarded-host").and_then(host),
    }
}

/// The hops of `Forwarded`.
fn forwarded(headers: &HeaderMap) -> Vec<Hop> {
    members(headers, "forwarded").iter().map(|member| element(member)).collect()
}

/// `for=192.0.2.1;proto=https;host="data.example"`.
fn element(text: &str) -> Hop {
    let mut hop = Hop::default();
    for pair in split(text, ';') {
        let Some((name, value)) = pair.split_once('=') else { return Hop::default() };
        let value = unquoted(value.trim());
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => hop.address = address(&value),
            "proto" => hop.tls = tls(&value),
            "host" => hop.host = host(value),
            _ => {}
        }
    }
    hop
}

/// The members of a list header, over all its lines.
fn members(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter();
    // A line of other bytes than text is one member that cannot be read.
    lines.flat_map(|line| split(line.to_str().unwrap_or("?"), ',')).collect()
}

/// Splits outside of quotes and trims; empty members are nothing (RFC 9110 §5.6.1).
fn split(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if c == separator && !quoted {
            parts.push(std::mem::take(&mut part));
            continue;
        }
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        part.push(c);
    }
    parts.push(part);
    parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn unquoted(text: &str) -> String {
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace('\\', ""),
        None => text.to_owned(),
    }
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let is_port = |port: &str| !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    let address = if let Some(rest) = text.strip_prefix('[') {
        let (inner, port) = rest.split_once(']')?;
        let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        IpAddr::V6(inner.parse::<Ipv6Addr>().ok().filter(|_| fits)?)
    } else if let Ok(address) = text.parse::<IpAddr>() {
        address
    } else {
        let (inner, port) = text.split_once(':')?;
        IpAddr::V4(inner.parse().ok().filter(|_| is_port(port))?)
    };
    Some(address.to_canonical())
}

fn tls(scheme: &str) -> Option<bool> {
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Some(true),
        "http" => Some(false),
        _ => None,
    }
}

fn host(text: String) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
    (!text.is_empty() && text.len() <= HOST_BYTES_MAX && text.bytes().all(plain)).then_some(text)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn client(peer: &str, pairs: &[(&'static str, &str)]) -> Client {
        let texts = ["10.0.0.0/8".to_owned(), "fd00::/8".to_owned(), "192.0.2.200".to_owned()];
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let peer = Peer { address: peer.parse().unwrap(), tls: false };
        Client::of(peer, &headers, &TrustedProxies::parse(&texts).unwrap())
    }

    fn check(pairs: &[(&'static str, &str)], expect: &str) {
        assert_eq!(client("10.0.0.1", pairs).address, expect.parse::<IpAddr>().unwrap(), "{pairs:?}");
    }

    #[test]
    fn a_stranger_is_its_connection_whatever_it_says() {
        let headers = [
            ("x-forwarded-for", "198.51.100.1"),
            ("forwarded", "for=198.51.100.1;proto=https;host=evil.example"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
        ];
        let own = Client { address: "203.0.113.5".parse().unwrap(), tls: false, host: None };
        assert_eq!(client("203.0.113.5", &headers), own);
        assert_eq!(client("::ffff:203.0.113.5", &headers), own);
    }

    #[test]
    fn the_rightmost_hop_that_is_no_proxy_is_the_client() {
        check(&[("x-forwarded-for", "198.51.100.1")], "198.51.100.1");
        check(&[("x-forwarded-for", "1.1.1.1, 198.51.100.1")], "198.51.100.1");
        check(&[("x-forwarded-for", "1.1.1.1, 198.51.100.1, 10.9.9.9, 192.0.2.200")], "198.51.100.1");
        check(&[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "198.51.100.1, 10.1.1.1")], "198.51.100.1");
        check(&[("x-forwarded-for", "rubbish, 198.51.100.1:4711")], "198.51.100.1");
        check(&[("x-forwarded-for", "2001:db8::7")], "2001:db8::7");
        check(&[("x-forwarded-for", "[2001:db8::7]:443")], "2001:db8::7");
        check(&[("x-forwarded-for", "::ffff:198.51.100.1")], "198.51.100.1");
        check(&[("x-forwarded-for", "10.2.2.2, 10.1.1.1")], "10.2.2.2");
        check(&[("forwarded", "for=1.1.1.1, for=198.51.100.1;proto=https, for=10.1.1.1")], "198.51.100.1");
        check(&[("forwarded", "For=\"[2001:db8::7]:4711\";by=\"a,b;c\"")], "2001:db8::7");
    }

    #[test]
    fn a_chain_that_cannot_be_read_is_not_believed() {
        for bad in ["198.51.100.1, rubbish", "198.51.100.1, unknown", "198.51.100.1:x", "[::1", "1.2.3", "é"] {
            check(&[("x-forwarded-for", bad)], "10.0.0.1");
        }
        for bad in ["for=198.51.100.1, for=_hidden", "for=unknown", "proto=https", "198.51.100.1", "for=\"198.51.100.1"]
        {
            check(&[("forwarded", bad)], "10.0.0.1");
        }
        check(&[("x-forwarded-for", "")], "10.0.0.1");
    }

    #[test]
    fn two_headers_have_to_agree() {
        let standard = ("forwarded", "for=198.51.100.1");
        check(&[standard, ("x-forwarded-for", "198.51.100.1")], "198.51.100.1");
        check(&[standard, ("x-forwarded-for", "198.51.100.2")], "10.0.0.1");
        check(&[standard, ("x-forwarded-for", "rubbish")], "10.0.0.1");
    }

    #[test]
    fn scheme_and_host_come_from_the_proxy() {
        let seen = |pairs: &[(&'static str, &str)]| {
            let client = client("10.0.0.1", pairs);
            (client.tls, client.host)
        };
        let host = Some("data.example".to_owned());
        let from = ("x-forwarded-for", "198.51.100.1");
        assert_eq!(
            seen(&[from, ("x-forwarded-proto", "https"), ("x-forwarded-host", "data.example")]),
            (true, host.clone())
        );
        assert_eq!(seen(&[("x-forwarded-proto", "https")]), (true, None));
        assert_eq!(seen(&[("forwarded", "for=198.51.100.1;proto=https;host=\"data.example\"")]), (true, host));
        assert_eq!(seen(&[from, ("x-forwarded-proto", "http, https"), ("x-forwarded-host", "a<b")]), (false, None));
    }

    #[test]
    fn what_is_no_network_is_named() {
        assert_eq!(TrustedProxies::parse(&["10.0.0.0/8".into(), "proxy.local".into()]).unwrap_err(), "proxy.local");
        let one = TrustedProxies::parse(&["192.0.2.1".into()]).unwrap();
        assert!(one.contains("192.0.2.1".parse().unwrap()) && !one.contains("192.0.2.2".parse().unwrap()));
    }
}
