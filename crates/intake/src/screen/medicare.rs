//! Numbers of Medicare beneficiaries: eleven places, each of letters or digits, without letters that resemble digits.

/// Whether the text holds such a number, with or without dashes after the fourth and the seventh place.
pub(super) fn has_number(text: &[u8]) -> bool {
    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'_';
    text.split(|byte| !is_inside(byte)).any(is_number)
}

fn is_number(token: &[u8]) -> bool {
    let dashes = match (token.len(), token.get(4), token.get(8)) {
        (11, ..) => false,
        (13, Some(b'-'), Some(b'-')) => true,
        _ => return false,
    };
    let places =
        token.iter().enumerate().filter(|(place, _)| !(dashes && matches!(place, 4 | 8))).map(|(_, byte)| *byte);
    let letter = |byte: u8| byte.is_ascii_uppercase() && !b"SLOIBZ".contains(&byte);
    places.zip(b"1AN9AN9AA99").all(|(byte, kind)| match kind {
        b'1' => matches!(byte, b'1'..=b'9'),
        b'9' => byte.is_ascii_digit(),
        b'A' => letter(byte),
        _ => letter(byte) || byte.is_ascii_digit(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_medicare_have_their_places() {
        for text in ["1EG4-TE5-MK73", "card 1EG4TE5MK73.", "(1EG4-TE5-MK73)"] {
            assert!(has_number(text.as_bytes()), "{text}");
        }
        for text in ["1EG4-TE5-MK7", "0EG4TE5MK73", "1SG4TE5MK73", "X-1EG4TE5MK73", "1EG4TE5MK735", "PERMIT20210"] {
            assert!(!has_number(text.as_bytes()), "{text}");
        }
    }
}
