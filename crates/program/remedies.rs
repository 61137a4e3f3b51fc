//! Remedies as the command line says them.

use anyhow::bail;
use clap::Args;
use portico_intake::dictionary::{ClassRules, Dictionary, Field, SmallClasses};
use portico_intake::remedy::Remedy;

/// What is done to columns and rows before they are released.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Remedies {
    /// Make a column coarser: COLUMN=year, month, bands:N or prefix:N; may be given several times
    #[arg(long = "generalise", value_name = "COLUMN=HOW")]
    generalise: Vec<String>,
    /// Keep N decimals of numbers or coordinates; may be given several times
    #[arg(long = "round", value_name = "COLUMN=N")]
    round: Vec<String>,
    /// Replace a column's values by pseudonyms; may be given several times
    #[arg(long = "pseudonym", value_name = "COLUMN")]
    pseudonym: Vec<String>,
    /// Redact what the screening rules find in a column's texts; may be given several times
    #[arg(long = "redact", value_name = "COLUMN")]
    redact: Vec<String>,
    /// Release a column without its values; may be given several times
    #[arg(long = "empty", value_name = "COLUMN")]
    empty: Vec<String>,
    /// Leave rows out: COLUMN=VALUE, COLUMN= (no value) or COLUMN~RULE (what a screening rule finds); may be given several times
    #[arg(long = "drop-rows", value_name = "RULE")]
    drop_rows: Vec<String>,
    /// Columns whose values together could single somebody out, separated by commas
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    quasi_identifiers: Vec<String>,
    /// Rows that agree in all of them at least
    #[arg(long, value_name = "ROWS", requires = "quasi_identifiers")]
    k: Option<u64>,
    /// What becomes of rows that are fewer
    #[arg(long, value_enum, requires = "quasi_identifiers")]
    small_classes: Option<Small>,
}

/// What becomes of the rows of small classes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Small {
    /// They block the release
    Find,
    /// Their quasi-identifiers become null
    Suppress,
    /// They are left out
    DropRows,
}

impl Remedies {
    /// Whether anything is said.
    pub(crate) fn is_empty(&self) -> bool {
        let lists = [&self.generalise, &self.round, &self.pseudonym, &self.redact, &self.empty, &self.drop_rows];
        lists.iter().all(|list| list.is_empty()) && self.quasi_identifiers.is_empty()
    }

    /// Writes what is said into a dictionary, and names the columns.
    pub(crate) fn say(&self, dictionary: &mut Dictionary) -> anyhow::Result<Vec<String>> {
        let mut named = Vec::new();
        for (column, remedy) in self.columns()? {
            heal(dictionary, &column, remedy);
            named.push(column);
        }
        for said in &self.drop_rows {
            let rule = said.parse::<portico_intake::remedy::RowRule>().map_err(anyhow::Error::msg)?;
            named.push(rule.column.clone());
            if !dictionary.drop_rows.contains(&rule) {
                dictionary.drop_rows.push(rule);
            }
        }
        if !self.quasi_identifiers.is_empty() {
            let small = match self.small_classes {
                None | Some(Small::Find) => SmallClasses::Find,
                Some(Small::Suppress) => SmallClasses::Suppress,
                Some(Small::DropRows) => SmallClasses::DropRows,
            };
            if self.k.is_some_and(|k| k < 2) {
                bail!("--k wants at least 2: a class of one row is one row");
            }
            let sensitive = dictionary.classes.take().and_then(|classes| classes.sensitive);
            let quasi_identifiers = self.quasi_identifiers.clone();
            named.extend(quasi_identifiers.iter().cloned());
            dictionary.classes = Some(ClassRules { quasi_identifiers, k: self.k, sensitive, small });
        }
        Ok(named)
    }

    fn columns(&self) -> anyhow::Result<Vec<(String, Remedy)>> {
        let mut columns = Vec::new();
        for said in &self.generalise {
            let remedy = said.split_once('=').map(|(column, how)| (column, how.parse::<Remedy>()));
            match remedy {
                Some((column, Ok(remedy @ (Remedy::Year | Remedy::Month | Remedy::Bands(_) | Remedy::Prefix(_))))) => {
                    columns.push((column.to_owned(), remedy));
                }
                _ => bail!("--generalise wants COLUMN=year, COLUMN=month, COLUMN=bands:N or COLUMN=prefix:N"),
            }
        }
        for said in &self.round {
            match said.split_once('=').map(|(column, decimals)| (column, format!("round:{decimals}").parse())) {
                Some((column, Ok(remedy))) => columns.push((column.to_owned(), remedy)),
                _ => bail!("--round wants COLUMN=N, the decimals that are kept"),
            }
        }
        for (list, remedy) in
            [(&self.pseudonym, Remedy::Pseudonym), (&self.redact, Remedy::Redact), (&self.empty, Remedy::Empty)]
        {
            columns.extend(list.iter().map(|column| (column.clone(), remedy)));
        }
        Ok(columns)
    }
}

/// A field of the dictionary that means the column gets the remedy.
fn heal(dictionary: &mut Dictionary, column: &str, remedy: Remedy) {
    let meant = dictionary.field(column).map(|field| field.name.clone());
    match dictionary.fields.iter_mut().find(|field| Some(&field.name) == meant.as_ref()) {
        Some(field) => field.remedy = Some(remedy),
        None => dictionary.fields.push(Field { remedy: Some(remedy), ..Field::named(column) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_in_the_dictionary() {
        let said = Remedies {
            generalise: vec!["Birth Date=year".to_owned(), "zip=prefix:3".to_owned()],
            round: vec!["lat=3".to_owned()],
            redact: vec!["notes".to_owned()],
            drop_rows: vec!["status=sealed".to_owned()],
            quasi_identifiers: vec!["zip".to_owned()],
            small_classes: Some(Small::Suppress),
            ..Remedies::default()
        };
        let mut dictionary = Dictionary { fields: vec![Field::named("birth_date")], ..Dictionary::default() };
        let named = said.say(&mut dictionary).unwrap();
        assert_eq!(named, ["Birth Date", "zip", "lat", "notes", "status", "zip"]);
        assert_eq!(dictionary.fields.len(), 4);
        assert_eq!(dictionary.field("birth_date").unwrap().remedy, Some(Remedy::Year));
        assert_eq!(dictionary.classes.unwrap().small, SmallClasses::Suppress);
        assert!(!said.is_empty() && Remedies::default().is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (generalise, round) in [("zip", "lat=3"), ("zip=redact", "lat=3"), ("zip=prefix:3", "lat")] {
            let said = Remedies {
                generalise: vec![generalise.to_owned()],
                round: vec![round.to_owned()],
                ..Remedies::default()
            };
            assert!(said.say(&mut Dictionary::default()).is_err(), "{generalise} {round}");
        }
    }
}
