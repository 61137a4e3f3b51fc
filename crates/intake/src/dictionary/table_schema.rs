//! Frictionless Table Schema, versions 1 and 2.

use serde_json::{Map, Value};

use super::{Demographic, Dictionary, DictionaryError, Field, FieldType, Treatment};

type Object = Map<String, Value>;

pub(super) fn read(json: &str) -> Result<Dictionary, DictionaryError> {
    let json = json.trim_start_matches('\u{feff}');
    let document: Value = serde_json::from_str(json).map_err(|error| DictionaryError::Syntax(error.to_string()))?;
    let schema = schema_of(&document)?;
    let Some(list) = schema.get("fields").and_then(Value::as_array) else {
        return Err(DictionaryError::Table("a Table Schema needs a list `fields`".to_owned()));
    };
    let fields = list.iter().enumerate().map(|(index, value)| field(index, value)).collect::<Result<Vec<_>, _>>()?;
    let known = |name: &String| fields.iter().any(|field: &Field| field.name == *name);
    let primary_key = names(schema.get("primaryKey"), "primaryKey")?;
    let unique_keys = match schema.get("uniqueKeys") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(keys)) => {
            keys.iter().map(|key| names(Some(key), "uniqueKeys")).collect::<Result<Vec<_>, _>>()?
        }
        Some(_) => return Err(DictionaryError::Table("`uniqueKeys` is a list of lists of field names".to_owned())),
    };
    if let Some(name) = primary_key.iter().chain(unique_keys.iter().flatten()).find(|name| !known(name)) {
        return Err(DictionaryError::Table(format!("a key names {name:?}, which is not among the fields")));
    }
    let missing_values = missing(schema.get("missingValues")).map_err(DictionaryError::Table)?.unwrap_or_default();
    let keep_rows = text(schema, "portico:keepRows").map_err(DictionaryError::Table)?;
    let keep_rows_reason = text(schema, "portico:keepRowsReason").map_err(DictionaryError::Table)?;
    let said = Dictionary { fields, missing_values, primary_key, unique_keys, ..Dictionary::default() };
    Ok(Dictionary { keep_rows, keep_rows_reason, ..said })
}

/// The schema itself, or the one in a resource, or in a package of one resource.
fn schema_of(document: &Value) -> Result<&Object, DictionaryError> {
    let wrong = |reason: &str| DictionaryError::Table(reason.to_owned());
    let Value::Object(mut object) = document.clone() else {
        return Err(wrong("a Table Schema is a JSON object"));
    };
    let mut place = document;
    if let Some(resources) = object.remove("resources") {
        if resources.as_array().map(Vec::len) != Some(1) {
            return Err(wrong(
                "a Data Package used as a dictionary has exactly one resource; give its `schema` instead",
            ));
        }
        place = &document["resources"][0];
    }
    if let Some(schema) = place.get("schema") {
        place = schema;
    }
    place.as_object().ok_or_else(|| wrong("the `schema` is a JSON object, not a reference to one"))
}

fn names(value: Option<&Value>, key: &str) -> Result<Vec<String>, DictionaryError> {
    let wrong = || DictionaryError::Table(format!("`{key}` is made of field names"));
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(name)) => Ok(vec![name.clone()]),
        Some(Value::Array(list)) => {
            list.iter().map(|name| name.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// Spellings of null, without the empty one, which is null anyway; `None` when nothing is said.
fn missing(value: Option<&Value>) -> Result<Option<Vec<String>>, String> {
    let wrong = || "`missingValues` is a list of strings, or of objects with a `value`".to_owned();
    let Some(value) = value else { return Ok(None) };
    let mut spellings = Vec::new();
    for entry in value.as_array().ok_or_else(wrong)? {
        let spelling = entry.as_str().or_else(|| entry.get("value").and_then(Value::as_str)).ok_or_else(wrong)?;
        if !spelling.is_empty() {
            spellings.push(spelling.to_owned());
        }
    }
    Ok(Some(spellings))
}

fn field(index: usize, value: &Value) -> Result<Field, DictionaryError> {
    let Some(name) = value.get("name").and_then(Value::as_str) else {
        return Err(DictionaryError::Table(format!("entry {} of `fields` has no name", index + 1)));
    };
    let fault = |reason: String| DictionaryError::Field { field: name.to_owned(), reason };
    let Value::Object(object) = value else { return Err(fault("it is a JSON object".to_owned())) };
    let mut field = Field::named(name);
    field.title = text(object, "title").map_err(fault)?.unwrap_or_default();
    field.description = text(object, "description").map_err(fault)?.unwrap_or_default();
    field.unit = text(object, "portico:unit").map_err(fault)?.unwrap_or_default();
    field.missing_values = missing(object.get("missingValues")).map_err(fault)?;
    set_type(&mut field, object).map_err(fault)?;
    set_spelling(&mut field, object).map_err(fault)?;
    set_constraints(&mut field, object.get("constraints")).map_err(fault)?;
    set_categories(&mut field, object.get("categories")).map_err(fault)?;
    set_treatment(&mut field, object).map_err(fault)?;
    field.derive = text(object, "portico:derive").map_err(fault)?;
    field.label_of = text(object, "portico:labelOf").map_err(fault)?;
    if field.is_made() {
        // A schema says the type of every field; what is made has that of its expression.
        (field.data_type, field.format) = (None, None);
    }
    Ok(field)
}

fn text(object: &Object, key: &str) -> Result<Option<String>, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("`{key}` is a string")),
    }
}

fn truth(object: &Object, key: &str) -> Result<Option<bool>, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(truth)) => Ok(Some(*truth)),
        Some(_) => Err(format!("`{key}` is true or false")),
    }
}

fn set_type(field: &mut Field, object: &Object) -> Result<(), String> {
    let format = text(object, "format")?.unwrap_or_else(|| "default".to_owned());
    let written = match format.as_str() {
        "default" | "any" => None,
        // Version 0 wrote patterns with this prefix, and files of that time are still about.
        other => Some(other.strip_prefix("fmt:").unwrap_or(other).to_owned()),
    };
    let kind = text(object, "type")?;
    let temporal = |field: &mut Field, data_type| {
        field.data_type = Some(data_type);
        field.format.clone_from(&written);
    };
    match kind.as_deref() {
        None | Some("any") => {}
        Some("string" | "object" | "array" | "list" | "duration" | "geopoint") => {
            field.data_type = Some(FieldType::Text)
        }
        Some("number") => field.data_type = Some(FieldType::Number),
        Some("integer" | "year") => field.data_type = Some(FieldType::Integer),
        Some("boolean") => field.data_type = Some(FieldType::Boolean),
        Some("date") => temporal(field, FieldType::Date),
        Some("time") => temporal(field, FieldType::Time),
        Some("datetime") => {
            let zoned = written.as_deref().is_some_and(|format| format.contains("%z") || format.ends_with('Z'));
            temporal(field, if zoned { FieldType::TimestampUtc } else { FieldType::Timestamp });
        }
        Some("yearmonth") => {
            field.data_type = Some(FieldType::Text);
            field.pattern = Some("-?[0-9]{4,}-(0[1-9]|1[0-2])".to_owned());
        }
        Some("geojson") if written.is_some() => return Err("only GeoJSON geometries are read, not TopoJSON".to_owned()),
        Some("geojson") => field.data_type = Some(FieldType::Geometry),
        Some(other) => return Err(format!("there is no type {other:?} in Table Schema")),
    }
    Ok(())
}

fn set_spelling(field: &mut Field, object: &Object) -> Result<(), String> {
    let mark = |key: &str| -> Result<Option<char>, String> {
        let Some(text) = text(object, key)? else { return Ok(None) };
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (None, _) => Ok(None),
            (Some(mark), None) => Ok(Some(mark)),
            _ => Err(format!("`{key}` is a single character")),
        }
    };
    field.thousands = mark("groupChar")?;
    field.decimal_mark = mark("decimalChar")?.filter(|mark| *mark != '.');
    field.number_affixes = truth(object, "bareNumber")? == Some(false);
    field.true_values = strings(object.get("trueValues"), "trueValues")?;
    field.false_values = strings(object.get("falseValues"), "falseValues")?;
    Ok(())
}

fn strings(value: Option<&Value>, key: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("`{key}` is a list of single values");
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(|entry| plain(entry).ok_or_else(wrong)).collect(),
        Some(_) => Err(wrong()),
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn set_constraints(field: &mut Field, value: Option<&Value>) -> Result<(), String> {
    let object = match value {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(object)) => object,
        Some(_) => return Err("`constraints` is a JSON object".to_owned()),
    };
    let length = |key: &str| match object.get(key) {
        None => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| format!("`{key}` is a whole number")),
    };
    let bound = |plainly: &str, exclusive: &str| -> Result<(Option<String>, bool), String> {
        let read = |key: &str| match object.get(key) {
            None => Ok(None),
            Some(value) => plain(value).map(Some).ok_or_else(|| format!("`{key}` is a single value")),
        };
        match (read(plainly)?, read(exclusive)?) {
            (Some(_), Some(_)) => Err(format!("it has both `{plainly}` and `{exclusive}`; keep the stricter one")),
            (bound, None) => Ok((bound, false)),
            (None, bound) => Ok((bound, true)),
        }
    };
    if object.contains_key("jsonSchema") {
        return Err("the constraint `jsonSchema` is not checked here; remove it".to_owned());
    }
    field.required = truth(object, "required")?.unwrap_or(false);
    field.unique = truth(object, "unique")?.unwrap_or(false);
    field.allowed = strings(object.get("enum"), "enum")?;
    if let Some(pattern) = text(object, "pattern")? {
        field.pattern = Some(pattern);
    }
    (field.length_min, field.length_max) = (length("minLength")?, length("maxLength")?);
    (field.minimum, field.minimum_exclusive) = bound("minimum", "exclusiveMinimum")?;
    (field.maximum, field.maximum_exclusive) = bound("maximum", "exclusiveMaximum")?;
    Ok(())
}

/// Version 2: the known values of a categorical field, plain or with labels.
fn set_categories(field: &mut Field, value: Option<&Value>) -> Result<(), String> {
    let Some(Value::Array(list)) = value else { return Ok(()) };
    for entry in list {
        if let (Some(code), Some(label)) = (entry.get("value").and_then(plain), entry.get("label").and_then(plain)) {
            field.codes.insert(code, label);
        }
    }
    if !field.allowed.is_empty() {
        return Ok(());
    }
    let category = |entry: &Value| plain(entry.get("value").unwrap_or(entry));
    field.allowed = list
        .iter()
        .map(|entry| {
            category(entry).ok_or_else(|| "`categories` is a list of values, or of objects with a `value`".to_owned())
        })
        .collect::<Result<_, _>>()?;
    Ok(())
}

fn set_treatment(field: &mut Field, object: &Object) -> Result<(), String> {
    let reason = text(object, "portico:reason")?.unwrap_or_default();
    field.treatment = match text(object, "portico:treatment")?.as_deref() {
        None | Some("auto") => Treatment::Auto,
        Some("public") => Treatment::Public { reason },
        Some("drop") => Treatment::Drop { reason },
        Some(_) => return Err("`portico:treatment` is auto, public or drop".to_owned()),
    };
    field.classification = text(object, "portico:classification")?;
    field.remedy = text(object, "portico:remedy")?.map(|remedy| remedy.parse()).transpose()?;
    field.demographic = match text(object, "portico:demographic")?.as_deref() {
        None => None,
        Some("race") => Some(Demographic::Race),
        Some("ethnicity") => Some(Demographic::Ethnicity),
        Some("gender") => Some(Demographic::Gender),
        Some(_) => return Err("`portico:demographic` is race, ethnicity or gender".to_owned()),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Dictionary, FieldType, Treatment};

    fn one(field: &str) -> Result<super::Field, String> {
        Dictionary::from_table_schema(&format!(r#"{{"fields":[{field}]}}"#))
            .map(|mut dictionary| dictionary.fields.remove(0))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn types_of_table_schema_have_a_type_here() {
        for (kind, expect) in [
            (r#""string""#, Some(FieldType::Text)),
            (r#""number""#, Some(FieldType::Number)),
            (r#""year""#, Some(FieldType::Integer)),
            (r#""boolean""#, Some(FieldType::Boolean)),
            (r#""date","format":"%d/%m/%Y""#, Some(FieldType::Date)),
            (r#""time""#, Some(FieldType::Time)),
            (r#""datetime""#, Some(FieldType::Timestamp)),
            (r#""datetime","format":"%Y-%m-%dT%H:%M:%S%z""#, Some(FieldType::TimestampUtc)),
            (r#""geojson""#, Some(FieldType::Geometry)),
            (r#""geopoint""#, Some(FieldType::Text)),
            (r#""any""#, None),
        ] {
            let field = one(&format!(r#"{{"name":"a","type":{kind}}}"#)).unwrap();
            assert_eq!(field.data_type, expect, "{kind}");
        }
        assert!(one(r#"{"name":"a","type":"varchar"}"#).unwrap_err().contains("varchar"));
        assert!(one(r#"{"type":"string"}"#).unwrap_err().contains("entry 1"));
    }

    #[test]
    fn transformations_arrive() {
        let schema = r#"{"portico:keepRows":"a > 1","portico:keepRowsReason":"r","fields":[
            {"name":"a","type":"integer","categories":[{"value":2,"label":"two"}]},
            {"name":"b","type":"integer","portico:derive":"a + 1"},
            {"name":"c","type":"string","portico:labelOf":"a"}]}"#;
        let dictionary = Dictionary::from_table_schema(schema).unwrap();
        assert_eq!(
            (dictionary.keep_rows.as_deref(), dictionary.keep_rows_reason.as_deref()),
            (Some("a > 1"), Some("r"))
        );
        assert_eq!(dictionary.field("b").unwrap().derive.as_deref(), Some("a + 1"));
        assert_eq!(dictionary.field("c").unwrap().label_of.as_deref(), Some("a"));
    }

    #[test]
    fn constraints_and_spellings_arrive() {
        let field = one(
            r#"{"name":"a","type":"number","groupChar":",","decimalChar":".","bareNumber":false,"missingValues":["-",""],
                "constraints":{"required":true,"unique":true,"exclusiveMinimum":0,"maximum":"9.5","enum":[1,2]},
                "portico:treatment":"drop","portico:reason":"private"}"#,
        )
        .unwrap();
        assert!(field.required && field.unique && field.minimum_exclusive && !field.maximum_exclusive);
        assert_eq!((field.minimum.as_deref(), field.maximum.as_deref()), (Some("0"), Some("9.5")));
        assert_eq!((field.thousands, field.decimal_mark, field.number_affixes), (Some(','), None, true));
        assert_eq!((field.allowed.len(), field.missing_values), (2, Some(vec!["-".to_owned()])));
        assert_eq!(field.treatment, Treatment::Drop { reason: "private".into() });
        let labelled = one(r#"{"name":"a","type":"integer","categories":[{"value":1,"label":"low"},{"value":2}]}"#);
        let labelled = labelled.unwrap();
        assert_eq!(
            (labelled.allowed.as_slice(), labelled.codes["1"].as_str()),
            (&["1".to_owned(), "2".to_owned()][..], "low")
        );
    }

    #[test]
    fn what_would_not_be_checked_is_refused() {
        for (field, part) in [
            (r#"{"name":"a","type":"object","constraints":{"jsonSchema":{}}}"#, "jsonSchema"),
            (r#"{"name":"a","type":"geojson","format":"topojson"}"#, "TopoJSON"),
            (r#"{"name":"a","constraints":{"pattern":"("}}"#, "regular expression"),
            (r#"{"name":"a","constraints":{"minimum":1,"exclusiveMinimum":1}}"#, "both"),
        ] {
            assert!(one(field).unwrap_err().contains(part), "{field}");
        }
    }

    #[test]
    fn keys_name_fields_and_packages_hold_schemas() {
        let bad = r#"{"fields":[{"name":"a"}],"primaryKey":"b"}"#;
        assert!(Dictionary::from_table_schema(bad).unwrap_err().to_string().contains("\"b\""));
        let package = r#"{"resources":[{"name":"r","schema":{"fields":[{"name":"a"}],"primaryKey":["a"],
            "missingValues":[{"value":"-99","label":"refused"}]}}]}"#;
        let dictionary = Dictionary::parse("datapackage.json", package).unwrap();
        assert_eq!((dictionary.primary_key.len(), dictionary.missing_values), (1, vec!["-99".to_owned()]));
        assert!(Dictionary::parse("no-extension", " {\"fields\":[]}").unwrap().fields.is_empty());
    }
}
