//! Numbers as people dress them: separators of thousands, currency signs, a decimal comma, units around them.

use crate::dictionary::Field;

/// What the data dictionary says is around the numbers of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dressing {
    thousands: Option<String>,
    decimal_mark: Option<String>,
    currency: Option<String>,
    affixes: bool,
}

impl Dressing {
    /// What the field declares; `None` for bare numbers.
    pub(crate) fn of(field: &Field) -> Option<Self> {
        let plain = field.thousands.is_none()
            && field.decimal_mark.is_none()
            && field.currency.is_none()
            && !field.number_affixes;
        (!plain).then(|| Self {
            thousands: field.thousands.map(String::from),
            decimal_mark: field.decimal_mark.map(String::from),
            currency: field.currency.map(String::from),
            affixes: field.number_affixes,
        })
    }

    /// The number as digits, sign and full stop, written into `scratch`; `None` when it is not dressed as declared.
    /// Brackets around an amount mean minus, as accountants write it.
    pub(crate) fn undress<'a>(&self, bytes: &[u8], scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let text = std::str::from_utf8(bytes).ok()?;
        let is_space = |character: char| character.is_whitespace() || character == '\u{a0}' || character == '\u{202f}';
        let mut text = text.trim_matches(is_space);
        let mut negative = false;
        if let Some(inner) = text.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
            negative = true;
            text = inner.trim_matches(is_space);
        }
        let sign = |text: &mut &str, negative: &mut bool| {
            if let Some(rest) = text.strip_prefix('-') {
                *text = rest.trim_start_matches(is_space);
                *negative = !*negative;
            } else if let Some(rest) = text.strip_prefix('+') {
                *text = rest;
            }
        };
        sign(&mut text, &mut negative);
        if let Some(currency) = self.currency.as_deref() {
            text = text.strip_prefix(currency).unwrap_or(text).trim_matches(is_space);
            text = text.strip_suffix(currency).unwrap_or(text).trim_matches(is_space);
            sign(&mut text, &mut negative);
        }
        if self.affixes {
            text = text.trim_matches(|character: char| !character.is_ascii_digit() && character != '.');
        }
        scratch.clear();
        if negative {
            scratch.push(b'-');
        }
        self.digits(text, scratch)?;
        Some(scratch)
    }

    fn digits(&self, text: &str, out: &mut Vec<u8>) -> Option<()> {
        let (whole, fraction) = match self.decimal_mark.as_deref().unwrap_or(".") {
            mark if text.contains(mark) => text.split_once(mark)?,
            _ => (text, ""),
        };
        match self.thousands.as_deref() {
            Some(thousands) if whole.contains(thousands) => {
                for (index, group) in whole.split(thousands).enumerate() {
                    let fits = if index == 0 { (1..=3).contains(&group.len()) } else { group.len() == 3 };
                    if !fits || !group.bytes().all(|byte| byte.is_ascii_digit()) {
                        return None;
                    }
                    out.extend_from_slice(group.as_bytes());
                }
            }
            _ => out.extend_from_slice(whole.as_bytes()),
        }
        if !fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(fraction.as_bytes());
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_undressed_as_declared() {
        let check = |field: &Field, text: &str, expect: Option<&str>| {
            let mut scratch = Vec::new();
            let dressing = Dressing::of(field).unwrap();
            let found = dressing.undress(text.as_bytes(), &mut scratch);
            assert_eq!(found.map(|found| std::str::from_utf8(found).unwrap()), expect, "{text:?}");
        };
        let dollars = Field { thousands: Some(','), currency: Some('$'), ..Field::named("x") };
        check(&dollars, " $1,234.50 ", Some("1234.50"));
        check(&dollars, "-$5", Some("-5"));
        check(&dollars, "$ (5)", Some("(5)"));
        check(&dollars, "($1,000)", Some("-1000"));
        check(&dollars, "1,23", None);
        check(&dollars, "1234", Some("1234"));
        let german = Field { thousands: Some('.'), decimal_mark: Some(','), ..Field::named("x") };
        check(&german, "1.234,5", Some("1234.5"));
        check(&german, "1234", Some("1234"));
        let percent = Field { number_affixes: true, ..Field::named("x") };
        check(&percent, "12.5%", Some("12.5"));
        check(&percent, "EUR 12", Some("12"));
        assert_eq!(Dressing::of(&Field::named("x")), None);
    }
}
