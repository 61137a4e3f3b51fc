//! Reads numbers off their bytes: first what sort of number it is, then, once the column's type is known, its value.

/// What sort of number a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Canonical: no sign but `-`, no leading zero.
    Integer {
        /// Digits.
        digits: u32,
    },
    /// A canonical integer, or none, with a fraction.
    Decimal {
        /// Digits before the point.
        digits: u32,
        /// Digits after it.
        scale: u32,
        /// Digits without leading zeros.
        significant: u32,
        /// Whether the fraction ends in a zero.
        trailing_zero: bool,
        /// Whether the fraction has nothing but zeros.
        whole: bool,
    },
    /// With an exponent.
    Exponent,
    /// With zeros before it: `007`, `-01`, `00.5`.
    LeadingZero,
    /// With spaces around it.
    Padded,
    /// With separators of thousands, a currency or percent sign, a plus, or brackets for minus.
    Dressed,
    /// No number.
    Not,
}

/// Tells the shape. Stops at the first byte that no number has.
pub(crate) fn shape(bytes: &[u8]) -> Shape {
    let body = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let Some(first) = body.first() else { return Shape::Not };
    if !first.is_ascii_digit() && *first != b'.' {
        return dressed(bytes);
    }
    let digits = body.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = body.get(digits..).unwrap_or_default();
    let leading_zero = *first == b'0' && digits > 1;
    match rest.first() {
        None if leading_zero => Shape::LeadingZero,
        None if body == b"0" && body.len() < bytes.len() => Shape::Dressed,
        None => Shape::Integer { digits: small(digits) },
        Some(b'.') => decimal(bytes, body, digits, leading_zero),
        Some(b'e' | b'E') if is_exponent(rest) && digits > 0 && !leading_zero => Shape::Exponent,
        Some(_) => dressed(bytes),
    }
}

fn decimal(bytes: &[u8], body: &[u8], digits: usize, leading_zero: bool) -> Shape {
    let after = body.get(digits + 1..).unwrap_or_default();
    let scale = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = after.get(scale..).unwrap_or_default();
    if scale == 0 || (!rest.is_empty() && !is_exponent(rest)) {
        return dressed(bytes);
    }
    if leading_zero {
        return Shape::LeadingZero;
    }
    if !rest.is_empty() {
        return Shape::Exponent;
    }
    let zeros = body.iter().filter(|byte| **byte != b'.').take_while(|byte| **byte == b'0').count();
    Shape::Decimal {
        digits: small(digits),
        scale: small(scale),
        significant: small((digits + scale).saturating_sub(zeros)),
        trailing_zero: after.last() == Some(&b'0'),
        whole: after.iter().all(|byte| *byte == b'0'),
    }
}

/// `e5`, `E-10`, `e+3` to the end.
fn is_exponent(rest: &[u8]) -> bool {
    let Some(power) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) else { return false };
    let power = power.strip_prefix(b"-").or_else(|| power.strip_prefix(b"+")).unwrap_or(power);
    !power.is_empty() && power.len() <= 4 && power.iter().all(u8::is_ascii_digit)
}

/// Whether something is a number once it is undressed.
fn dressed(bytes: &[u8]) -> Shape {
    if bytes.len() > 40 || !bytes.iter().any(u8::is_ascii_digit) {
        return Shape::Not;
    }
    let trimmed = bytes.trim_ascii();
    if trimmed.len() < bytes.len() {
        return match shape(trimmed) {
            Shape::Not => Shape::Not,
            _ => Shape::Padded,
        };
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Shape::Not };
    let inner = text.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(text);
    let inner = inner.trim_start_matches(['+', '-']).trim();
    let inner = inner.strip_prefix(['$', '€', '£', '¥']).unwrap_or(inner).trim();
    let inner = inner.strip_suffix(['%', '$', '€', '£', '¥']).unwrap_or(inner).trim();
    let inner = inner.trim_start_matches(['+', '-']);
    let (whole, fraction) = inner.split_once('.').unwrap_or((inner, ""));
    let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mut groups = whole.split(',');
    let head = groups.next().unwrap_or_default();
    let grouped = groups.all(|group| group.len() == 3 && digits_only(group));
    let head_fits = !whole.contains(',') || (1..=3).contains(&head.len());
    let numeric = digits_only(head) && grouped && head_fits && digits_only(fraction);
    if numeric && (!head.is_empty() || !fraction.is_empty()) { Shape::Dressed } else { Shape::Not }
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The value of a canonical integer; `None` when it is none or does not fit.
pub(crate) fn integer(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, bytes),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    if digits.len() <= 18 {
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value * 10 + i64::from(digit);
        }
        return Some(if negative { -value } else { value });
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// The value of a plain decimal number as a whole number of units of `10^-scale`; `None` when it is none, has more
/// digits after the point than `scale` (zeros aside), or does not fit `precision` digits.
pub(crate) fn scaled(bytes: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let (negative, body) = match bytes.strip_prefix(b"-") {
        Some(body) => (true, body),
        None => (false, bytes.strip_prefix(b"+").unwrap_or(bytes)),
    };
    let mut value: i128 = 0;
    let mut digits = 0_u32;
    let mut after_point: Option<u8> = None;
    for byte in body {
        match (byte, after_point) {
            (b'.', None) => after_point = Some(0),
            (b'0'..=b'9', _) => {
                digits += 1;
                if let Some(places) = after_point.as_mut() {
                    if *places >= scale {
                        if *byte != b'0' {
                            return None;
                        }
                        continue;
                    }
                    *places += 1;
                }
                value = value.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
            }
            _ => return None,
        }
    }
    for _ in after_point.unwrap_or(0)..scale {
        value = value.checked_mul(10)?;
    }
    let fits = digits > 0 && value < 10_i128.checked_pow(u32::from(precision))?;
    fits.then_some(if negative { -value } else { value })
}

/// The value of a number that floating point may hold; `None` for anything else, infinities included.
pub(crate) fn float(bytes: &[u8]) -> Option<f64> {
    let numeric = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    if !bytes.iter().all(numeric) {
        return None;
    }
    let value: f64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// Whether the shortest decimal that reads back to the same double is the text itself.
pub(crate) fn survives_float(bytes: &[u8]) -> bool {
    let Some(value) = float(bytes) else { return false };
    let mut printed = Printed { text: [0; 64], length: 0 };
    if std::fmt::Write::write_fmt(&mut printed, format_args!("{value}")).is_err() {
        return false;
    }
    let printed = printed.text.get(..printed.length).unwrap_or_default();
    // `.5` and `-.5` print with a zero before the point.
    let bare = |text: &[u8]| text.strip_prefix(b"-").unwrap_or(text).trim_ascii().to_owned();
    let (printed, text) = (bare(printed), bare(bytes));
    printed == text || printed.strip_prefix(b"0") == Some(text.as_slice())
}

/// Whether a number with an exponent has, as a double, the digits that it was written with, zeros at their ends aside,
/// and stays neither zero nor infinite by mistake.
pub(crate) fn survives_exponent(bytes: &[u8]) -> bool {
    let Some(value) = float(bytes) else { return false };
    let digits = |text: &[u8]| {
        let mantissa = text.split(|byte| matches!(byte, b'e' | b'E')).next().unwrap_or_default();
        let mut digits: Vec<u8> = mantissa.iter().copied().filter(u8::is_ascii_digit).collect();
        digits.truncate(digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1));
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.split_off(zeros)
    };
    digits(bytes) == digits(format!("{value:e}").as_bytes())
}

struct Printed {
    text: [u8; 64],
    length: usize,
}

impl std::fmt::Write for Printed {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        let end = self.length + part.len();
        let room = self.text.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(part.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_told_apart() {
        let check = |text: &str, expect: Shape| assert_eq!(shape(text.as_bytes()), expect, "{text:?}");
        check("0", Shape::Integer { digits: 1 });
        check("-120", Shape::Integer { digits: 3 });
        let decimal = |digits, scale, significant, trailing_zero, whole| Shape::Decimal {
            digits,
            scale,
            significant,
            trailing_zero,
            whole,
        };
        check("1.50", decimal(1, 2, 3, true, false));
        check("-0.05", decimal(1, 2, 1, false, false));
        check(".5", decimal(0, 1, 1, false, false));
        check("10.0", decimal(2, 1, 3, true, true));
        for text in ["1e5", "-1.5E-10", "2E+3"] {
            check(text, Shape::Exponent);
        }
        for text in ["007", "-01", "00.11", "00"] {
            check(text, Shape::LeadingZero);
        }
        for text in ["1,234", "$5", "5%", "+5", "(3)", "-0", "$ 1,000.50", "-$4", "1."] {
            check(text, Shape::Dressed);
        }
        for text in [" 5", "5 ", " 1,000 "] {
            check(text, Shape::Padded);
        }
        for text in
            ["", "-", ".", "abc", "12a", "1-2", "NaN", "inf", "1e", "12 Main St", "1.2.3", "1,23", "1e99999", "e5"]
        {
            check(text, Shape::Not);
        }
    }

    #[test]
    fn integers_are_read_within_64_bits() {
        let check = |text: &str, expect: Option<i64>| assert_eq!(integer(text.as_bytes()), expect, "{text:?}");
        check("0", Some(0));
        check("-42", Some(-42));
        check("999999999999999999", Some(999_999_999_999_999_999));
        check("9223372036854775807", Some(i64::MAX));
        check("-9223372036854775808", Some(i64::MIN));
        check("9223372036854775808", None);
        check("1a", None);
        check("", None);
        check("-", None);
    }

    #[test]
    fn decimals_are_exact() {
        let check = |text: &str, precision, scale, expect: Option<i128>| {
            assert_eq!(scaled(text.as_bytes(), precision, scale), expect, "{text:?}");
        };
        check("1.50", 3, 2, Some(150));
        check("-1.5", 3, 2, Some(-150));
        check(".5", 3, 2, Some(50));
        check("7", 3, 2, Some(700));
        check("10", 3, 2, None);
        check("1.500", 3, 2, Some(150));
        check("1.505", 3, 2, None);
        check("", 3, 2, None);
        check("1.2.3", 9, 2, None);
    }

    #[test]
    fn floats_that_print_as_they_were_are_told() {
        let check = |text: &str, expect: bool| assert_eq!(survives_float(text.as_bytes()), expect, "{text:?}");
        check("41.80792179224785", true);
        check("-87.66539529541", true);
        check("0.1", true);
        check(".5", true);
        check("1.50", false);
        check("0.12345678901234567890", false);
    }

    #[test]
    fn exponents_that_a_double_holds_are_told() {
        let check = |text: &str, expect: bool| assert_eq!(survives_exponent(text.as_bytes()), expect, "{text:?}");
        check("1e5", true);
        check("-1.50E-10", true);
        check("0e5", true);
        check("120e300", true);
        check("1.7976931348623157e308", true);
        check("1.2345678901234567891e3", false);
        check("1e400", false);
        check("1e-400", false);
        check("4e-324", false);
    }
}
