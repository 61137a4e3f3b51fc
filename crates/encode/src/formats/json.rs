//! The three forms of JSON rows: the answer document of `/sql`, an array of objects, one object a line.

use std::collections::HashSet;

use arrow::array::RecordBatch;
use arrow_schema::SchemaRef;
use portico_model::order::Envelope;

use super::Form;
use crate::EncodeError;
use crate::cells::Cells;
use crate::spell::number::integer;
use crate::spell::text::json_string;
use crate::types::type_name;

/// Writes rows as JSON. The forms differ only in what stands around rows and values.
pub(crate) struct Json {
    schema: SchemaRef,
    before: Vec<u8>,
    /// What stands before each value: the row's beginning, a comma, the name.
    names: Vec<Vec<u8>>,
    row_end: &'static [u8],
    /// What stands between rows, after the line break; nothing where each row ends its own line.
    separator: &'static [u8],
    after: After,
    rows: u64,
}

enum After {
    /// The rest of the answer document, less the time.
    Document(Envelope),
    Bracket,
    Nothing,
}

impl Json {
    /// `{"columns":[…],"rows":[[…]],"row_count":…,"versions":{…},"query_id":…,"elapsed_ms":…}`
    pub(crate) fn document(schema: &SchemaRef, envelope: &Envelope) -> Self {
        let mut before = b"{\"columns\":[".to_vec();
        for (index, field) in schema.fields().iter().enumerate() {
            before.extend_from_slice(if index > 0 { b",{\"name\":" } else { b"{\"name\":" });
            json_string(&mut before, field.name());
            before.extend_from_slice(b",\"type\":");
            json_string(&mut before, &type_name(field.data_type(), Some(field)));
            before.push(b'}');
        }
        before.extend_from_slice(b"],\"rows\":[");
        let names = (0..schema.fields().len()).map(|index| if index == 0 { vec![b'['] } else { vec![b','] }).collect();
        let after = After::Document(envelope.clone());
        Self { schema: schema.clone(), before, names, row_end: b"]", separator: b",", after, rows: 0 }
    }

    /// `[{…},{…}]`, one object a line.
    pub(crate) fn objects(schema: &SchemaRef) -> Self {
        Self { before: vec![b'['], separator: b",", after: After::Bracket, ..Self::lines(schema) }
    }

    /// `{…}` and a line break for each row.
    pub(crate) fn lines(schema: &SchemaRef) -> Self {
        Self {
            schema: schema.clone(),
            before: Vec::new(),
            names: members(schema, 0..schema.fields().len()).into_iter().map(|(_, name)| name).collect(),
            row_end: b"}",
            separator: b"",
            after: After::Nothing,
            rows: 0,
        }
    }
}

/// For each of the columns, what stands before its value in an object: `{` or `,`, the name, a colon. A name
/// that was there before gets a number, since an object has each name once.
pub(crate) fn members(schema: &SchemaRef, columns: impl Iterator<Item = usize>) -> Vec<(usize, Vec<u8>)> {
    let mut seen: HashSet<String> = HashSet::new();
    let mut members = Vec::new();
    for index in columns {
        let Some(field) = schema.fields().get(index) else { continue };
        let mut name = field.name().clone();
        let mut number = 2;
        while !seen.insert(name.clone()) {
            name = format!("{}_{number}", field.name());
            number += 1;
        }
        let mut before = if members.is_empty() { vec![b'{'] } else { vec![b','] };
        json_string(&mut before, &name);
        before.push(b':');
        members.push((index, before));
    }
    members
}

impl Form for Json {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(&self.before);
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let fields = self.schema.fields();
        let cells: Vec<Cells> =
            batch.columns().iter().zip(fields).map(|(array, field)| Cells::new(array.as_ref(), field)).collect();
        let lines = matches!(self.after, After::Nothing);
        for row in 0..batch.num_rows() {
            if !lines {
                if self.rows > 0 {
                    out.extend_from_slice(self.separator);
                }
                out.push(b'\n');
            }
            for (name, cells) in self.names.iter().zip(&cells) {
                out.extend_from_slice(name);
                cells.write_json(row, out)?;
            }
            out.extend_from_slice(self.row_end);
            if lines {
                out.push(b'\n');
            }
            self.rows += 1;
        }
        Ok(())
    }

    fn finish(&mut self, elapsed_ms: u64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if matches!(self.after, After::Nothing) {
            return Ok(());
        }
        if self.rows > 0 {
            out.push(b'\n');
        }
        out.push(b']');
        if let After::Document(envelope) = &self.after {
            out.extend_from_slice(b",\"row_count\":");
            integer(out, self.rows);
            out.extend_from_slice(b",\"versions\":{");
            for (index, (name, version)) in envelope.versions.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                json_string(out, name);
                out.push(b':');
                integer(out, *version);
            }
            out.extend_from_slice(b"},\"query_id\":");
            json_string(out, &envelope.query_id);
            out.extend_from_slice(b",\"elapsed_ms\":");
            integer(out, elapsed_ms);
            out.push(b'}');
        }
        out.push(b'\n');
        Ok(())
    }
}
