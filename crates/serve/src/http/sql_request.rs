//! What a request to `/sql` asks: the statement, its parameters, the form of the answer and the caller's own limits,
//! from a query string or from a body.

use std::collections::BTreeMap;

use http::{HeaderMap, header};
use portico_model::format::{Compression, FileKind, Format};
use portico_model::order::{OutputOptions, ParameterValue};
use portico_model::problem::ProblemKind;
use serde::Deserialize;
use serde_json::Value;

use crate::http::negotiate;
use crate::http::options;
use crate::http::parameters::Parameters;
use crate::problem::Refusal;

/// What may stand in the query string, for the refusal of anything else.
const KNOWN: &str = "q, format, p1, p2, … or pNAME, timeout_ms, header, null, bom, excel, download";

/// A question as it came in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SqlRequest {
    pub(crate) sql: String,
    pub(crate) parameters: BTreeMap<String, ParameterValue>,
    pub(crate) kind: FileKind,
    /// Whether `format=` named the kind; otherwise `Accept` did, and caches have to know.
    pub(crate) format_named: bool,
    pub(crate) options: OutputOptions,
    pub(crate) timeout_ms: Option<u64>,
    /// Whether a browser is to save the answer.
    pub(crate) download: bool,
}

/// A body of `application/json`. Unknown members are refused: a misspelt limit must not go unnoticed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SqlBody {
    sql: String,
    #[serde(default)]
    params: Value,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    limits: BodyLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyLimits {
    #[serde(default)]
    timeout_ms: Option<u64>,
}

impl SqlRequest {
    /// Reads `GET /sql?q=…`.
    pub(crate) fn from_query(headers: &HeaderMap, mut query: Parameters) -> Result<Self, Refusal> {
        let sql = query.take("q").ok_or_else(|| invalid("The statement is missing: /sql?q=SELECT …"))?;
        Self::read(headers, query, sql, None)
    }

    /// Reads `POST /sql`; the query string may hold all but the statement.
    pub(crate) fn from_body(headers: &HeaderMap, query: Parameters, body: &[u8]) -> Result<Self, Refusal> {
        let text = || {
            let text = str::from_utf8(body).map_err(|_| invalid("The body is not UTF-8."))?;
            Ok::<_, Refusal>(text.to_owned())
        };
        match media_type(headers)?.as_str() {
            "application/sql" | "text/plain" => Self::read(headers, query, text()?, None),
            "application/json" => {
                let body: SqlBody = serde_json::from_str(&text()?).map_err(|error| {
                    invalid(format!(
                        "The body is not the JSON object that is read here, {{\"sql\", \"params\", \"format\", \
                         \"limits\": {{\"timeout_ms\"}}}} (line {}, column {}).",
                        error.line(),
                        error.column()
                    ))
                })?;
                Self::read(headers, query, body.sql.clone(), Some(body))
            }
            _ => Err(Refusal::new(
                ProblemKind::UnsupportedMediaType,
                "The statement is read as application/sql, text/plain or application/json.",
            )),
        }
    }

    /// The parameters as a query string writes them, for a link; `None` when one has no such spelling.
    pub(crate) fn parameter_pairs(&self) -> Option<Vec<(String, String)>> {
        self.parameters.iter().map(|(name, value)| Some((format!("p{name}"), spelling(value)?))).collect()
    }

    fn read(headers: &HeaderMap, mut query: Parameters, sql: String, body: Option<SqlBody>) -> Result<Self, Refusal> {
        let (params, body_format, body_timeout) = match body {
            Some(body) => (body.params, body.format, body.limits.timeout_ms),
            None => (Value::Null, None, None),
        };
        let named = once("format", query.take("format"), body_format)?;
        let timeout_ms = once("timeout_ms", query.take_number("timeout_ms")?, body_timeout)?;
        if timeout_ms == Some(0) {
            return Err(invalid(
                "The parameter timeout_ms has to be 1 or more: the milliseconds that the query may take.",
            ));
        }
        let options = options::take(&mut query)?;
        let download = query.take_bool("download")?.unwrap_or(false);
        let in_query = query.take_prefixed("p");
        query.finish(KNOWN)?;
        let parameters = if in_query.is_empty() {
            from_json(params)?
        } else if params == Value::Null {
            in_query
                .into_iter()
                .map(|(name, text)| Ok((parameter_name(name)?, literal(&text))))
                .collect::<Result<_, Refusal>>()?
        } else {
            return Err(invalid("Parameters stand in the query string and in the body; one of the two is enough."));
        };
        let format_named = named.is_some();
        let format = named.map_or_else(|| negotiate::format(headers), |name| parse_format(&name))?;
        let kind = FileKind { format, compression: Compression::None };
        Ok(Self { sql, parameters, kind, format_named, options, timeout_ms, download })
    }
}

/// The body's media type in lower case; a charset other than UTF-8 is not read.
fn media_type(headers: &HeaderMap) -> Result<String, Refusal> {
    let unsupported = |detail: &str| Refusal::new(ProblemKind::UnsupportedMediaType, detail);
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = value.split(';').map(|part| part.trim().to_ascii_lowercase());
    let media_type = parts.next().unwrap_or_default();
    for part in parts {
        if let Some(charset) = part.strip_prefix("charset=")
            && !matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii")
        {
            return Err(unsupported("The statement is read as UTF-8."));
        }
    }
    Ok(media_type)
}

fn once<T>(name: &str, query: Option<T>, body: Option<T>) -> Result<Option<T>, Refusal> {
    match (query, body) {
        (Some(_), Some(_)) => Err(invalid(format!("{name} stands in the query string and in the body."))),
        (query, body) => Ok(query.or(body)),
    }
}

fn parse_format(name: &str) -> Result<Format, Refusal> {
    Format::parse(name).ok_or_else(|| {
        invalid(
            "There is no such format; there are json, objects, ndjson, csv, tsv, arrow, parquet, geojson, xlsx and \
             table.",
        )
    })
}

fn parameter_name(name: String) -> Result<String, Refusal> {
    let valid = !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if valid {
        Ok(name)
    } else {
        Err(Refusal::new(
            ProblemKind::InvalidParameter,
            "Parameters are named p1, p2 … for $1, $2 … or pNAME for $NAME, of letters, digits and '_'.",
        ))
    }
}

/// A value in a query string is read by its place in the statement, which only the planner knows. Single quotes make
/// it a text for certain: `p1='12'`.
fn literal(text: &str) -> ParameterValue {
    match text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(quoted) => ParameterValue::Text(quoted.replace("''", "'")),
        None => ParameterValue::Bare(text.to_owned()),
    }
}

/// How a query string spells a value.
fn spelling(value: &ParameterValue) -> Option<String> {
    Some(match value {
        ParameterValue::Null => "null".to_owned(),
        ParameterValue::Bool(value) => value.to_string(),
        ParameterValue::Int(value) => value.to_string(),
        ParameterValue::Float(value) => serde_json::Number::from_f64(*value)?.to_string(),
        ParameterValue::Bare(text) => text.clone(),
        ParameterValue::Text(text) => format!("'{}'", text.replace('\'', "''")),
        ParameterValue::Arrow(_) => return None,
    })
}

/// A number of JSON is a double, as RFC 8259 §6 warns, but for whole numbers of 64 bits; one that is longer has lost
/// digits before anybody here could read them, so that it is to be written as a text.
fn from_number(number: &serde_json::Number) -> Result<ParameterValue, Refusal> {
    if let Some(integer) = number.as_i64() {
        return Ok(ParameterValue::Int(integer));
    }
    if number.is_u64() {
        return Ok(ParameterValue::Bare(number.to_string()));
    }
    match number.as_f64().filter(|float| float.is_finite()) {
        Some(float) => Ok(ParameterValue::Float(float)),
        None => Err(Refusal::new(ProblemKind::InvalidParameter, "A number is out of range; write it as a text.")),
    }
}

/// `params` of a JSON body: a list for `$1`, `$2` …, an object for names.
fn from_json(params: Value) -> Result<BTreeMap<String, ParameterValue>, Refusal> {
    match params {
        Value::Null => Ok(BTreeMap::new()),
        Value::Array(values) => {
            values.into_iter().enumerate().map(|(i, value)| Ok(((i + 1).to_string(), from_value(value)?))).collect()
        }
        Value::Object(values) => {
            values.into_iter().map(|(name, value)| Ok((parameter_name(name)?, from_value(value)?))).collect()
        }
        _ => Err(invalid("\"params\" is a list or an object.")),
    }
}

fn from_value(value: Value) -> Result<ParameterValue, Refusal> {
    Ok(match value {
        Value::Null => ParameterValue::Null,
        Value::Bool(value) => ParameterValue::Bool(value),
        Value::Number(number) => from_number(&number)?,
        Value::String(text) => ParameterValue::Text(text),
        Value::Array(_) | Value::Object(_) => {
            let detail = "A parameter is a number, a text, true, false or null.";
            return Err(Refusal::new(ProblemKind::InvalidParameter, detail));
        }
    })
}

fn invalid(detail: impl Into<String>) -> Refusal {
    Refusal::new(ProblemKind::InvalidRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(query: &str) -> Result<SqlRequest, Refusal> {
        SqlRequest::from_query(&HeaderMap::new(), Parameters::parse(query)?)
    }

    fn post(content_type: &str, query: &str, body: &str) -> Result<SqlRequest, Refusal> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.parse().unwrap())]);
        SqlRequest::from_body(&headers, Parameters::parse(query)?, body.as_bytes())
    }

    #[test]
    fn a_query_string_is_a_question() {
        let request = get("q=select+$1,+$name&p1=7&pname=O'Neil&format=csv&timeout_ms=500&null=NA").unwrap();
        assert_eq!(request.sql, "select $1, $name");
        assert_eq!(request.parameters["1"], ParameterValue::Bare("7".into()));
        assert_eq!(request.parameters["name"], ParameterValue::Bare("O'Neil".into()));
        assert_eq!((request.kind.format, request.format_named), (Format::Csv, true));
        assert_eq!((request.timeout_ms, request.options.null.as_str()), (Some(500), "NA"));
        assert_eq!(get("q=select+1").unwrap().kind.format, Format::Json);
    }

    #[test]
    fn a_value_in_a_url_has_no_type_unless_quotes_say_text() {
        let check = |text: &str, expect: ParameterValue| assert_eq!(literal(text), expect, "{text}");
        let bare = |text: &str| ParameterValue::Bare(text.to_owned());
        let text = |text: &str| ParameterValue::Text(text.to_owned());
        for word in ["12", "12345678901234567890", "1.50", "true", "null", "007", "2024-01-01", " 12", "", "'"] {
            check(word, bare(word));
        }
        check("'12'", text("12"));
        check("'O''Neil'", text("O'Neil"));
        check("''", text(""));
    }

    #[test]
    fn values_are_spelt_so_that_they_read_back() {
        for value in ["12", "x", "'q'", "O'Neil", "null", "true", "1e3", "'", "''", ""] {
            let value = ParameterValue::Text(value.to_owned());
            assert_eq!(literal(&spelling(&value).unwrap()), value);
        }
        let spelt = |value: ParameterValue| spelling(&value).unwrap();
        assert_eq!(spelt(ParameterValue::Float(3.0)), "3.0");
        assert_eq!(spelt(ParameterValue::Int(-3)), "-3");
        assert_eq!(spelt(ParameterValue::Null), "null");
        assert_eq!(spelt(ParameterValue::Bare("1.50".into())), "1.50");
    }

    #[test]
    fn numbers_of_json_keep_64_bits() {
        let first = |number: &str| {
            let body = format!(r#"{{"sql": "select $1", "params": [{number}]}}"#);
            post("application/json", "", &body).map(|request| request.parameters["1"].clone())
        };
        assert_eq!(first("-9223372036854775808").unwrap(), ParameterValue::Int(i64::MIN));
        assert_eq!(first("18446744073709551615").unwrap(), ParameterValue::Bare("18446744073709551615".into()));
        assert_eq!(first("2.5").unwrap(), ParameterValue::Float(2.5));
    }

    #[test]
    fn bodies_are_statements_or_json() {
        assert_eq!(post("text/plain; charset=UTF-8", "", "select 1").unwrap().sql, "select 1");
        assert_eq!(post("application/sql", "p1=1&format=csv", "select $1").unwrap().parameters.len(), 1);
        let json = r#"{"sql": "select $1, $2", "params": ["a", 2.5], "format": "arrow", "limits": {"timeout_ms": 9}}"#;
        let request = post("application/json", "", json).unwrap();
        assert_eq!(request.parameters["2"], ParameterValue::Float(2.5));
        assert_eq!((request.kind.format, request.timeout_ms), (Format::Arrow, Some(9)));
        let named = post("application/json", "", r#"{"sql": "select $a", "params": {"a": null}}"#).unwrap();
        assert_eq!(named.parameters["a"], ParameterValue::Null);
    }

    #[test]
    fn other_bodies_are_refused() {
        let kind = |content_type: &str, query: &str, body: &str| post(content_type, query, body).unwrap_err().kind();
        for other in ["application/x-www-form-urlencoded", "multipart/form-data", "", "text/plain; charset=utf-16"] {
            assert_eq!(kind(other, "", "select 1"), ProblemKind::UnsupportedMediaType, "{other}");
        }
        assert_eq!(kind("application/json", "", "{"), ProblemKind::InvalidRequest);
        assert_eq!(kind("application/json", "", r#"{"sql": "x", "timeout": 1}"#), ProblemKind::InvalidRequest);
        assert_eq!(kind("application/json", "", r#"{"sql": "x", "params": [[1]]}"#), ProblemKind::InvalidParameter);
        let twice = r#"{"sql": "x", "params": [1]}"#;
        assert_eq!(kind("application/json", "p1=2", twice), ProblemKind::InvalidRequest);
        assert_eq!(kind("text/plain", "q=select+2", "select 1"), ProblemKind::InvalidRequest);
    }

    #[test]
    fn unknown_parameters_and_formats_are_refused() {
        for bad in ["format=csv", "q=x&fromat=csv", "q=x&format=../x", "q=x&format=flight", "q=x&callback=alert(1)"] {
            assert_eq!(get(bad).unwrap_err().kind(), ProblemKind::InvalidRequest, "{bad}");
        }
        assert_eq!(get("q=x&p=1").unwrap_err().kind(), ProblemKind::InvalidParameter);
        assert_eq!(get("q=x&pa-b=1").unwrap_err().kind(), ProblemKind::InvalidParameter);
    }
}
