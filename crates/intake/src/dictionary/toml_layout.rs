//! Our own layout of data dictionaries.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    ClassRules, CountRules, Demographic, Dictionary, DictionaryError, Field, FieldType, SmallClasses, Treatment,
};
use crate::remedy::{Remedy, RowRule};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Layout {
    #[serde(default)]
    missing_values: Vec<String>,
    #[serde(default)]
    sort_key: Vec<String>,
    #[serde(default)]
    primary_key: Vec<String>,
    #[serde(default)]
    unique_keys: Vec<Vec<String>>,
    keep_rows: Option<String>,
    keep_rows_reason: Option<String>,
    #[serde(default)]
    drop_rows: Vec<RowRule>,
    #[serde(default)]
    quasi_identifiers: Vec<String>,
    k: Option<u64>,
    sensitive: Option<String>,
    small_classes: Option<SmallClasses>,
    counts: Option<CountRules>,
    #[serde(default, rename = "field")]
    fields: Vec<FieldLayout>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldLayout {
    name: String,
    rename: Option<String>,
    #[serde(default)]
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    codes: BTreeMap<String, String>,
    r#type: Option<FieldType>,
    format: Option<String>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    unique: bool,
    #[serde(default)]
    allowed: Vec<toml::Value>,
    minimum: Option<toml::Value>,
    maximum: Option<toml::Value>,
    #[serde(default)]
    minimum_exclusive: bool,
    #[serde(default)]
    maximum_exclusive: bool,
    length_min: Option<u64>,
    length_max: Option<u64>,
    pattern: Option<String>,
    thousands: Option<char>,
    decimal_mark: Option<char>,
    currency: Option<char>,
    #[serde(default)]
    number_affixes: bool,
    missing_values: Option<Vec<String>>,
    #[serde(default)]
    true_values: Vec<String>,
    #[serde(default)]
    false_values: Vec<String>,
    treatment: Option<TreatmentLayout>,
    reason: Option<String>,
    classification: Option<String>,
    remedy: Option<Remedy>,
    demographic: Option<Demographic>,
    derive: Option<String>,
    label_of: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum TreatmentLayout {
    Auto,
    Public,
    Drop,
}

pub(super) fn read(text: &str) -> Result<Dictionary, DictionaryError> {
    let text = text.trim_start_matches('\u{feff}');
    let layout: Layout = toml::from_str(text).map_err(|error| DictionaryError::Syntax(error.to_string()))?;
    let said = layout.k.is_some() || layout.sensitive.is_some() || layout.small_classes.is_some();
    if said && layout.quasi_identifiers.is_empty() {
        let reason = "`k`, `sensitive` and `small_classes` speak of classes of rows, which `quasi_identifiers` make";
        return Err(DictionaryError::Table(reason.to_owned()));
    }
    let classes = (!layout.quasi_identifiers.is_empty()).then(|| ClassRules {
        quasi_identifiers: layout.quasi_identifiers,
        k: layout.k,
        sensitive: layout.sensitive,
        small: layout.small_classes.unwrap_or_default(),
    });
    let fields = layout.fields.into_iter().map(field).collect::<Result<_, _>>()?;
    Ok(Dictionary {
        fields,
        missing_values: layout.missing_values,
        sort_key: layout.sort_key,
        primary_key: layout.primary_key,
        unique_keys: layout.unique_keys,
        keep_rows: layout.keep_rows,
        keep_rows_reason: layout.keep_rows_reason,
        drop_rows: layout.drop_rows,
        classes,
        counts: layout.counts,
    })
}

fn field(layout: FieldLayout) -> Result<Field, DictionaryError> {
    let fault = |reason: &str| DictionaryError::Field { field: layout.name.clone(), reason: reason.to_owned() };
    let reason = layout.reason.clone().unwrap_or_default();
    let treatment = match layout.treatment {
        Some(TreatmentLayout::Public) => Treatment::Public { reason },
        Some(TreatmentLayout::Drop) => Treatment::Drop { reason },
        Some(TreatmentLayout::Auto) | None if layout.reason.is_some() => {
            return Err(fault("a `reason` needs a `treatment` of \"public\" or \"drop\""));
        }
        Some(TreatmentLayout::Auto) | None => Treatment::Auto,
    };
    let scalar =
        |value: &toml::Value| plain(value).ok_or_else(|| fault("its limits and allowed values are single values"));
    let bound = |value: &Option<toml::Value>| value.as_ref().map(scalar).transpose();
    let (minimum, maximum) = (bound(&layout.minimum)?, bound(&layout.maximum)?);
    let allowed = layout.allowed.iter().map(scalar).collect::<Result<_, _>>()?;
    Ok(Field {
        name: layout.name,
        rename: layout.rename,
        title: layout.title,
        description: layout.description,
        unit: layout.unit,
        codes: layout.codes,
        data_type: layout.r#type,
        format: layout.format,
        required: layout.required,
        unique: layout.unique,
        allowed,
        minimum,
        maximum,
        minimum_exclusive: layout.minimum_exclusive,
        maximum_exclusive: layout.maximum_exclusive,
        length_min: layout.length_min,
        length_max: layout.length_max,
        pattern: layout.pattern,
        thousands: layout.thousands,
        decimal_mark: layout.decimal_mark,
        currency: layout.currency,
        number_affixes: layout.number_affixes,
        missing_values: layout.missing_values,
        true_values: layout.true_values,
        false_values: layout.false_values,
        treatment,
        classification: layout.classification,
        remedy: layout.remedy,
        demographic: layout.demographic,
        derive: layout.derive,
        label_of: layout.label_of,
    })
}

fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Datetime(moment) => Some(moment.to_string()),
        toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dictionary, FieldType, SmallClasses, Treatment};
    use crate::remedy::Remedy;

    fn refused(text: &str) -> String {
        Dictionary::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn every_key_arrives() {
        let dictionary = Dictionary::from_toml(
            r#"
            missing_values = ["NA", "n/a"]
            sort_key = ["opened"]
            primary_key = ["id"]
            [[field]]
            name = "id"
            type = "integer"
            minimum = 1
            [[field]]
            name = "Amount Paid"
            rename = "amount"
            unit = "US dollars"
            codes = { "0" = "paid elsewhere" }
            type = "decimal(10,2)"
            thousands = ","
            currency = "$"
            maximum = 0.5
            allowed = [1, "2", true]
            [[field]]
            name = "opened"
            type = "date"
            format = "%d/%m/%Y"
            minimum = 2020-01-31
            treatment = "public"
            reason = "the council decided"
            "#,
        )
        .unwrap();
        assert_eq!(dictionary.missing_values, ["NA", "n/a"]);
        let amount = dictionary.field("AMOUNT PAID").unwrap();
        assert_eq!(amount.data_type, Some(FieldType::Decimal { precision: 10, scale: 2 }));
        assert_eq!((amount.maximum.as_deref(), amount.currency), (Some("0.5"), Some('$')));
        assert_eq!(amount.allowed, ["1", "2", "true"]);
        assert_eq!((amount.unit.as_str(), amount.codes["0"].as_str()), ("US dollars", "paid elsewhere"));
        assert_eq!(dictionary.field("amount").unwrap().name, "Amount Paid");
        let opened = dictionary.field("opened").unwrap();
        assert_eq!(opened.minimum.as_deref(), Some("2020-01-31"));
        assert_eq!(opened.treatment, Treatment::Public { reason: "the council decided".into() });
        assert!(dictionary.field("closed").is_none());
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        assert!(refused("colour = 1").contains("colour"));
        assert!(refused("[[field]]\nname='a'\nlenght_max=3").contains("lenght_max"));
        assert!(refused("[[field]]\nname='a'\ntype='varchar'").contains("varchar"));
    }

    #[test]
    fn a_field_that_contradicts_itself_is_refused_by_name() {
        for (text, part) in [
            ("name='a'\ntreatment='public'", "reason"),
            ("name='a'\nreason='x'", "treatment"),
            ("name='a'\npattern='('", "pattern"),
            ("name='a'\nformat='%d'", "type of date"),
            ("name='a'\ntype='date'\nformat='%Q'", "letters"),
            ("name='a'\ntype='date'\nformat='day'", "no part"),
            ("name='a'\nrename='Big Name'", "lower-case"),
            ("name='a'\ntype='decimal(40,2)'", "38"),
            ("name='a'\nlength_min=3\nlength_max=2", "shortest"),
            ("name='a'\n[[field]]\nname='a'", "twice"),
            ("name='a'\nthousands='.'", "thousands"),
            ("name='a'\nremedy='blur'", "no remedy"),
            ("name='a'\nremedy='round'", "round:3"),
            ("name='a'\nremedy='year'\ntreatment='drop'\nreason='r'", "dropped"),
            ("name='a'\nderive=' '", "an expression"),
            ("name='A b'\nderive='1'", "lower-case"),
            ("name='a'\nderive='1'\nlabel_of='b'", "one of them"),
            ("name='a'\nderive='1'\ntype='integer'", "CAST"),
            ("name='a'\nderive='1'\nrename='c'", "its name"),
            ("name='a'\nlabel_of='b'\n[[field]]\nname='b'", "codes"),
        ] {
            let message = refused(&format!("[[field]]\n{text}"));
            assert!(message.contains(part) && message.contains('a'), "{text}: {message}");
        }
        assert!(refused("primary_key=['a']\n[[field]]\nname='a'\ntreatment='drop'\nreason='r'").contains("key column"));
    }

    #[test]
    fn remedies_and_classes_arrive() {
        let dictionary = Dictionary::from_toml(
            r#"
            drop_rows = ["status=sealed", "closed="]
            quasi_identifiers = ["zip", "age"]
            k = 11
            small_classes = "suppress"
            [[field]]
            name = "zip"
            remedy = "prefix:3"
            [[field]]
            name = "sex"
            demographic = "gender"
            "#,
        )
        .unwrap();
        assert_eq!(dictionary.field("zip").unwrap().remedy, Some(Remedy::Prefix(3)));
        let rules: Vec<String> = dictionary.drop_rows.iter().map(ToString::to_string).collect();
        assert_eq!(rules, ["status=sealed", "closed="]);
        let classes = dictionary.classes.unwrap();
        assert_eq!((classes.k, classes.small), (Some(11), SmallClasses::Suppress));
        assert!(refused("k = 3").contains("quasi_identifiers"));
        assert!(refused("quasi_identifiers = ['a']\nk = 1").contains("at least 2"));
    }

    #[test]
    fn transformations_arrive() {
        let dictionary = Dictionary::from_toml(
            r#"
            keep_rows = "status <> 'draft'"
            keep_rows_reason = "drafts are not records"
            [[field]]
            name = "status"
            codes = { A = "applied" }
            [[field]]
            name = "issued_year"
            derive = "extract(year from issued_on)"
            [[field]]
            name = "status_label"
            label_of = "status"
            "#,
        )
        .unwrap();
        assert_eq!(dictionary.keep_rows.as_deref(), Some("status <> 'draft'"));
        assert_eq!(dictionary.keep_rows_reason.as_deref(), Some("drafts are not records"));
        assert_eq!(dictionary.field("issued_year").unwrap().derive.as_deref(), Some("extract(year from issued_on)"));
        assert_eq!(dictionary.field("status_label").unwrap().label_of.as_deref(), Some("status"));
        assert!(refused("keep_rows = ''").contains("keep_rows"));
        assert!(refused("keep_rows_reason = 'why'").contains("keep_rows_reason"));
    }

    #[test]
    fn a_dictionary_survives_its_own_serialization() {
        let text = "keep_rows='a > 1'\nkeep_rows_reason='r'\n[[field]]\nname='b'\nderive='a + 1'\n[[field]]\nname='a'\ntype='decimal(9,3)'\ntreatment='drop'\nreason='r'";
        let dictionary = Dictionary::from_toml(text).unwrap();
        let json = serde_json::to_string(&dictionary).unwrap();
        assert_eq!(serde_json::from_str::<Dictionary>(&json).unwrap(), dictionary);
    }
}
