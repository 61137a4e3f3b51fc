//! What a string of digits can be: Social Security numbers, cards, routing numbers, telephone numbers.

/// A Social Security number by the rules of its parts: no area 000, 666 or 900 and above, no group 00, no serial 0000.
/// Nine digits at random pass 9 times in 10.
pub(super) fn is_ssn(digits: &[u8]) -> bool {
    let [a, b, c, d, e, tail @ ..] = digits else { return false };
    tail.len() == 4
        && [*a, *b, *c] != *b"000"
        && [*a, *b, *c] != *b"666"
        && *a != b'9'
        && [*d, *e] != *b"00"
        && tail != b"0000"
}

/// An individual taxpayer number: area 900 to 999, group 50 to 65, 70 to 88, 90 to 92 or 94 to 99.
pub(super) fn is_itin(digits: &[u8]) -> bool {
    let [b'9', _, _, d, e, tail @ ..] = digits else { return false };
    let group = (d & 15) * 10 + (e & 15);
    tail.len() == 4 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

/// The length and first digits of a card of a known network.
pub(super) fn is_card_shape(digits: &[u8]) -> bool {
    let Some(first) = digits.first_chunk::<6>() else { return false };
    let six = first.iter().fold(0_u32, |number, digit| number * 10 + u32::from(digit & 15));
    let (four, three, two) = (six / 100, six / 1_000, six / 10_000);
    let length = digits.len();
    let long = (16..=19).contains(&length);
    match two {
        40..=49 => matches!(length, 13 | 16 | 19),
        51..=55 => length == 16,
        22..=27 => length == 16 && (2_221..=2_720).contains(&four),
        34 | 37 => length == 15,
        30 => (14..=19).contains(&length) && (three <= 305 || four == 3_095),
        36 | 38 | 39 => (14..=19).contains(&length),
        35 => long && (3_528..=3_589).contains(&four),
        18 | 21 => length == 15 && (four == 1_800 || four == 2_131),
        60 => long && four == 6_011,
        64 => long && three >= 644,
        62 | 65 => long,
        50 | 58 | 63 | 67 => {
            let known = [5_018, 5_020, 5_038, 5_893, 6_304, 6_759, 6_761, 6_762, 6_763];
            (12..=19).contains(&length) && known.contains(&four)
        }
        _ => false,
    }
}

/// Luhn's check digit (ISO/IEC 7812-1 annex B).
pub(super) fn is_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit & 15);
            let doubled = if place % 2 == 1 { value * 2 } else { value };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != b'0')
}

/// Nine digits that begin as routing numbers of the American Bankers Association do.
pub(super) fn is_routing_shape(digits: &[u8]) -> bool {
    let [first, second, ..] = digits else { return false };
    let prefix = (first & 15) * 10 + (second & 15);
    digits.len() == 9 && matches!(prefix, 1..=12 | 21..=32 | 61..=72 | 80)
}

/// The routing number's check digit: weights 3, 7, 1.
pub(super) fn is_routing(digits: &[u8]) -> bool {
    let sum: u32 =
        digits.iter().zip([3, 7, 1].into_iter().cycle()).map(|(digit, weight)| u32::from(digit & 15) * weight).sum();
    digits.len() == 9 && sum.is_multiple_of(10) && sum > 0
}

/// Ten digits of the North American Numbering Plan: area and exchange begin with 2 to 9, and no area is N11.
pub(super) fn is_phone(digits: &[u8]) -> bool {
    let [a, b, c, d, rest @ ..] = digits else { return false };
    rest.len() == 6 && *a >= b'2' && *d >= b'2' && !(*b == b'1' && *c == b'1')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn social_security_numbers_have_valid_parts() {
        let check = |digits: &str, expect| assert_eq!(is_ssn(digits.as_bytes()), expect, "{digits}");
        check("219099999", true);
        check("001010001", true);
        check("899999999", true);
        for wrong in ["000121234", "666121234", "900121234", "123001234", "123120000", "12312123", "1231212345"] {
            check(wrong, false);
        }
    }

    #[test]
    fn taxpayer_numbers_have_valid_groups() {
        let check = |digits: &str, expect| assert_eq!(is_itin(digits.as_bytes()), expect, "{digits}");
        check("900701234", true);
        check("999881234", true);
        check("912501234", true);
        for wrong in ["900491234", "900661234", "900891234", "900931234", "800701234"] {
            check(wrong, false);
        }
    }

    #[test]
    fn cards_have_a_network_a_length_and_a_check_digit() {
        for card in [
            "4111111111111111",
            "5500000000000004",
            "2223003122003222",
            "340000000000009",
            "30000000000004",
            "6011000000000004",
            "3530111333300000",
            "6200000000000005",
            "4222222222222",
        ] {
            assert!(is_card_shape(card.as_bytes()) && is_luhn(card.as_bytes()), "{card}");
        }
        assert!(!is_luhn(b"4111111111111112") && !is_luhn(b"0000000000000000"));
        for shape in ["1643673600000", "1643673600000000", "7111111111111111", "9400110200881234567890", "411111111111"]
        {
            assert!(!is_card_shape(shape.as_bytes()), "{shape}");
        }
    }

    #[test]
    fn routing_and_telephone_numbers() {
        for routing in ["053000196", "021000021", "322271627", "061000104"] {
            assert!(is_routing_shape(routing.as_bytes()) && is_routing(routing.as_bytes()), "{routing}");
        }
        assert!(!is_routing(b"053000197") && !is_routing_shape(b"991000021"));
        assert!(is_phone(b"9195604444") && !is_phone(b"1195604444") && !is_phone(b"9111234567"));
        assert!(!is_phone(b"9191604444"));
    }
}
