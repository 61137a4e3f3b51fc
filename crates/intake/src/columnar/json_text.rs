//! Lists, maps and unions as JSON text.

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Every value of the array as JSON text; null stays null.
pub(crate) fn json_text(array: &ArrayRef) -> Result<StringArray, ArrowError> {
    let mut builder = StringBuilder::with_capacity(array.len(), array.len() * 16);
    let mut text = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
            continue;
        }
        text.clear();
        push(array.as_ref(), row, &mut text)?;
        builder.append_value(&text);
    }
    Ok(builder.finish())
}

fn push(array: &dyn Array, row: usize, out: &mut String) -> Result<(), ArrowError> {
    if array.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::List(_) => push_list(&array.as_list::<i32>().value(row), out),
        DataType::LargeList(_) => push_list(&array.as_list::<i64>().value(row), out),
        DataType::FixedSizeList(..) => push_list(&array.as_fixed_size_list().value(row), out),
        DataType::ListView(_) => push_list(&array.as_list_view::<i32>().value(row), out),
        DataType::LargeListView(_) => push_list(&array.as_list_view::<i64>().value(row), out),
        DataType::Struct(fields) => {
            let members = array.as_struct();
            out.push('{');
            for (index, field) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_string(field.name(), out);
                out.push(':');
                push(members.column(index).as_ref(), row, out)?;
            }
            out.push('}');
            Ok(())
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            out.push('{');
            for index in 0..entries.len() {
                if index > 0 {
                    out.push(',');
                }
                push_string(&shown(entries.column(0).as_ref(), index)?, out);
                out.push(':');
                push(entries.column(1).as_ref(), index, out)?;
            }
            out.push('}');
            Ok(())
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys().get(row).copied().unwrap_or_default();
            push(dictionary.values().as_ref(), key, out)
        }
        DataType::Union(..) => {
            let union = array.as_union();
            push(union.value(row).as_ref(), 0, out)
        }
        data_type => {
            let text = shown(array, row)?;
            let bare = data_type.is_numeric() || *data_type == DataType::Boolean;
            let finite = !text.chars().any(|character| matches!(character, 'N' | 'i'));
            if bare && finite {
                out.push_str(&text);
            } else {
                push_string(&text, out);
            }
            Ok(())
        }
    }
}

fn push_list(members: &ArrayRef, out: &mut String) -> Result<(), ArrowError> {
    out.push('[');
    for index in 0..members.len() {
        if index > 0 {
            out.push(',');
        }
        push(members.as_ref(), index, out)?;
    }
    out.push(']');
    Ok(())
}

fn push_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// A plain value as text.
pub(crate) fn shown(array: &dyn Array, row: usize) -> Result<String, ArrowError> {
    ArrayFormatter::try_new(array, &FormatOptions::default())?.value(row).try_to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Builder, ListBuilder, MapBuilder, StringBuilder};
    use std::sync::Arc;

    #[test]
    fn lists_and_maps_become_json() {
        let mut lists = ListBuilder::new(Int32Builder::new());
        lists.append_value([Some(1), None, Some(3)]);
        lists.append_null();
        lists.append_value([]);
        let array: ArrayRef = Arc::new(lists.finish());
        let text = json_text(&array).unwrap();
        let text = text.iter().collect::<Vec<_>>();
        assert_eq!(text, [Some("[1,null,3]"), None, Some("[]")]);

        let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        maps.keys().append_value("a\"b");
        maps.values().append_value("x");
        maps.append(true).unwrap();
        let array: ArrayRef = Arc::new(maps.finish());
        assert_eq!(json_text(&array).unwrap().value(0), "{\"a\\\"b\":\"x\"}");
    }
}
