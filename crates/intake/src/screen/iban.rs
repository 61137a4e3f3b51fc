//! International bank account numbers (ISO 13616).

/// Length by country, from the registry of SWIFT.
const LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NL", 18),
    (b"NO", 15),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
];

/// The letters and digits, in upper case, of what begins `text` and has a country, two check digits and the country's length,
/// in one piece or in groups set apart by single spaces.
pub(super) fn shape(text: &[u8]) -> Option<Vec<u8>> {
    let country = text.first_chunk::<2>()?.map(|byte| byte.to_ascii_uppercase());
    let (_, length) = LENGTHS.iter().find(|(code, _)| **code == country)?;
    let mut found = Vec::with_capacity(*length);
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte.is_ascii_alphanumeric() {
            found.push(byte.to_ascii_uppercase());
        } else if byte != b' ' || found.len() % 4 != 0 || !bytes.peek().is_some_and(u8::is_ascii_alphanumeric) {
            return None;
        }
        if found.len() == *length {
            let ends = bytes.next().is_none_or(|next| !next.is_ascii_alphanumeric() && next != b'_');
            return ends.then_some(found);
        }
    }
    None
}

/// Whether the check digits are right: modulo 97 of the rearranged number is 1.
pub(super) fn is_valid(letters: &[u8]) -> bool {
    let Some((head, tail)) = letters.split_at_checked(4) else { return false };
    let mut rest = 0_u32;
    for byte in tail.iter().chain(head) {
        rest = match byte {
            b'0'..=b'9' => rest * 10 + u32::from(byte - b'0'),
            b'A'..=b'Z' => rest * 100 + u32::from(byte - b'A') + 10,
            _ => return false,
        } % 97;
    }
    rest == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ibans_have_their_countrys_length_and_check_digits() {
        let check = |text: &str, is_shape: bool, valid: bool| {
            let found = shape(text.as_bytes());
            assert_eq!((found.is_some(), found.is_some_and(|found| is_valid(&found))), (is_shape, valid), "{text}");
        };
        check("GB82WEST12345698765432", true, true);
        check("gb82 west 1234 5698 7654 32, thanks", true, true);
        check("DE89370400440532013000", true, true);
        check("NO9386011117947", true, true);
        check("GB82WEST12345698765433", true, false);
        check("GB82WEST123456987654321", false, false);
        check("ZZ82WEST12345698765432", false, false);
        check("GB82WE ST12345698765432", false, false);
    }
}
