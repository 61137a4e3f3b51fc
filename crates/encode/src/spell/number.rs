//! Numbers as digits.

/// An integer of any width.
pub(crate) fn integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A float as the shortest digits that read back to it, always with a point or an exponent: `1.0`, `1e+300`,
/// `NaN`, `inf`, `-inf`.
pub(crate) fn float(out: &mut Vec<u8>, value: impl zmij::Float) {
    out.extend_from_slice(zmij::Buffer::new().format(value).as_bytes());
}

/// A decimal whose unscaled value fits 64 bits in most rows, which is much faster to divide.
pub(crate) fn decimal128(out: &mut Vec<u8>, unscaled: i128, scale: i8) {
    match i64::try_from(unscaled) {
        Ok(small) => decimal(out, itoa::Buffer::new().format(small), scale),
        Err(_) => decimal(out, itoa::Buffer::new().format(unscaled), scale),
    }
}

/// A decimal with all digits of its scale, from the digits of its unscaled value.
pub(crate) fn decimal(out: &mut Vec<u8>, unscaled: &str, scale: i8) {
    let digits = match unscaled.as_bytes() {
        [b'-', digits @ ..] => {
            out.push(b'-');
            digits
        }
        digits => digits,
    };
    let places = usize::from(scale.unsigned_abs());
    if scale <= 0 {
        out.extend_from_slice(digits);
        if digits != b"0" {
            zeros(out, places);
        }
        return;
    }
    match digits.len().checked_sub(places) {
        Some(whole) if whole > 0 => {
            let (whole, fraction) = digits.split_at(whole);
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
        _ => {
            out.extend_from_slice(b"0.");
            zeros(out, places - digits.len());
            out.extend_from_slice(digits);
        }
    }
}

/// Bytes as lower-case hex.
pub(crate) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(2 * bytes.len());
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

fn zeros(out: &mut Vec<u8>, count: usize) {
    out.resize(out.len() + count, b'0');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelt(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_keep_their_scale() {
        let check = |value: i128, scale, text: &str| assert_eq!(spelt(|out| decimal128(out, value, scale)), text);
        check(150, 2, "1.50");
        check(-150, 2, "-1.50");
        check(5, 2, "0.05");
        check(-5, 2, "-0.05");
        check(50, 2, "0.50");
        check(0, 2, "0.00");
        check(0, 0, "0");
        check(12, 0, "12");
        check(12, -3, "12000");
        check(0, -3, "0");
        check(i128::MAX, 10, "17014118346046923173168730371.5884105727");
        check(i128::MIN, 38, "-1.70141183460469231731687303715884105728");
    }

    #[test]
    fn floats_keep_their_type() {
        let check = |value: f64, text: &str| assert_eq!(spelt(|out| float(out, value)), text);
        check(1.0, "1.0");
        check(-0.0, "-0.0");
        check(0.1 + 0.2, "0.30000000000000004");
        check(1e300, "1e+300");
        check(f64::NAN, "NaN");
        check(f64::NEG_INFINITY, "-inf");
        assert_eq!(spelt(|out| float(out, 0.1_f32)), "0.1");
    }

    #[test]
    fn bytes_are_hex() {
        assert_eq!(spelt(|out| hex(out, &[0, 0x7F, 0xAB])), "007fab");
    }
}
