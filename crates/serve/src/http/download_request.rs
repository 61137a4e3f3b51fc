//! What a download's query string asks: a part of the table, and how it is spelt.

use portico_model::order::OutputOptions;
use portico_model::problem::ProblemKind;

use crate::http::parameters::Parameters;
use crate::http::{names, options};
use crate::problem::Refusal;

/// What may stand in the query string, for the refusal of anything else.
const KNOWN: &str = "select, where, order, limit, offset, header, null, bom, excel, download";

/// The query string of a download.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DownloadRequest {
    pub(crate) select: Vec<String>,
    pub(crate) filter: Option<String>,
    pub(crate) order: Option<String>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: Option<u64>,
    pub(crate) options: OutputOptions,
    /// Whether a browser may show the file instead of saving it (`download=false`).
    pub(crate) inline: bool,
}

impl DownloadRequest {
    /// Reads the query string.
    pub(crate) fn read(mut query: Parameters) -> Result<Self, Refusal> {
        let request = Self {
            select: query.take("select").map_or(Ok(Vec::new()), |text| columns(&text))?,
            filter: query.take("where").map(|text| clause("where", text)).transpose()?,
            order: query.take("order").map(|text| clause("order", text)).transpose()?,
            limit: rows("limit", query.take_number("limit")?)?,
            offset: rows("offset", query.take_number("offset")?)?,
            options: options::take(&mut query)?,
            inline: query.take_bool("download")? == Some(false),
        };
        query.finish(KNOWN)?;
        Ok(request)
    }

    /// The same request for another path: one spelling for each meaning, and without `download`, which does not
    /// change the bytes.
    pub(crate) fn link(&self, path: &str) -> String {
        let select = self.select.join(",");
        let (limit, offset) = (self.limit.map(|n| n.to_string()), self.offset.map(|n| n.to_string()));
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        let parts = [
            ("select", Some(select.as_str()).filter(|select| !select.is_empty())),
            ("where", self.filter.as_deref()),
            ("order", self.order.as_deref()),
            ("limit", limit.as_deref()),
            ("offset", offset.as_deref()),
        ];
        pairs.extend(parts.into_iter().filter_map(|(name, value)| Some((name, value?))));
        pairs.extend(options::pairs(&self.options));
        names::with_query(path, pairs)
    }
}

fn columns(text: &str) -> Result<Vec<String>, Refusal> {
    let columns: Vec<String> = text.split(',').map(|column| column.trim().to_owned()).collect();
    if columns.iter().any(String::is_empty) {
        return Err(invalid("select is a list of columns: select=a,b"));
    }
    Ok(columns)
}

fn clause(name: &str, text: String) -> Result<String, Refusal> {
    if text.trim().is_empty() {
        return Err(invalid(&format!("The parameter {name} is empty; leave it out or fill it.")));
    }
    Ok(text)
}

/// A number of rows, which is a 64-bit integer of SQL.
fn rows(name: &str, number: Option<u64>) -> Result<Option<u64>, Refusal> {
    if number.is_some_and(|number| i64::try_from(number).is_err()) {
        return Err(invalid(&format!("The parameter {name} is at most {}.", i64::MAX)));
    }
    Ok(number)
}

fn invalid(detail: &str) -> Refusal {
    Refusal::new(ProblemKind::InvalidRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<DownloadRequest, Refusal> {
        DownloadRequest::read(Parameters::parse(query)?)
    }

    #[test]
    fn a_part_of_a_table_is_asked_for() {
        let request = read("select=a,+b&where=a+%3E+1&order=a+desc,b&limit=10&offset=5&download=false").unwrap();
        assert_eq!(request.select, ["a", "b"]);
        assert_eq!((request.limit, request.offset, request.inline), (Some(10), Some(5), true));
        let link = request.link("/datasets/t/versions/3.csv");
        assert_eq!(link, "/datasets/t/versions/3.csv?select=a%2Cb&where=a+%3E+1&order=a+desc%2Cb&limit=10&offset=5");
        assert_eq!(read("").unwrap().link("/x"), "/x");
        assert!(!read("download=true").unwrap().inline);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for bad in ["select=", "select=a,,b", "where=", "order=+", "limit=-1", "limit=1e3", "rows=5", "filename=x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(read("offset=9223372036854775807").unwrap().offset, Some(9_223_372_036_854_775_807));
        for more in ["offset=9223372036854775808", "limit=18446744073709551615"] {
            assert!(read(more).is_err(), "{more}");
        }
    }
}
