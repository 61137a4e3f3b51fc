//! E-mail and IP addresses within text.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether the text holds an e-mail address with a domain of at least two labels.
pub(super) fn has_email(text: &[u8]) -> bool {
    let mut rest = text;
    let mut offset = 0;
    while let Some(at) = rest.iter().position(|byte| *byte == b'@') {
        if let Some((before, after)) = text.split_at_checked(offset + at)
            && ends_in_local_part(before)
            && begins_with_domain(after.get(1..).unwrap_or_default())
        {
            return true;
        }
        offset += at + 1;
        rest = text.get(offset..).unwrap_or_default();
    }
    false
}

fn ends_in_local_part(text: &[u8]) -> bool {
    let is_local = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"._%+-'".contains(byte);
    let length = text.iter().rev().take_while(|byte| is_local(byte)).count();
    let starts =
        text.last().is_some_and(|last| last.is_ascii_alphanumeric() || !last.is_ascii() || b"_-+".contains(last));
    starts && (1..=64).contains(&length)
}

fn begins_with_domain(text: &[u8]) -> bool {
    let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || b".-".contains(byte);
    let end = text.iter().take(253).take_while(|byte| is_domain(byte)).count();
    let domain = text.get(..end).unwrap_or_default();
    let domain = domain.strip_suffix(b".").unwrap_or(domain);
    let mut labels = 0;
    let mut last: &[u8] = &[];
    for label in domain.split(|byte| *byte == b'.') {
        if label.is_empty() || label.len() > 63 || label.starts_with(b"-") || label.ends_with(b"-") {
            break;
        }
        labels += 1;
        last = label;
    }
    labels >= 2 && last.len() >= 2 && last.iter().any(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii())
}

/// Whether four numbers are the public address of one machine. Private, local and multicast addresses concern nobody.
/// Without `telling` words, addresses made of small numbers pass for numbers of sections and versions.
pub(super) fn is_public_v4(parts: [&[u8]; 4], telling: bool) -> bool {
    let mut octets = [0_u8; 4];
    for (octet, part) in octets.iter_mut().zip(parts) {
        let number = part.iter().fold(0_u32, |number, digit| number * 10 + u32::from(digit & 15));
        let Ok(small) = u8::try_from(number) else { return false };
        if part.len() > 3 || (part.len() > 1 && part.starts_with(b"0")) {
            return false;
        }
        *octet = small;
    }
    let address = Ipv4Addr::from(octets);
    let [first, ..] = octets;
    let nobody = address.is_private() || address.is_loopback() || address.is_link_local() || first == 0 || first >= 224;
    let wide = parts.iter().filter(|part| part.len() > 1).count() >= 2;
    !nobody && (telling || wide)
}

/// Whether the text holds a public IPv6 address.
pub(super) fn has_public_v6(text: &[u8]) -> bool {
    text.split(|byte| !(byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')))
        .filter(|token| token.iter().filter(|byte| **byte == b':').count() >= 2)
        .filter_map(|token| std::str::from_utf8(token).ok()?.trim_end_matches('.').parse::<Ipv6Addr>().ok())
        .any(|address| {
            let parts = address.segments().into_iter().filter(|segment| *segment != 0).count();
            parts >= 3 && !address.is_unicast_link_local() && !address.is_unique_local() && !address.is_multicast()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_are_found_in_text_and_other_uses_of_the_sign_are_not() {
        for text in ["a@b.org", "Write to Jo.O'Neil+x@city.durham.nc.us.", "<x_y@xn--bcher-kva.example>", "1@2.com,3"] {
            assert!(has_email(text.as_bytes()), "{text}");
        }
        for text in
            ["2 @ $5.00", "Main St @ Elm St", "@durham", "a@b", "a@b.1", "a@-b.org", "5 @ 3.50 each", "x@ y.org"]
        {
            assert!(!has_email(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn addresses_of_machines_are_public_ones() {
        let v4 = |text: &str, telling| {
            let parts: Vec<&[u8]> = text.split('.').map(str::as_bytes).collect();
            is_public_v4(parts.try_into().unwrap(), telling)
        };
        assert!(v4("106.31.73.20", false) && v4("8.8.8.8", true));
        for text in ["8.8.8.8", "3.5.2.1", "10.20.30.40", "192.168.11.12", "127.0.0.10", "300.11.12.13", "12.011.13.14"]
        {
            assert!(!v4(text, false), "{text}");
        }
        assert!(has_public_v6(b"from 2001:db8::ff00:42:8329, port 80"));
        for text in ["12:30:45", "::1", "fe80::1:2:3", "std::vec", "00:1B:44:11:3A:B7", "2020-01-01T10:20:30"] {
            assert!(!has_public_v6(text.as_bytes()), "{text}");
        }
    }
}
