//! The stored files themselves, as the manifest lists them.
//!
//! ```text
//! GET, HEAD /datasets/{name}/versions/{n}/parts/{i}.parquet      i from 0, in the order of the rows
//! ```

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use portico_model::name::DatasetName;
use portico_model::problem::Problem;

use crate::http::asker::{Asker, Visit};
use crate::http::cache::CachePolicy;
use crate::http::downloads::{self, Target};
use crate::http::names;
use crate::problem::Refusal;
use crate::site::Site;

/// `GET` and `HEAD` of one stored file.
pub(crate) async fn part(
    State(site): State<Arc<Site>>,
    Asker(caller): Asker,
    Path((name, version, leaf)): Path<(String, String, String)>,
    mut visit: Visit,
) -> Result<Response, Refusal> {
    let inline = visit.query.take_bool("download")? == Some(false);
    visit.query.finish("download")?;
    let missing = || Refusal::from(Problem::not_found("stored file of that number"));
    let dataset = DatasetName::parse(&name).map_err(|_| missing())?;
    let version = names::version_number(&version).ok_or_else(missing)?;
    let index = leaf.strip_suffix(".parquet").and_then(index).ok_or_else(missing)?;
    let export = site.questions.part(&dataset, version, index, &caller, site.now_ms()).await?;
    let location = format!("/datasets/{dataset}/versions/{version}/parts/{index}.parquet");
    let target = Target { location, inline, policy: CachePolicy::Immutable };
    downloads::respond(&site, export, &target, (&visit.method, &visit.headers)).await
}

/// A position in the manifest: digits without a leading zero, so that each file has one URL.
fn index(text: &str) -> Option<usize> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_one_number() {
        assert_eq!((index("0"), index("12")), (Some(0), Some(12)));
        for bad in ["", "00", "01", "+1", "-1", "1.0", "99999999999999999999999"] {
            assert_eq!(index(bad), None, "{bad}");
        }
    }
}
