//! How text formats are spelt: the parameters that downloads and `/sql` share.

use portico_model::order::OutputOptions;
use portico_model::problem::ProblemKind;

use crate::http::parameters::Parameters;
use crate::problem::Refusal;

/// The longest spelling of null, in bytes.
const NULL_BYTES_MAX: usize = 32;

/// Takes `header`, `null`, `bom` and `excel`. Formats that have no such thing ignore them.
pub(crate) fn take(query: &mut Parameters) -> Result<OutputOptions, Refusal> {
    let plain = OutputOptions::default();
    let null = query.take("null").unwrap_or_default();
    if null.len() > NULL_BYTES_MAX || null.chars().any(|c| c.is_control() || matches!(c, '"' | ',')) {
        let detail = format!("null is at most {NULL_BYTES_MAX} bytes without quotes, commas or control characters.");
        return Err(Refusal::new(ProblemKind::InvalidRequest, detail));
    }
    let excel_safe = match query.take("excel").as_deref() {
        None => plain.excel_safe,
        Some("safe") => true,
        Some(_) => return Err(Refusal::new(ProblemKind::InvalidRequest, "The parameter excel knows one value: safe.")),
    };
    Ok(OutputOptions {
        header: query.take_bool("header")?.unwrap_or(plain.header),
        bom: query.take_bool("bom")?.unwrap_or(plain.bom),
        null,
        excel_safe,
        ipc_compression: plain.ipc_compression,
    })
}

/// The parameters that give these options, for links: only what differs from the default.
pub(crate) fn pairs(options: &OutputOptions) -> Vec<(&'static str, &str)> {
    let plain = OutputOptions::default();
    let mut pairs = Vec::new();
    if options.header != plain.header {
        pairs.push(("header", "false"));
    }
    if options.null != plain.null {
        pairs.push(("null", options.null.as_str()));
    }
    if options.bom {
        pairs.push(("bom", "true"));
    }
    if options.excel_safe {
        pairs.push(("excel", "safe"));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_round_trip() {
        let mut query = Parameters::parse("header=false&null=NA&bom=true&excel=safe").unwrap();
        let options = take(&mut query).unwrap();
        assert_eq!(pairs(&options), [("header", "false"), ("null", "NA"), ("bom", "true"), ("excel", "safe")]);
        assert!(pairs(&take(&mut Parameters::default()).unwrap()).is_empty());
    }

    #[test]
    fn a_null_that_breaks_the_file_is_refused() {
        for bad in ["null=%22", "null=%0a", "null=a,b", "excel=true", "bom=1", "header=no"] {
            assert!(take(&mut Parameters::parse(bad).unwrap()).is_err(), "{bad}");
        }
    }
}
