//! Formats of driver's licences, by state.

/// Letters (`A`) and digits (`9`) of licences, with the states that use the format.
const FORMATS: &[(&str, &str)] = &[
    ("999999", "CT DE ME MO NC RI SC TN"),
    ("9999999", "AL AK AR DE DC GA ME NC SC TN TX UT VT WY"),
    ("99999999", "AL CT GA LA NC ND NM NV OR PA SC TN TX UT WV"),
    ("999999999", "AR AZ CO CT DC GA IA IN LA MA MO MS MT NC NM NY OK SC SD TN UT VA WY"),
    ("9999999999", "IN NC NV SC SD UT WY"),
    ("99999999999", "NC SC"),
    ("999999999999", "NC NV SD VA"),
    ("9999999999999", "MT"),
    ("99999999999999", "MT"),
    ("A999999", "CO NE RI"),
    ("A9999999", "CA MI NE WV"),
    ("A99999999", "AZ HI IL KS KY MA NE NY VA"),
    ("A999999999", "IN MO OK VA"),
    ("A9999999999", "IL MD MI MN MO VA"),
    ("A99999999999", "IL"),
    ("A999999999999", "FL KS MD MI MN WA"),
    ("A9999999999999", "FL WI"),
    ("A99999999999999", "NJ"),
    ("A999999999999999999", "NY"),
    ("AA99999", "CO OH WV"),
    ("AA999999", "CO ID OH WV"),
    ("AA9999999", "OH"),
    ("AA999999A", "ID"),
    ("AAA999999", "ND"),
    ("AAAAAAA9999", "WA"),
    ("9999999A", "ME VT"),
    ("99999999A", "MO"),
    ("99999999AA", "MO"),
    ("999999999A", "MO"),
    ("999A999999", "MO"),
    ("999AA9999", "IA"),
    ("99AAA99999", "NH"),
    ("9AAA99999", "PR"),
];

/// Whether a token, dashes and stars aside, has the format of a licence.
pub(super) fn is_license(token: &[u8]) -> bool {
    let mut mask = [0_u8; 20];
    let mut used = 0;
    for byte in token.iter().filter(|byte| !matches!(byte, b'-' | b'*')) {
        let Some(place) = mask.get_mut(used) else { return false };
        *place = match byte {
            b'0'..=b'9' => b'9',
            byte if byte.is_ascii_alphabetic() => b'A',
            _ => return false,
        };
        used += 1;
    }
    let mask = mask.get(..used).unwrap_or_default();
    if is_date(token) {
        return false;
    }
    FORMATS.iter().any(|(format, _)| format.as_bytes() == mask)
}

/// `2021-03-04` or `03-04-2021`.
fn is_date(token: &[u8]) -> bool {
    let mut lengths = token.split(|byte| *byte == b'-').map(<[u8]>::len);
    matches!(
        (lengths.next(), lengths.next(), lengths.next(), lengths.next()),
        (Some(4), Some(1..=2), Some(1..=2), None) | (Some(1..=2), Some(1..=2), Some(4), None)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_have_the_format_of_a_state() {
        for token in
            ["12345678", "F162823540116", "U62928788557186", "2270-66-1551", "A1234567", "D123-4567-8901", "123AB4567"]
        {
            assert!(is_license(token.as_bytes()), "{token}");
        }
        for token in ["1234", "ABCDEFG", "A1", "AAAA99999", "12.345678", "2021-03-04", "03-04-2021"] {
            assert!(!is_license(token.as_bytes()), "{token}");
        }
    }
}
