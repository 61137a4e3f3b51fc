//! What somebody says of a dataset, all at once or a part of it: what is not said stays as it is.

use serde::{Deserialize, Serialize};

use super::{ColumnDescription, DatasetMetadata};

macro_rules! patch {
    ($($(#[$doc:meta])* $field:ident: $kind:ty,)*) => {
        /// A part of the metadata, as a file of `--metadata` or a request says it. Unknown keys are refused. A text of no
        /// characters takes back what was said.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct MetadataPatch {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$kind>,)*
            /// As [`DatasetMetadata::sample_size`]; 0 takes it back.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub sample_size: Option<u64>,
            /// What some columns mean; of the others stays what was said.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub columns: Option<Vec<ColumnDescription>>,
        }

        impl MetadataPatch {
            /// Whether it says nothing.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                *self == Self::default()
            }

            /// Says it of a dataset.
            pub fn apply(&self, metadata: &mut DatasetMetadata) {
                $(if let Some(said) = &self.$field {
                    metadata.$field.clone_from(said);
                })*
                if let Some(size) = self.sample_size {
                    metadata.sample_size = Some(size).filter(|size| *size > 0);
                }
                for said in self.columns.iter().flatten() {
                    match metadata.columns.iter_mut().find(|column| column.name == said.name) {
                        Some(column) => column.clone_from(said),
                        None => metadata.columns.push(said.clone()),
                    }
                }
            }
        }
    };
}

patch! {
    /// As [`DatasetMetadata::title`].
    title: String,
    /// As [`DatasetMetadata::description`].
    description: String,
    /// As [`DatasetMetadata::department`].
    department: String,
    /// As [`DatasetMetadata::steward_name`].
    steward_name: String,
    /// As [`DatasetMetadata::steward_email`].
    steward_email: String,
    /// As [`DatasetMetadata::contact_name`].
    contact_name: String,
    /// As [`DatasetMetadata::contact_email`].
    contact_email: String,
    /// As [`DatasetMetadata::license`].
    license: String,
    /// As [`DatasetMetadata::terms`].
    terms: String,
    /// As [`DatasetMetadata::keywords`].
    keywords: Vec<String>,
    /// As [`DatasetMetadata::themes`].
    themes: Vec<String>,
    /// As [`DatasetMetadata::update_frequency`].
    update_frequency: String,
    /// As [`DatasetMetadata::spatial_coverage`].
    spatial_coverage: String,
    /// As [`DatasetMetadata::temporal_coverage`].
    temporal_coverage: String,
    /// As [`DatasetMetadata::languages`].
    languages: Vec<String>,
    /// As [`DatasetMetadata::collection_method`].
    collection_method: String,
    /// As [`DatasetMetadata::accuracy`].
    accuracy: String,
    /// As [`DatasetMetadata::completeness`].
    completeness: String,
    /// As [`DatasetMetadata::limitations`].
    limitations: String,
    /// As [`DatasetMetadata::source`].
    source: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::DatasetName;

    #[test]
    fn what_is_not_said_stays() {
        let mut metadata = DatasetMetadata::named(DatasetName::parse("trees").unwrap());
        metadata.license = "CC0-1.0".into();
        metadata.columns = vec![
            ColumnDescription { name: "a".into(), description: "old".into(), ..ColumnDescription::default() },
            ColumnDescription { name: "b".into(), description: "kept".into(), ..ColumnDescription::default() },
        ];
        let said =
            r#"{"description":"Trees","sample_size":0,"columns":[{"name":"a","description":"new"},{"name":"c"}]}"#;
        let patch: MetadataPatch = serde_json::from_str(said).unwrap();
        patch.apply(&mut metadata);
        assert_eq!((metadata.description.as_str(), metadata.license.as_str()), ("Trees", "CC0-1.0"));
        let columns: Vec<_> = metadata.columns.iter().map(|column| column.description.as_str()).collect();
        assert_eq!((columns, metadata.sample_size), (vec!["new", "kept", ""], None));
        assert!(serde_json::from_str::<MetadataPatch>(r#"{"licence":"x"}"#).is_err());
        assert!(MetadataPatch::default().is_empty() && !patch.is_empty());
    }
}
