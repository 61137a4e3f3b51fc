//! What a release needs to be said of it, and how much of what could be said has been.

use serde::{Deserialize, Serialize};

use super::DatasetMetadata;

/// Characters from which on a description says something.
const DESCRIPTION_CHARS: usize = 50;
/// Points of the dictionary, shared among the columns.
const DICTIONARY_POINTS: u32 = 16;
/// Columns that a text lists.
const COLUMNS_LISTED: usize = 12;

/// Something that a release is refused without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// The e-mail address of the person who answers for the data.
    Steward,
    /// A licence.
    License,
    /// What the data are.
    Description,
    /// What every released column means.
    Dictionary,
}

impl Requirement {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Steward, Self::License, Self::Description, Self::Dictionary];
}

/// What is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The steward's e-mail address.
    Steward,
    /// The licence.
    License,
    /// The description.
    Description,
    /// Descriptions of these columns; of all of them, where none are listed.
    Dictionary(Vec<String>),
}

impl Lack {
    /// What is missing, by its name in the API, and the flag of the command line that gives it.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Steward => "a steward: steward_email (--steward-email ADDRESS)".to_owned(),
            Self::License => "a licence: license (--license CC0-1.0)".to_owned(),
            Self::Description => "a description: description (--description TEXT)".to_owned(),
            Self::Dictionary(columns) => {
                let which = match columns.len() {
                    0 => "the columns".to_owned(),
                    1..=COLUMNS_LISTED => columns.join(", "),
                    _ => {
                        let listed = columns.iter().take(COLUMNS_LISTED).cloned().collect::<Vec<_>>().join(", ");
                        format!("{listed} and {} more", columns.len().saturating_sub(COLUMNS_LISTED))
                    }
                };
                format!("a dictionary: what {which} mean (--schema FILE; --write-dictionary FILE drafts one)")
            }
        }
    }
}

/// How much of what could be said of a dataset has been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Completeness {
    /// From 0 to 100, by the table in `docs/metadata.md`.
    pub score: u32,
    /// Fields that have no points, or not all of theirs.
    pub missing: Vec<&'static str>,
}

impl DatasetMetadata {
    /// What of `required` is missing for a release of these columns; before they are known, `None`.
    #[must_use]
    pub fn lacking(&self, required: &[Requirement], columns: Option<&[&str]>) -> Vec<Lack> {
        let is_empty = |text: &str| text.trim().is_empty();
        let described = |name: &str| self.column(name).is_some_and(|column| !is_empty(&column.description));
        let lack = |requirement: &Requirement| match (requirement, columns) {
            (Requirement::Steward, _) => is_empty(&self.steward_email).then_some(Lack::Steward),
            (Requirement::License, _) => is_empty(&self.license).then_some(Lack::License),
            (Requirement::Description, _) => is_empty(&self.description).then_some(Lack::Description),
            (Requirement::Dictionary, None) => {
                let none = self.columns.iter().all(|column| is_empty(&column.description));
                none.then_some(Lack::Dictionary(Vec::new()))
            }
            (Requirement::Dictionary, Some(columns)) => {
                let silent: Vec<String> =
                    columns.iter().filter(|name| !described(name)).map(|name| (*name).to_owned()).collect();
                (!silent.is_empty()).then_some(Lack::Dictionary(silent))
            }
        };
        Requirement::ALL.iter().filter(|one| required.contains(one)).filter_map(lack).collect()
    }

    /// How much is said of a release with these columns.
    #[must_use]
    pub fn completeness(&self, columns: &[&str]) -> Completeness {
        let said = |text: &str| !text.trim().is_empty();
        let description = match self.description.trim().chars().count() {
            0 => 0,
            count if count < DESCRIPTION_CHARS => 5,
            _ => 10,
        };
        let described = columns.iter().filter(|name| self.column(name).is_some_and(|column| said(&column.description)));
        let (described, all) = (described.count(), columns.len());
        let dictionary = match (u32::try_from(described), u32::try_from(all)) {
            (_, Ok(0)) | (Err(_), _) | (_, Err(_)) => 0,
            (Ok(described), Ok(all)) => DICTIONARY_POINTS.saturating_mul(described).checked_div(all).unwrap_or(0),
        };
        let all_or_nothing = |points: u32, has: bool| (points, if has { points } else { 0 });
        let table: [(&'static str, (u32, u32)); 19] = [
            ("title", all_or_nothing(5, said(&self.title) && self.title.trim() != self.name.as_str())),
            ("description", (10, description)),
            ("department", all_or_nothing(5, said(&self.department))),
            ("steward_name", all_or_nothing(4, said(&self.steward_name))),
            ("steward_email", all_or_nothing(6, said(&self.steward_email))),
            ("license", all_or_nothing(10, said(&self.license))),
            ("terms", all_or_nothing(2, said(&self.terms))),
            ("keywords", all_or_nothing(4, !self.keywords.is_empty())),
            ("themes", all_or_nothing(2, !self.themes.is_empty())),
            ("update_frequency", all_or_nothing(6, said(&self.update_frequency))),
            ("spatial_coverage", all_or_nothing(4, said(&self.spatial_coverage))),
            ("temporal_coverage", all_or_nothing(4, said(&self.temporal_coverage))),
            ("languages", all_or_nothing(2, !self.languages.is_empty())),
            ("collection_method", all_or_nothing(6, said(&self.collection_method))),
            ("accuracy", all_or_nothing(4, said(&self.accuracy))),
            ("completeness", all_or_nothing(3, said(&self.completeness))),
            ("limitations", all_or_nothing(3, said(&self.limitations))),
            ("source", all_or_nothing(4, said(&self.source))),
            ("columns", (DICTIONARY_POINTS, dictionary)),
        ];
        Completeness {
            score: table.iter().map(|(_, (_, got))| got).sum(),
            missing: table.iter().filter(|(_, (points, got))| got < points).map(|(field, _)| *field).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ColumnDescription;
    use super::*;
    use crate::name::DatasetName;

    fn column(name: &str) -> ColumnDescription {
        ColumnDescription { name: name.into(), description: "meaning".into(), ..ColumnDescription::default() }
    }

    #[test]
    fn what_is_missing_is_listed_and_what_is_not_required_is_not() {
        let mut metadata = DatasetMetadata::named(DatasetName::parse("trees").unwrap());
        let columns = ["a", "b"];
        let all = metadata.lacking(&Requirement::ALL, Some(&columns));
        let silent = Lack::Dictionary(vec!["a".into(), "b".into()]);
        assert_eq!(all, [Lack::Steward, Lack::License, Lack::Description, silent]);
        assert_eq!(metadata.lacking(&[Requirement::License], Some(&columns)), [Lack::License]);
        assert_eq!(metadata.lacking(&Requirement::ALL, None).last(), Some(&Lack::Dictionary(Vec::new())));
        metadata.columns.push(column("a"));
        let lacking = metadata.lacking(&[Requirement::Dictionary], Some(&columns));
        assert_eq!(lacking, [Lack::Dictionary(vec!["b".into()])]);
        assert!(metadata.lacking(&[Requirement::Dictionary], Some(&["a"])).is_empty());
        metadata.license = "  ".into();
        assert_eq!(metadata.lacking(&[Requirement::License], None), [Lack::License]);
        let many: Vec<String> = (0..40).map(|n| format!("c{n}")).collect();
        assert!(Lack::Dictionary(many).text().contains("c11 and 28 more"));
    }

    #[test]
    fn points_add_up_to_a_hundred() {
        let mut metadata = DatasetMetadata::named(DatasetName::parse("trees").unwrap());
        assert_eq!(metadata.completeness(&["a"]).score, 0);
        assert_eq!(metadata.completeness(&["a"]).missing.len(), 19);
        metadata.columns = vec![column("a")];
        assert_eq!(metadata.completeness(&["a", "b"]).score, 8);
        let long = "x".repeat(DESCRIPTION_CHARS);
        for field in [
            &mut metadata.title,
            &mut metadata.description,
            &mut metadata.department,
            &mut metadata.steward_name,
            &mut metadata.steward_email,
            &mut metadata.license,
            &mut metadata.terms,
            &mut metadata.update_frequency,
            &mut metadata.spatial_coverage,
            &mut metadata.temporal_coverage,
            &mut metadata.collection_method,
            &mut metadata.accuracy,
            &mut metadata.completeness,
            &mut metadata.limitations,
            &mut metadata.source,
        ] {
            field.clone_from(&long);
        }
        for list in [&mut metadata.keywords, &mut metadata.themes, &mut metadata.languages] {
            list.push("x".into());
        }
        assert_eq!(metadata.completeness(&["a"]), Completeness { score: 100, missing: Vec::new() });
        metadata.description = "short".into();
        assert_eq!(metadata.completeness(&["a"]), Completeness { score: 95, missing: vec!["description"] });
    }
}
