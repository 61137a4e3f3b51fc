//! Numbers that the engine would not take as they are written: whole ones beyond 64 bits, which it makes the nearest
//! float of, those beyond every float, and counts of rows.

use sqlparser::ast::{CastKind, DataType, ExactNumberInfo, Expr, UnaryOperator, Value, ValueWithSpan};

use super::fault::{Checked, at, invalid};

/// Digits of the widest decimal.
const DECIMAL_DIGITS_MAX: usize = 38;

/// The largest whole number that the engine reads as one.
pub(super) const LARGEST: u64 = u64::MAX;

/// The same behind a minus.
pub(super) const LARGEST_NEGATED: u64 = i64::MIN.unsigned_abs();

/// A whole number over `largest` as the decimal that it is, `CAST('…' AS DECIMAL(38,0))`; `None` for every other literal.
///
/// # Errors
/// `InvalidSql` for a number that is larger than every DOUBLE.
pub(super) fn exact(literal: &ValueWithSpan, largest: u64) -> Checked<Option<Expr>> {
    let ValueWithSpan { value: Value::Number(text, _), span } = literal else { return Ok(None) };
    let digits = text.replace('_', "");
    if digits.parse::<u64>().is_ok_and(|number| number <= largest) {
        return Ok(None);
    }
    let whole = digits.trim_start_matches('0');
    if whole.len() <= DECIMAL_DIGITS_MAX && whole.bytes().all(|byte| byte.is_ascii_digit()) && !whole.is_empty() {
        let value = Value::SingleQuotedString(whole.to_owned()).with_span(*span);
        let data_type = DataType::Decimal(ExactNumberInfo::PrecisionAndScale(38, 0));
        let (array, format) = (false, None);
        let expr = Box::new(Expr::Value(value));
        return Ok(Some(Expr::Cast { kind: CastKind::Cast, expr, data_type, array, format }));
    }
    if digits.parse::<f64>().is_ok_and(f64::is_infinite) {
        return Err(at(invalid("The number is larger than every DOUBLE, which end at 1.8e308."), span.start));
    }
    Ok(None)
}

/// Checks what stands after LIMIT or OFFSET, or counts the rows of a window frame, where it is a literal.
///
/// # Errors
/// `InvalidSql` for a number that is no count of rows.
pub(super) fn check_rows(clause: &str, rows: &Expr) -> Checked {
    let refused = |location| {
        let more = match clause {
            "LIMIT" => " Leave LIMIT out for all rows.",
            "OFFSET" => "",
            _ => " UNBOUNDED takes all rows.",
        };
        let detail = format!("{clause} takes a whole number from 0 to {}.{more}", i64::MAX);
        Err(at(invalid(detail), location))
    };
    match rows {
        Expr::Value(ValueWithSpan { value: Value::Number(text, _), span }) if text.parse::<i64>().is_err() => {
            refused(span.start)
        }
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match &**expr {
            Expr::Value(ValueWithSpan { value: Value::Number(text, _), span }) if text.parse() != Ok(0) => {
                refused(span.start)
            }
            _ => Ok(()),
        },
        // A number beyond 64 bits has become a decimal by now.
        Expr::Cast { expr, data_type: DataType::Decimal(_), .. } => match &**expr {
            Expr::Value(value) => refused(value.span.start),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}
