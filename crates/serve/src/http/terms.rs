//! Under which licence and terms an answer is, as links in its head (RFC 8288): `license` for each dataset that it was made
//! from, `terms-of-service` for the portal's.

use std::collections::BTreeSet;

use portico_model::name::DatasetName;

use crate::catalog::license_url;
use crate::http::names;
use crate::problem::Refusal;
use crate::site::Site;

/// The path of the portal's terms of use.
pub(crate) const TERMS: &str = "/terms";

/// The links of an answer that was made from these datasets.
///
/// # Errors
/// The catalog's own.
pub(crate) async fn links(
    site: &Site,
    datasets: impl IntoIterator<Item = DatasetName>,
) -> Result<Vec<String>, Refusal> {
    let mut licences = BTreeSet::new();
    for name in datasets.into_iter().collect::<BTreeSet<_>>() {
        let dataset = site.store.catalog.dataset(&name).await?;
        licences.extend(dataset.and_then(|dataset| license_url(&dataset.metadata.license)));
    }
    let terms = names::link(&site.url(TERMS), "terms-of-service");
    Ok(licences.iter().map(|url| names::link(url, "license")).chain([terms]).collect())
}
