//! The two cookies that there are: of a session, and of an attempt to sign in at the provider. No other route than those of
//! staff looks at any.
//!
//! Over TLS their names begin with `__Host-`: browsers then take them from this very host over TLS only, so that no
//! neighbour in the domain and nobody on the way can set one. Without TLS nobody signs in, but on the machine itself: there
//! is nobody on the way, and browsers do not agree on whether such a cookie may be set, so that it has a plain name.

use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use portico_model::problem::{Problem, ProblemKind};
use url::Url;

use super::origin::own_host;
use crate::client::Client;
use crate::identity::is_here;

/// How a browser reaches us, as far as it may hold a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// Over TLS, to us or to a proxy that is trusted to say so.
    Tls,
    /// On this machine, at an address of it.
    Loopback,
}

impl Channel {
    /// The channel of a request; `None` where nobody signs in. A portal with a public address is reached over TLS only:
    /// behind a proxy on the same machine, every stranger comes from it, at whatever host the proxy writes.
    pub(super) fn of(parts: &Parts, public_url: Option<&str>) -> Option<Self> {
        let client = parts.extensions.get::<Client>()?;
        if client.tls {
            return Some(Self::Tls);
        }
        let host = Url::parse(&format!("http://{}", own_host(parts)?)).ok()?;
        let local = public_url.is_none_or(|url| Url::parse(url).is_ok_and(|url| is_here(&url)));
        (local && is_here(&host) && client.address.is_loopback()).then_some(Self::Loopback)
    }

    /// The name of a session's cookie.
    pub(super) const fn session(self) -> &'static str {
        match self {
            Self::Tls => "__Host-portico",
            Self::Loopback => "portico",
        }
    }

    /// The name of the cookie of an attempt.
    pub(super) const fn attempt(self) -> &'static str {
        match self {
            Self::Tls => "__Host-portico-attempt",
            Self::Loopback => "portico-attempt",
        }
    }

    /// A header that sets a cookie; for `None` seconds it lives as long as the browser, for 0 it goes. `Lax`, since
    /// people come back from the provider by a link of another site; what changes something is checked otherwise.
    pub(super) fn set(self, name: &str, value: &str, seconds: Option<i64>) -> Option<HeaderValue> {
        let secure = if self == Self::Tls { "; Secure" } else { "" };
        let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}")).ok()
    }
}

/// The value of the one cookie of a name; two of one name are none. What neighbours in the domain set may be other bytes
/// than text, and is not read.
pub(super) fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    let mut values = pairs.filter_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    let one = values.next()?;
    let alone = values.next().is_none() && one.is_ascii();
    std::str::from_utf8(one).ok().filter(|_| alone)
}

/// The answer to whoever would sign in where everybody on the way could read the cookie.
pub(super) fn unencrypted() -> Problem {
    let detail = "Sign in over https. If a proxy before the server speaks it, the operator names the proxy in \
                  server.trusted_proxies, and the proxy says X-Forwarded-Proto and X-Forwarded-Host.";
    Problem::new(ProblemKind::Forbidden, detail)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;

    use super::*;

    fn channel(address: &str, tls: bool, host: &str) -> Option<Channel> {
        channel_at(None, (address, tls, host))
    }

    fn channel_at(public_url: Option<&str>, (address, tls, host): (&str, bool, &str)) -> Option<Channel> {
        let mut request = Request::builder().header("host", host).body(Body::empty()).unwrap();
        request.extensions_mut().insert(Client { address: address.parse().unwrap(), tls, host: None });
        Channel::of(&request.into_parts().0, public_url)
    }

    #[test]
    fn sessions_are_for_tls_and_for_the_machine_itself() {
        assert_eq!(channel("203.0.113.5", true, "data.example"), Some(Channel::Tls));
        for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "127.1.2.3"] {
            assert_eq!(channel("127.0.0.1", false, host), Some(Channel::Loopback), "{host}");
            assert_eq!(channel("203.0.113.5", false, host), None, "{host}");
        }
        // A proxy on the machine that does not say for whom it speaks, or a name that somebody has pointed at it.
        for host in ["data.example", "localhost.evil.example", "10.0.0.1", ""] {
            assert_eq!(channel("127.0.0.1", false, host), None, "{host}");
        }
        assert_eq!(Channel::of(&Request::new(()).into_parts().0, None), None);
    }

    #[test]
    fn a_portal_with_a_public_address_is_not_for_the_machine_itself() {
        // What a proxy on the machine sends that keeps neither the host nor the scheme.
        let proxied = ("127.0.0.1", false, "127.0.0.1:8080");
        for public in ["https://data.example", "http://data.example"] {
            assert_eq!(channel_at(Some(public), proxied), None, "{public}");
        }
        for own in ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"] {
            assert_eq!(channel_at(Some(own), proxied), Some(Channel::Loopback), "{own}");
        }
        assert_eq!(channel_at(Some("https://data.example"), ("127.0.0.1", true, "x")), Some(Channel::Tls));
    }

    #[test]
    fn a_cookie_of_a_neighbour_may_be_any_bytes() {
        let read = |line: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.append(header::COOKIE, HeaderValue::from_bytes(line).unwrap());
            super::read(&headers, "__Host-portico").map(str::to_owned)
        };
        assert_eq!(read(b"city=M\xfcnchen; __Host-portico=x").as_deref(), Some("x"));
        assert_eq!(read("__Host-portico=x; city=Zürich".as_bytes()).as_deref(), Some("x"));
        assert_eq!(read("__Host-portico=ü".as_bytes()), None);
        assert_eq!(read("__Host-portico=x; __Host-portico=ü".as_bytes()), None);
    }

    #[test]
    fn a_cookie_is_read_when_there_is_one() {
        let read = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, HeaderValue::from_static(line));
            }
            super::read(&headers, "__Host-portico").map(str::to_owned)
        };
        assert_eq!(read(&["a=b; __Host-portico=x; c"]).as_deref(), Some("x"));
        assert_eq!(read(&["a=b", "__Host-portico=x"]).as_deref(), Some("x"));
        for none in
            [&["portico=x"][..], &["__host-portico=x"], &["__Host-portico=x; __Host-portico=y"], &["x__Host-portico=x"]]
        {
            assert_eq!(read(none), None, "{none:?}");
        }
        let set = |channel: Channel| channel.set(channel.session(), "x", None).unwrap();
        assert_eq!(set(Channel::Tls), "__Host-portico=x; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(set(Channel::Loopback), "portico=x; Path=/; HttpOnly; SameSite=Lax");
    }
}
