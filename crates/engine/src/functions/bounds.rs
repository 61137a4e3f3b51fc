//! What each bounded function may make, and how it is known beforehand.
//!
//! An estimate is an upper limit of the bytes of a row's result. Where a simple one would refuse what is fine, the
//! exact figure is counted.

use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, Expr};
use portico_model::problem::ProblemKind;

use super::bounded::refused;
use super::pattern;
use super::series;
use super::sizes::{Argument, PLACE_BYTES};

/// Bytes of one value that a function makes: a page of text, a list of 131,072 numbers.
pub(crate) const VALUE_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of all values that one call makes for one batch of rows (8,192 at most).
pub(crate) const BATCH_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Characters that an edit distance is counted over: its time is their product.
const DISTANCE_CHARS_MAX: usize = 1_000;
/// Elements of a list that is compared with itself or another.
const ELEMENTS_MAX: u64 = 100_000;
/// Bytes of a format.
const FORMAT_BYTES_MAX: usize = 256;
/// Bytes that one byte of a format becomes at most: `%c` is a whole date with names.
const FORMAT_EXPANSION: u64 = 40;
/// Bytes of a character at most.
const CHAR_BYTES_MAX: u64 = 4;

/// What bounds a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bound {
    /// `text, times`
    Repeat,
    /// `text, characters [, fill]`
    Pad,
    /// `text, from, to`
    Replace,
    /// `text, from, to`
    Translate,
    /// All arguments together, one after the other.
    Sum,
    /// `separator, text …`
    Separated,
    /// `text, pattern, replacement [, flags]`
    RegexReplace,
    /// `text, pattern [, flags]`, giving what each group matched
    RegexMatch,
    /// `text, pattern …`, giving a number
    Regex,
    /// `list, delimiter [, null]`
    ListToText,
    /// `text, delimiter [, null]`
    TextToList,
    /// `element, times`
    ListRepeat,
    /// `list, elements [, element]`
    ListResize,
    /// `value, format`
    Format,
    /// `[start,] stop [, step]`
    Series,
    /// `text, text`
    Distance,
    /// Lists of a bounded number of elements, and the result no larger than they.
    Elements,
    /// Lists of numbers, and nothing larger than they.
    Vectors,
}

impl Bound {
    /// The bound of the function of this name; `None` where a result is no larger than the arguments.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "repeat" => Self::Repeat,
            "lpad" | "rpad" => Self::Pad,
            "replace" => Self::Replace,
            "translate" => Self::Translate,
            "concat" | "overlay" | "array_append" | "array_prepend" | "array_concat" | "make_array" | "struct"
            | "named_struct" | "map" | "arrays_zip" | "array_replace" | "array_replace_n" | "array_replace_all" => {
                Self::Sum
            }
            "concat_ws" => Self::Separated,
            "regexp_replace" => Self::RegexReplace,
            "regexp_match" => Self::RegexMatch,
            "regexp_like" | "regexp_count" | "regexp_instr" => Self::Regex,
            "array_to_string" => Self::ListToText,
            "string_to_array" => Self::TextToList,
            "array_repeat" => Self::ListRepeat,
            "array_resize" => Self::ListResize,
            "to_char" => Self::Format,
            "generate_series" | "range" => Self::Series,
            "levenshtein" => Self::Distance,
            "array_distinct" | "array_union" | "array_intersect" | "array_except" | "array_sort" | "array_has_all"
            | "array_has_any" => Self::Elements,
            "array_add" | "array_avg" | "array_distance" | "array_normalize" | "array_product" | "array_scale"
            | "array_subtract" | "array_sum" | "cosine_distance" | "inner_product" => Self::Vectors,
            _ => return None,
        })
    }

    /// Refuses a call that would make too much of its arguments.
    ///
    /// # Errors
    /// A problem inside [`datafusion::error::DataFusionError::External`] that names the function, the limit and what
    /// to do; never a value.
    pub(super) fn check(self, name: &str, values: &[ColumnarValue], rows: usize) -> Result<()> {
        let rows = if values.iter().all(|value| matches!(value, ColumnarValue::Scalar(_))) { 1 } else { rows };
        if matches!(self, Self::RegexReplace | Self::RegexMatch | Self::Regex) {
            pattern::check_argument(name, values.get(1), flags_of(self, values))?;
        }
        if self == Self::Format && !matches!(values.get(1), Some(ColumnarValue::Scalar(_)) | None) {
            let detail = format!("{name} takes its format as a literal, such as '%Y-%m-%d', not from a column.");
            return Err(refused(ProblemKind::FunctionNotAllowed, detail));
        }
        if self == Self::Format && values.get(1).is_some_and(has_no_field) {
            let detail = format!("{name} takes a format of fields such as '%Y-%m-%d'; this one has none.");
            return Err(refused(ProblemKind::QueryFailed, detail));
        }
        let arguments = values.iter().map(Argument::of).collect::<Result<Vec<_>>>()?;
        match self {
            Self::Regex => Ok(()),
            Self::Vectors => check_vectors(name, &arguments),
            Self::Distance => check_distance(name, &arguments, rows),
            Self::Elements => check_elements(name, &arguments, rows).and_then(|()| sum(name, &arguments, rows)),
            Self::Sum => sum(name, &arguments, rows),
            Self::Separated => separated(name, &arguments, rows),
            Self::Repeat
            | Self::Pad
            | Self::Replace
            | Self::Translate
            | Self::RegexReplace
            | Self::RegexMatch
            | Self::ListToText
            | Self::TextToList
            | Self::ListRepeat
            | Self::ListResize
            | Self::Format
            | Self::Series => self.check_sizes(name, &arguments, rows),
        }
    }

    /// Whether the engine may make something simpler of a call: not of a pattern that has not been checked.
    ///
    /// # Errors
    /// As for [`Bound::check`], where the pattern is known already.
    pub(super) fn allows_simplifying(self, name: &str, args: &[Expr]) -> Result<bool> {
        if !matches!(self, Self::RegexReplace | Self::RegexMatch | Self::Regex) {
            return Ok(true);
        }
        match args.get(1) {
            Some(Expr::Literal(value, _)) => {
                pattern::check_scalar(name, value, None)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn check_sizes(self, name: &str, arguments: &[Argument], rows: usize) -> Result<()> {
        let [first, rest @ ..] = arguments else { return Ok(()) };
        let second = rest.first().unwrap_or(first);
        let third = rest.get(1);
        match self {
            Self::Repeat => within(name, rows, |row| bytes(first, row).saturating_mul(second.count(row))),
            Self::Pad => within(name, rows, |row| {
                let width = if third.is_none_or(|fill| fill.text(row).is_ascii()) { 1 } else { CHAR_BYTES_MAX };
                bytes(first, row).saturating_add(second.count(row).saturating_mul(width))
            }),
            Self::Replace => within(name, rows, |row| replaced(first, second, third.unwrap_or(first), row)),
            Self::Translate => within(name, rows, |row| {
                let ascii = third.is_none_or(|to| to.text(row).is_ascii());
                bytes(first, row).saturating_mul(if ascii { 1 } else { CHAR_BYTES_MAX })
            }),
            Self::RegexReplace => {
                let replacement = pattern::Replacement::of(second, third, rest.get(2));
                within(name, rows, |row| replacement.bytes(first.text(row)))
            }
            Self::RegexMatch => {
                let groups = pattern::groups(second.text(0));
                within(name, rows, |row| bytes(first, row).saturating_add(PLACE_BYTES).saturating_mul(groups))
            }
            Self::ListToText => within(name, rows, |row| {
                first.joined_bytes(row, bytes(second, row) + third.map_or(0, |null| bytes(null, row)))
            }),
            Self::TextToList => within(name, rows, |row| {
                let parts = bytes(first, row) / bytes(second, row).max(1) + 1;
                bytes(first, row).saturating_add(parts.saturating_mul(2 * PLACE_BYTES))
            }),
            Self::ListRepeat => {
                let sizes = first.bytes();
                within(name, rows, |row| sizes.at(row).max(PLACE_BYTES).saturating_mul(second.count(row)))
            }
            Self::ListResize => {
                let (lists, fills) = (first.bytes(), third.map(Argument::bytes));
                within(name, rows, |row| {
                    let fill = fills.as_ref().map_or(PLACE_BYTES, |fills| fills.at(row).max(PLACE_BYTES));
                    lists.at(row).saturating_add(second.count(row).saturating_mul(fill))
                })
            }
            Self::Format => {
                let format = second.text(0).len();
                if format > FORMAT_BYTES_MAX {
                    let detail = format!("{name} takes a format of at most {FORMAT_BYTES_MAX} bytes.");
                    return Err(refused(ProblemKind::QueryFailed, detail));
                }
                let bytes = u64::try_from(format).unwrap_or(u64::MAX).saturating_mul(FORMAT_EXPANSION);
                within(name, rows, |_| bytes)
            }
            Self::Series => {
                series::check_steps(name, arguments, rows)?;
                within(name, rows, |row| series::length(arguments, row).saturating_mul(PLACE_BYTES))
            }
            Self::Sum | Self::Separated | Self::Regex | Self::Distance | Self::Elements | Self::Vectors => Ok(()),
        }
    }
}

/// Refuses when a row's figure is over the limit of a value, or all together over that of a batch.
fn within(name: &str, rows: usize, bytes: impl Fn(usize) -> u64) -> Result<()> {
    let mut all = 0_u64;
    for row in 0..rows {
        let bytes = bytes(row);
        if bytes > VALUE_BYTES_MAX {
            let detail = format!("{name} would make a value of more than {VALUE_BYTES_MAX} bytes. Make it shorter.");
            return Err(refused(ProblemKind::QueryFailed, detail));
        }
        all = all.saturating_add(bytes);
    }
    if all > BATCH_BYTES_MAX {
        let detail = format!(
            "{name} would make more than {BATCH_BYTES_MAX} bytes for {rows} rows at a time. Make the values shorter, \
             or filter the rows before calling it."
        );
        return Err(refused(ProblemKind::QueryFailed, detail));
    }
    Ok(())
}

/// All arguments of a row one after the other: also the bound of the operator `||`.
pub(super) fn sum(name: &str, arguments: &[Argument], rows: usize) -> Result<()> {
    let sizes = arguments.iter().map(Argument::bytes).collect::<Vec<_>>();
    within(name, rows, |row| sizes.iter().fold(0, |sum, size| size.at(row).saturating_add(sum)))
}

fn separated(name: &str, arguments: &[Argument], rows: usize) -> Result<()> {
    let sizes = arguments.iter().map(Argument::bytes).collect::<Vec<_>>();
    let [separator, texts @ ..] = sizes.as_slice() else { return Ok(()) };
    within(name, rows, |row| {
        texts.iter().fold(0, |sum, text| text.at(row).saturating_add(separator.at(row)).saturating_add(sum))
    })
}

fn check_distance(name: &str, arguments: &[Argument], rows: usize) -> Result<()> {
    let too_long = |text: &str| text.len() > DISTANCE_CHARS_MAX && text.chars().count() > DISTANCE_CHARS_MAX;
    if (0..rows).any(|row| arguments.iter().any(|argument| too_long(argument.text(row)))) {
        let detail =
            format!("{name} compares texts of at most {DISTANCE_CHARS_MAX} characters. LEFT(…) shortens them.");
        return Err(refused(ProblemKind::QueryFailed, detail));
    }
    Ok(())
}

fn check_elements(name: &str, arguments: &[Argument], rows: usize) -> Result<()> {
    let lists = arguments.iter().map(Argument::elements).collect::<Vec<_>>();
    if (0..rows).any(|row| lists.iter().any(|list| list.at(row) > ELEMENTS_MAX)) {
        let detail = format!("{name} takes lists of at most {ELEMENTS_MAX} elements. Group by more, or unnest them.");
        return Err(refused(ProblemKind::QueryFailed, detail));
    }
    Ok(())
}

fn check_vectors(name: &str, arguments: &[Argument]) -> Result<()> {
    match arguments.iter().filter_map(Argument::element_type).any(DataType::is_nested) {
        true => Err(refused(ProblemKind::InvalidSql, format!("{name} takes lists of numbers, not lists of lists."))),
        false => Ok(()),
    }
}

fn bytes(argument: &Argument, row: usize) -> u64 {
    u64::try_from(argument.text(row).len()).unwrap_or(u64::MAX)
}

/// The bytes of a replacement: simply as many as would fit, and counted where that is too many.
fn replaced(text: &Argument, from: &Argument, to: &Argument, row: usize) -> u64 {
    let (whole, out, into) = (bytes(text, row), bytes(from, row), bytes(to, row));
    let at_most = whole.saturating_add((whole / out.max(1) + 1).saturating_mul(into));
    if into <= out || at_most <= VALUE_BYTES_MAX / 16 {
        return at_most.min(if out > 0 && into <= out { whole } else { at_most });
    }
    let places = u64::try_from(text.text(row).matches(from.text(row)).count()).unwrap_or(u64::MAX);
    whole.saturating_add(places.saturating_mul(into))
}

/// Whether a format would come out as it is written.
fn has_no_field(format: &ColumnarValue) -> bool {
    match format {
        ColumnarValue::Scalar(format) => format.try_as_str().flatten().is_some_and(|format| !format.contains('%')),
        ColumnarValue::Array(_) => false,
    }
}

fn flags_of(bound: Bound, values: &[ColumnarValue]) -> Option<&ColumnarValue> {
    match bound {
        Bound::RegexReplace => values.get(3),
        Bound::RegexMatch => values.get(2),
        _ => None,
    }
}
