//! What a client may read of an error: the one place where the engine's errors become problems.
//!
//! Messages of the engine and its kernels quote values of the data ("Cannot cast string 'X' …"), so none of those
//! that arise while running goes out as it is: each is recognised and said in words of ours, or is "the query
//! failed on the data". Messages of planning speak of the client's own statement and of published names.

use std::error::Error as _;

use arrow::error::ArrowError;
use datafusion::common::utils::datafusion_strsim::levenshtein;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use portico_model::order::WorkLimits;
use portico_model::problem::{Problem, ProblemKind};

use crate::functions;

/// Characters of a planning message that go out.
const MESSAGE_CHARS: usize = 400;
/// Names that are offered instead of an unknown one.
const SUGGESTIONS: usize = 3;
/// Columns that are listed when none is near the one asked for.
const COLUMNS_LISTED: usize = 30;
/// The types as the engine calls them and as the documentation does.
const TYPES: &[(&str, &str)] = &[
    ("Int8", "int8"),
    ("Int16", "int16"),
    ("Int32", "int32"),
    ("Int64", "int64"),
    ("UInt8", "uint8"),
    ("UInt16", "uint16"),
    ("UInt32", "uint32"),
    ("UInt64", "uint64"),
    ("Float16", "float32"),
    ("Float32", "float32"),
    ("Float64", "float64"),
    ("Boolean", "boolean"),
    ("Date32", "date"),
    ("Date64", "timestamp"),
    ("Timestamp", "timestamp"),
    ("Time32", "time"),
    ("Time64", "time"),
    ("Duration", "interval"),
    ("Interval", "interval"),
    ("Utf8", "text"),
    ("LargeUtf8", "text"),
    ("Utf8View", "text"),
    ("String", "text"),
    ("Binary", "binary"),
    ("LargeBinary", "binary"),
    ("BinaryView", "binary"),
    ("Decimal128", "decimal"),
    ("Decimal256", "decimal"),
    ("List", "list"),
    ("LargeList", "list"),
    ("FixedSizeList", "list"),
    ("Struct", "struct"),
    ("Numeric", "number"),
];
/// What the engine puts before its messages.
const PREFIXES: [&str; 2] = ["Execution error: ", "Error during planning: "];
/// What only the engine says: a message with one of these is not told.
const INNER_WORDS: &[&str] = &[
    "Execution error",
    "Error during planning",
    "DataFusion",
    "datafusion",
    "Arrow",
    "Internal",
    "Field {",
    "data_type",
    "Signature",
    "Coercible",
    "Expr",
    "Plan",
    "Scan",
    "physical plan",
    "Subquery",
    "Exec:",
    "Projection",
    "Aggregate:",
    "type_coercion",
    "caused by",
    "rule",
    "bug",
    "schema",
    "Some(",
    "None",
    "::",
    "{",
    "MonthDayNano",
    "\"entries\"",
    "non-null",
    "OneOf(",
    "Exact(",
    "retract_batch",
    "While expanding wildcard",
    "Tdigest",
];

/// The problem for an error of the engine. Details go to the log.
pub(crate) fn of(error: &DataFusionError, limits: &WorkLimits) -> Problem {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => of(inner, limits),
        DataFusionError::Shared(inner) => of(inner, limits),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => of(first, limits),
            None => internal(error),
        },
        DataFusionError::SQL(parser, _) => invalid_sql(&parser.to_string()),
        DataFusionError::Plan(message) => of_plan(message),
        DataFusionError::NotImplemented(message) => not_supported(message),
        DataFusionError::SchemaError(schema, _) => of_schema(schema),
        DataFusionError::ArrowError(arrow, _) => of_arrow(arrow, limits),
        DataFusionError::Execution(message) => failed(message),
        DataFusionError::ResourcesExhausted(message) => {
            tracing::info!(%message, "the question ran out of memory or spill space");
            out_of_memory(limits)
        }
        DataFusionError::External(inner) => of_external(inner.as_ref(), limits),
        DataFusionError::ParquetError(parquet) => of_parquet(parquet, limits),
        DataFusionError::IoError(io) if io.kind() == std::io::ErrorKind::StorageFull => out_of_memory(limits),
        DataFusionError::Internal(message) => of_internal(message).unwrap_or_else(|| internal(error)),
        DataFusionError::IoError(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::ExecutionJoin(_)
        | DataFusionError::Substrait(_)
        | DataFusionError::Ffi(_) => internal(error),
    }
}

/// What the engine calls a fault of its own and is one of the statement: types that do not go together, or an argument
/// that a function has no use for.
fn of_internal(message: &str) -> Option<Problem> {
    if let Some((name, _)) = message.strip_prefix("Function '").and_then(|rest| rest.split_once('\''))
        && message.contains("failed to match any signature")
    {
        let detail = format!(
            "{name} does not take these arguments: their number or their types do not fit. CAST makes types plain."
        );
        return Some(invalid_sql(&detail));
    }
    if message.starts_with("Unsupported predicate type") {
        return Some(invalid_sql(
            "A window function cannot stand in WHERE, ON or HAVING. QUALIFY takes conditions on it.",
        ));
    }
    if message.starts_with("Unavailable default cast for native type") {
        return Some(invalid_sql("A function does not take an argument of this type. CAST makes types plain."));
    }
    if message.starts_with("Min/Max accumulator not implemented for type") || message.starts_with("Uncomparable values")
    {
        return Some(invalid_sql("min and max do not take values of this type."));
    }
    if message.starts_with("Cannot run range queries on datatype") {
        return Some(invalid_sql(
            "A window cannot measure distances between values of the type in its ORDER BY. Give it a frame in ROWS or GROUPS.",
        ));
    }
    if message.contains("Nth value indices are 1 based") {
        return Some(invalid_sql("nth_value counts from 1, or from -1 at the end; there is no value 0."));
    }
    // A function that names itself speaks of what it was given.
    if message.split_once(": ").is_some_and(|(name, _)| functions::is_offered(name)) {
        return Some(failed(message));
    }
    let what = message.strip_prefix("Failed to coerce types ")?.split_once(" in BETWEEN").map(|(types, _)| types)?;
    Some(invalid_sql(&format!("BETWEEN cannot compare {what}. CAST makes types plain.")))
}

/// A fault of ours, with its details in the log.
pub(crate) fn internal(error: &dyn std::error::Error) -> Problem {
    tracing::error!(%error, "the question failed");
    Problem::internal()
}

/// The problem of a question over its time limit.
pub(crate) fn timeout(milliseconds: u64) -> Problem {
    Problem::new(
        ProblemKind::QueryTimeout,
        format!("The query was stopped after {milliseconds} ms. Filter earlier, select fewer columns or add a LIMIT."),
    )
}

fn out_of_memory(limits: &WorkLimits) -> Problem {
    Problem::new(
        ProblemKind::QueryMemory,
        format!(
            "The query needs more than {} bytes of memory or {} bytes of temporary disk. \
             Filter earlier, group by fewer values or add a LIMIT.",
            limits.memory_bytes, limits.spill_bytes
        ),
    )
}

/// An error of another library. One in a pattern is the client's own, and its text quotes the pattern: it is neither
/// told nor logged.
fn of_external(error: &(dyn std::error::Error + Send + Sync + 'static), limits: &WorkLimits) -> Problem {
    if let Some(problem) = error.downcast_ref::<Problem>() {
        return problem.clone();
    }
    if let Some(inner) = error.downcast_ref::<DataFusionError>() {
        return of(inner, limits);
    }
    let message = error.to_string();
    if message.starts_with("regex parse error") { failed(&message) } else { internal(error) }
}

/// What the engine's planner has no way to run. Its words for subqueries are its own plan, written out.
fn not_supported(message: &str) -> Problem {
    if message.contains("GROUPING aggregate function") {
        return invalid_sql(
            "grouping() stands beside GROUP BY in the select list, in HAVING or in ORDER BY, without OVER.",
        );
    }
    let known = [
        (
            "OuterReferenceColumn",
            "A subquery or LATERAL join uses a column from outside it where that cannot be answered. Use the outer \
             column in the subquery's WHERE with =, and calculate with it outside.",
        ),
        ("Exists", "EXISTS cannot be answered here. It can in WHERE and in the select list."),
        ("InSubquery", "IN (SELECT …) cannot be answered here. It can in WHERE and in the select list."),
        ("SetComparison", "ANY and ALL cannot be answered here. They can in WHERE."),
        ("ScalarSubquery", "A subquery that stands for a value cannot be answered here. Join it instead."),
    ];
    match known.iter().find(|(sign, _)| message.contains(&format!("{sign}("))) {
        Some((_, text)) => invalid_sql(text),
        None => invalid_sql(&format!("Not supported: {message}")),
    }
}

fn of_plan(message: &str) -> Problem {
    if let Some(rest) = message.strip_prefix("Invalid function '") {
        let (name, rest) = rest.split_once('\'').unwrap_or((rest, ""));
        let hint = match rest.split_once("Did you mean '").and_then(|(_, hint)| hint.split_once('\'')) {
            Some((hint, _)) => format!(" Did you mean {hint}?"),
            None => String::new(),
        };
        let detail = format!("There is no function {}.{hint}", shortened(name));
        return Problem::new(ProblemKind::FunctionNotAllowed, detail);
    }
    if message.to_lowercase().starts_with("table function") {
        return Problem::new(
            ProblemKind::FunctionNotAllowed,
            "The functions that make tables are generate_series and range.",
        );
    }
    if message.contains("placeholder") || message.contains("Placeholder") {
        let detail = "A parameter of the statement has no value or no type. Bind every $1 or $name; \
                      write CAST($1 AS type) where its place does not tell the type.";
        return Problem::new(ProblemKind::InvalidParameter, detail);
    }
    if message.contains("require unique expression names") {
        return invalid_sql("Two columns of a SELECT list have the same name: give one an alias.");
    }
    if message.starts_with("table '") && message.contains("not found") {
        return Problem::not_found("such dataset");
    }
    invalid_sql(message)
}

fn of_schema(error: &SchemaError) -> Problem {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => unknown_column(field, valid_fields),
        SchemaError::AmbiguousReference { field } => {
            let name = shortened(&field.name);
            invalid_sql(&format!("The column {name} is in more than one table here: write its table before it."))
                .about(&field.name)
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            invalid_sql(&format!("The column {} appears twice: give one an alias.", shortened(name)))
        }
    }
}

fn unknown_column(field: &Column, valid: &[Column]) -> Problem {
    let asked = field.name.to_lowercase();
    // What stands in no table and looks like a call is an expression of the statement, in the engine's spelling.
    let is_column = |column: &&Column| column.relation.is_some() || !column.name.contains('(');
    let mut names = valid.iter().filter(is_column).map(|column| column.name.as_str()).collect::<Vec<_>>();
    names.sort_unstable();
    names.dedup();
    if names.iter().any(|name| *name == field.name) {
        let detail = format!(
            "The column {} is not one of the tables here. A subquery or LATERAL join may use columns of the query right \
             around it, not of those further out.",
            shortened(&field.name)
        );
        return Problem::new(ProblemKind::UnknownColumn, detail).about(&field.name);
    }
    let mut near = names
        .iter()
        .map(|name| (levenshtein(&asked, &name.to_lowercase()), *name))
        .filter(|(distance, name)| *distance <= asked.len().max(name.len()) / 3 || name.contains(&asked))
        .collect::<Vec<_>>();
    near.sort_unstable();
    near.truncate(SUGGESTIONS);
    let hint = if !near.is_empty() {
        let near = near.into_iter().map(|(_, name)| name).collect::<Vec<_>>();
        format!(" Did you mean {}?", near.join(" or "))
    } else if !names.is_empty() && names.len() <= COLUMNS_LISTED {
        format!(" There are: {}.", names.join(", "))
    } else {
        String::new()
    };
    let name = shortened(&field.name);
    Problem::new(ProblemKind::UnknownColumn, shortened(&format!("There is no column {name} here.{hint}")))
        .about(&field.name)
}

fn of_arrow(error: &ArrowError, limits: &WorkLimits) -> Problem {
    match error {
        ArrowError::DivideByZero => query_failed("A number was divided by zero. NULLIF(divisor, 0) avoids it."),
        ArrowError::ArithmeticOverflow(_) => overflow(),
        ArrowError::CastError(message) | ArrowError::ParseError(message) => cast_failed(message),
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => of(inner, limits),
            None => internal(error),
        },
        ArrowError::ComputeError(message) | ArrowError::InvalidArgumentError(message) => failed(message),
        ArrowError::MemoryError(_) => out_of_memory(limits),
        ArrowError::IoError(_, io) if io.kind() == std::io::ErrorKind::StorageFull => out_of_memory(limits),
        ArrowError::OffsetOverflowError(_) => {
            query_failed("A column of text grew beyond 2 GiB in one step. Shorten the values or add a LIMIT.")
        }
        ArrowError::ParquetError(_)
        | ArrowError::NotYetImplemented(_)
        | ArrowError::SchemaError(_)
        | ArrowError::CsvError(_)
        | ArrowError::JsonError(_)
        | ArrowError::AvroError(_)
        | ArrowError::IoError(..)
        | ArrowError::IpcError(_)
        | ArrowError::CDataInterface(_)
        | ArrowError::DictionaryKeyOverflowError
        | ArrowError::RunEndIndexOverflowError => internal(error),
    }
}

fn of_parquet(error: &parquet::errors::ParquetError, limits: &WorkLimits) -> Problem {
    // A filter that is evaluated while decoding fails inside the reader.
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(inner) = inner.downcast_ref::<DataFusionError>() {
            return of(inner, limits);
        }
        if let Some(inner) = inner.downcast_ref::<ArrowError>() {
            return of_arrow(inner, limits);
        }
        source = inner.source();
    }
    internal(error)
}

/// An error while running, known only by a message that may quote values.
fn failed(message: &str) -> Problem {
    let known = [
        ("Overflow", "o"),
        ("overflow", "o"),
        ("Divide by zero", "d"),
        ("divide by zero", "d"),
        ("Cannot cast", "c"),
        ("Error parsing", "c"),
        ("to store in a Decimal", "c"),
        ("Timestamp out of range", "o"),
        ("more than one row", "s"),
        ("regex", "r"),
        ("Regular expression", "r"),
    ];
    match known.iter().find(|(sign, _)| message.contains(sign)).map(|(_, kind)| *kind) {
        Some("o") => overflow(),
        Some("d") => query_failed("A number was divided by zero. NULLIF(divisor, 0) avoids it."),
        Some("c") => cast_failed(message),
        Some("s") => query_failed("A subquery that stands for one value gave more than one row."),
        Some("r") => query_failed("A regular expression is not valid or is too large."),
        _ => {
            // The message may hold values of the data, which have no business in a log.
            tracing::info!(length = message.len(), "the question failed on the data");
            query_failed("A function was given a value that it has no result for.")
        }
    }
}

fn overflow() -> Problem {
    query_failed("A calculation left the range of its type. CAST to a wider type such as DECIMAL(38, 0) or DOUBLE.")
}

/// A failed conversion: the target type is told when it is one of ours, the value never.
fn cast_failed(message: &str) -> Problem {
    let target = message
        .rsplit_once("to value of ")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .and_then(|word| TYPES.iter().find(|(name, _)| *name == word))
        .map_or("the type asked for", |(_, name)| *name);
    query_failed(&format!("A value could not be converted to {target}. TRY_CAST gives NULL for such values."))
}

fn query_failed(detail: &str) -> Problem {
    Problem::new(ProblemKind::QueryFailed, detail)
}

fn invalid_sql(message: &str) -> Problem {
    Problem::new(ProblemKind::InvalidSql, shortened(&in_our_words(message)))
}

/// A message of planning with the documentation's names of types; one that speaks of the engine's inside becomes a
/// sentence of ours.
fn in_our_words(message: &str) -> String {
    let message = message.strip_prefix("sql parser error: ").unwrap_or(message);
    let line = of_arguments(message.lines().next().unwrap_or_default());
    if INNER_WORDS.iter().any(|word| line.contains(word)) {
        tracing::info!(length = message.len(), "a message of planning is not told");
        return "The statement cannot be planned: something in it does not fit together, such as the types of a \
                comparison or the arguments of a function. CAST makes types plain."
            .to_owned();
    }
    let mut words = String::with_capacity(line.len());
    for piece in line.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let known = TYPES.iter().find(|(name, _)| *name == word);
        words.push_str(known.map_or(word, |(_, name)| name));
        words.extend(piece.chars().skip(word.chars().count()));
    }
    words
}

/// What a function says of the arguments that it was called with, without what the engine says around it.
fn of_arguments(line: &str) -> &str {
    let Some((_, said)) = line.split_once("coercion failed with: ") else { return line };
    let said = said.split_once(" No function matches").map_or(said, |(said, _)| said);
    PREFIXES.iter().fold(said, |said, prefix| said.strip_prefix(prefix).unwrap_or(said))
}

/// The first line of a message, of bounded length.
fn shortened(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let mut text = line.chars().take(MESSAGE_CHARS).collect::<String>();
    if text.len() < line.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests;
