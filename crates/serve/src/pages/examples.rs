//! Copy-paste examples for one dataset: each is complete and runs as it stands.

use crate::catalog::DatasetDocument;
use crate::site::Site;

/// One example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Example {
    pub(super) title: &'static str,
    pub(super) code: String,
}

/// The address that examples use: the public URL, or else the one that the reader's browser used. A page is cached
/// under its full URL, host included, so that this can only ever be seen by readers of the same host.
pub(super) fn base_url(site: &Site, host: Option<&str>, tls: bool) -> String {
    if site.settings.public_url.is_some() {
        return site.url("");
    }
    let host = host.filter(|host| is_host(host));
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{}", host.unwrap_or("localhost:8080"))
}

fn is_host(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
    !text.is_empty() && text.len() <= 253 && text.bytes().all(plain)
}

/// The same address for gRPC clients, which want a scheme of their own and a port.
fn grpc_url(base: &str) -> String {
    let (scheme, rest, port) = match base.split_once("://") {
        Some(("https", rest)) => ("grpc+tls", rest, 443),
        Some((_, rest)) => ("grpc", rest, 80),
        None => ("grpc", base, 80),
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let after_name = authority.rsplit(']').next().unwrap_or_default();
    if after_name.contains(':') { format!("{scheme}://{authority}") } else { format!("{scheme}://{authority}:{port}") }
}

/// Examples for a dataset as one of its versions shows it.
pub(super) fn examples(base: &str, document: &DatasetDocument) -> Vec<Example> {
    let DatasetDocument { name, sql_name, version, .. } = document;
    let file = |extension: &str| format!("{base}/datasets/{name}/versions/{version}.{extension}");
    let (csv, parquet) = (file("csv"), file("parquet"));
    let example = |title, code: String| Example { title, code };
    vec![
        example(
            "curl",
            format!(
                "# the current version\ncurl -O {base}/datasets/{name}.csv\n\n# this version; run it again to resume \
                 after a break\ncurl -C - -o {name}-v{version}.csv {csv}"
            ),
        ),
        example(
            "SQL over HTTP",
            format!(
                "curl --get {base}/sql \\\n  --data-urlencode \"q=SELECT count(*) FROM {sql_name}\" \\\n  -d format=csv"
            ),
        ),
        example("Python, pandas", format!("import pandas as pd\n\ndf = pd.read_csv(\"{csv}\")")),
        example(
            "Python, polars",
            format!("import polars as pl\n\ndf = pl.scan_parquet(\"{parquet}\").head(100).collect()"),
        ),
        example("DuckDB", format!("INSTALL httpfs;\nLOAD httpfs;\nSELECT count(*) FROM '{parquet}';")),
        example("R", format!("df <- read.csv(\"{csv}\")")),
        example(
            "Arrow Flight SQL (ADBC)",
            format!(
                "import adbc_driver_flightsql.dbapi as flightsql\n\nwith flightsql.connect(\"{}\") as connection:\n    \
                 with connection.cursor() as cursor:\n        cursor.execute(\"SELECT * FROM {sql_name} LIMIT 100\")\n        \
                 table = cursor.fetch_arrow_table()",
                grpc_url(base)
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_addresses_have_a_scheme_and_a_port() {
        assert_eq!(grpc_url("https://data.example.gov"), "grpc+tls://data.example.gov:443");
        assert_eq!(grpc_url("http://127.0.0.1:8080"), "grpc://127.0.0.1:8080");
        assert_eq!(grpc_url("http://[::1]"), "grpc://[::1]:80");
        assert_eq!(grpc_url("http://[::1]:8080/x"), "grpc://[::1]:8080");
    }

    #[test]
    fn only_a_host_is_a_host() {
        assert!(is_host("data.example.gov:8080") && is_host("[::1]:80"));
        for bad in ["", "a b", "x\"><script>", "evil.example/path", "a@b", "é"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
