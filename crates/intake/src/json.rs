//! JSON as rows: one object a line, an array of objects, or an object around one such array; GeoJSON among them.
//!
//! ```text
//! file ─▶ TextReader ─▶ Cursor (where an object begins and ends) ─▶ Flattener ─▶ Row
//! ```

use portico_model::finding::{Finding, Severity};
use portico_model::limits::IntakeLimits;

use crate::cell::{Row, Rows, Span, Tally, narrow, wide};
use crate::csv::{encoding_finding, file_finding};
use crate::error::IntakeError;
use crate::text::{Charset, TextReader};
use crate::unpack::Material;

mod cursor;
mod find;
mod flatten;
mod parse;

use cursor::{Cursor, damaged};
use flatten::{Fault, Flattener};

/// Where the objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// One after the other: NDJSON, GeoJSON text sequences, or a single object.
    Sequence,
    /// In an array.
    Array,
    /// In the array that is the value of this member of the outermost object.
    Member(String),
}

/// How a JSON file is read: the same in both passes.
#[derive(Clone, Debug)]
pub(crate) struct JsonPlan {
    pub(crate) place: Place,
    /// Whether the objects are GeoJSON features.
    pub(crate) features: bool,
    pub(crate) charset: Charset,
    limits: IntakeLimits,
}

impl JsonPlan {
    /// Finds where the rows are.
    pub(crate) fn find(material: &Material, charset: Charset, limits: &IntakeLimits) -> Result<Self, IntakeError> {
        let mut cursor = open(material, charset, limits)?;
        let (place, features) = find::place(&mut cursor, limits)?;
        Ok(Self { place, features, charset, limits: limits.clone() })
    }

    /// Reads the rows from the first.
    pub(crate) fn rows(&self, material: &Material) -> Result<JsonRows, IntakeError> {
        let limits = &self.limits;
        Ok(JsonRows {
            cursor: open(material, self.charset, limits)?,
            flattener: Flattener::new(self.features, limits),
            place: self.place.clone(),
            stage: Stage::Before,
            row: 0,
            foreign_crs: false,
            passed: Vec::new(),
            limits: limits.clone(),
        })
    }
}

fn open(material: &Material, charset: Charset, limits: &IntakeLimits) -> Result<Cursor, IntakeError> {
    let text = TextReader::new(material.open()?, charset)?;
    Ok(Cursor::new(text, narrow(limits.row_bytes), limits.depth))
}

/// A whole JSON value, numbers as doubles; `None` when the bytes are not one.
pub(crate) fn value(bytes: &[u8]) -> Option<serde_json::Value> {
    let mut parser = parse::Parser::new(bytes);
    let tree = parser.tree(64).ok()?;
    parser.is_at_end().then_some(tree)
}

enum Stage {
    Before,
    /// Within the rows; `true` before the first.
    Within(bool),
    After,
}

/// The objects of a JSON file.
pub(crate) struct JsonRows {
    cursor: Cursor,
    flattener: Flattener,
    place: Place,
    stage: Stage,
    row: u64,
    foreign_crs: bool,
    /// Members around the rows that are not read, by the first of their keys.
    passed: Vec<String>,
    limits: IntakeLimits,
}

/// Members that are named in a finding, and characters of their keys.
const PASSED_MAX: usize = 5;
const KEY_CHARS_MAX: usize = 40;

impl JsonRows {
    /// Goes to the first row.
    fn enter(&mut self) -> Result<(), IntakeError> {
        match self.place.clone() {
            Place::Sequence => {}
            Place::Array => self.cursor.expect(b'[')?,
            Place::Member(wanted) => {
                self.cursor.expect(b'{')?;
                loop {
                    let key = find::key(&mut self.cursor)?;
                    if key == wanted && self.cursor.eat(b'[')? {
                        break;
                    }
                    self.pass_member(&key)?;
                    self.cursor.expect(b',')?;
                }
            }
        }
        self.stage = Stage::Within(true);
        Ok(())
    }

    /// Whether there is a further row; the cursor is then before it.
    fn has_next(&mut self, first: bool) -> Result<bool, IntakeError> {
        if self.place == Place::Sequence {
            return Ok(self.cursor.peek()?.is_some());
        }
        if self.cursor.eat(b']')? {
            return Ok(false);
        }
        if !first {
            self.cursor.expect(b',')?;
        }
        Ok(true)
    }

    /// Reads what follows the rows, so that a file that was cut off is not taken for whole.
    fn leave(&mut self) -> Result<(), IntakeError> {
        if matches!(self.place, Place::Member(_)) {
            while !self.cursor.eat(b'}')? {
                self.cursor.expect(b',')?;
                let key = find::key(&mut self.cursor)?;
                if self.cursor.peek()? == Some(b'[') {
                    if find::array_of_objects(&mut self.cursor, u64::MAX)? != find::Elements::Others {
                        return Err(find::several());
                    }
                } else {
                    self.pass_member(&key)?;
                }
            }
        }
        if self.cursor.peek()?.is_some() {
            return Err(damaged("text follows after its end"));
        }
        self.stage = Stage::After;
        Ok(())
    }

    fn pass_member(&mut self, key: &str) -> Result<(), IntakeError> {
        if key == "crs" {
            let text = String::from_utf8_lossy(self.cursor.value()?).into_owned();
            let known = ["CRS84", "4326", "null"].iter().any(|name| text.contains(name));
            self.foreign_crs |= !known;
            return Ok(());
        }
        // What a GeoJSON text says beside its features describes it, and is no table.
        if !self.flattener.reads_features() && self.passed.len() <= PASSED_MAX {
            self.passed.push(key.chars().filter(|found| !found.is_control()).take(KEY_CHARS_MAX).collect());
        }
        self.cursor.skip_value()
    }
}

impl Rows for JsonRows {
    fn advance(&mut self) -> Result<bool, IntakeError> {
        if let Stage::Before = self.stage {
            self.enter()?;
        }
        let Stage::Within(first) = self.stage else { return Ok(false) };
        if !self.has_next(first)? {
            self.leave()?;
            return Ok(false);
        }
        self.stage = Stage::Within(false);
        self.row += 1;
        let row = self.row;
        if self.cursor.peek()? != Some(b'{') {
            return Err(IntakeError::NotATable(format!("element {row} is not an object")));
        }
        let element = self.cursor.value()?;
        if element.len() > narrow(self.limits.row_bytes) {
            return Err(IntakeError::over_at("a row has more bytes", "row_bytes", self.limits.row_bytes, row));
        }
        self.flattener.read(element, row).map_err(|fault| match fault {
            Fault::Syntax => IntakeError::corrupt("JSON", format!("row {row} is not well-formed")),
            Fault::Columns => IntakeError::over("the table has more columns", "columns", self.limits.columns),
            Fault::LongGeometry => {
                IntakeError::over_at("a geometry has more bytes", "cell_bytes", self.limits.cell_bytes, row)
            }
            Fault::Key => {
                let reason = format!("a key in row {row} holds the control character U+001F, which no name can");
                IntakeError::corrupt("JSON", reason)
            }
            Fault::NotAFeature => IntakeError::NotATable(format!("element {row} is not a GeoJSON feature")),
        })?;
        let found = self.flattener.row(element);
        let cell_bytes = narrow(self.limits.cell_bytes);
        let long = |span: &Span| span.end.saturating_sub(span.start) > cell_bytes;
        if element.len() > cell_bytes && found.spans.iter().any(long) {
            return Err(IntakeError::over_at("a value has more bytes", "cell_bytes", self.limits.cell_bytes, row));
        }
        Ok(true)
    }

    fn row(&self) -> Row<'_> {
        self.flattener.row(self.cursor.last_value())
    }

    fn names(&self) -> Vec<String> {
        self.flattener.names()
    }

    fn position(&self) -> u64 {
        self.cursor.text().position()
    }

    fn findings(&mut self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut tell = |rule: &str, tally: &Tally, message: &str| {
            if !tally.is_empty() {
                findings.push(file_finding(rule, Severity::Warning, tally, message));
            }
        };
        let flattener = &self.flattener;
        let repeated = "objects have the same key twice; the last value counts";
        tell("key_repeated", &flattener.repeated, repeated);
        let outside =
            "geometries reach beyond 180 degrees of longitude or 90 of latitude; GeoJSON is in WGS 84 degrees";
        tell("geometry_outside_wgs84", &flattener.outside, outside);
        let nuls = "strings hold NUL characters, which are taken out";
        tell("nul_bytes_removed", &flattener.nuls, nuls);
        let halves = "strings hold halves of surrogate pairs, which are no characters; they are shown as \u{fffd}";
        tell("surrogate_halves", &flattener.halves, halves);
        if !self.passed.is_empty() {
            let mut named = self.passed.iter().take(PASSED_MAX).cloned().collect::<Vec<_>>().join(", ");
            named.push_str(if self.passed.len() > PASSED_MAX { " and others" } else { "" });
            let message = format!(
                "the rows are the objects of one array; what stands beside it is not read: {named}. Put it into each object \
                 if it belongs to the rows"
            );
            let mut finding = Finding::on_file("members_not_read", Severity::Warning, message);
            finding.count = wide(self.passed.len());
            findings.push(finding);
        }
        if self.foreign_crs {
            let message = "the file names a coordinate reference system other than WGS 84; GeoJSON has no other: \
                           convert the coordinates";
            findings.push(Finding::on_file("crs_not_wgs84", Severity::Warning, message));
        }
        let text = self.cursor.text();
        findings.extend(encoding_finding(text.charset(), text.malformed()));
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::ReadOptions;

    type Read = (JsonPlan, Vec<String>, Vec<Vec<String>>, Vec<Finding>);

    fn read(text: &str) -> Result<Read, IntakeError> {
        read_within(text, &IntakeLimits::default())
    }

    fn read_within(text: &str, limits: &IntakeLimits) -> Result<Read, IntakeError> {
        let scratch = tempfile::tempdir()?;
        let file = scratch.path().join("t.json");
        std::fs::write(&file, text)?;
        let options = ReadOptions::named("t.json");
        let material = crate::unpack::material(&file, &options, limits, scratch.path(), &mut |_| ())?;
        let plan = JsonPlan::find(&material, Charset::Utf8, limits)?;
        let mut rows = plan.rows(&material)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next_row()? {
            all.push(row.cells().map(|cell| String::from_utf8_lossy(cell.bytes).into_owned()).collect());
        }
        let findings = rows.findings();
        Ok((plan, rows.names(), all, findings))
    }

    #[test]
    fn rows_are_found_wherever_they_are() {
        let check = |text: &str, place: Place| {
            let (plan, names, rows, _) = read(text).unwrap();
            assert_eq!(plan.place, place, "{text}");
            assert_eq!(names, ["a", "b"], "{text}");
            assert_eq!(rows, [vec!["1", "x"], vec!["2", ""]], "{text}");
        };
        check("{\"a\":1,\"b\":\"x\"}\n{\"a\":2}\n", Place::Sequence);
        check("{\"a\":1,\"b\":\"x\"}{\"a\":2}", Place::Sequence);
        check("\u{1e}{\"a\":1,\"b\":\"x\"}\n\u{1e}{\"a\":2}\n", Place::Sequence);
        check(" [ {\"a\": 1, \"b\": \"x\"}, {\"a\": 2} ] ", Place::Array);
        check(
            "{\"meta\":{\"n\":[1]},\"data\":[{\"a\":1,\"b\":\"x\"},{\"a\":2}],\"k\":[3]}",
            Place::Member("data".into()),
        );
    }

    #[test]
    fn nested_objects_are_flattened_and_arrays_kept() {
        let text = r#"{"a":{"b":1.10,"c":{"d":null}},"e":[1, {"f": "g"}],"h":"\u00e9\u0000"}
            {"h":true,"a":{"b":1,"c":{"d":"x"}},"e":{}}"#;
        let (_, names, rows, findings) = read(text).unwrap();
        assert_eq!(names, ["a.b", "a.c.d", "e", "h"]);
        assert_eq!(rows, [vec!["1.10", "", "[1,{\"f\":\"g\"}]", "é"], vec!["1", "x", "", "true"]]);
        assert_eq!(findings.iter().map(|finding| finding.rule.as_str()).collect::<Vec<_>>(), ["nul_bytes_removed"]);
    }

    #[test]
    fn features_are_rows_with_a_geometry() {
        let text = r#"{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"EPSG:2264"}},"features":[
            {"type":"Feature","id":7,"properties":{"n":"x"},"geometry":{"type":"Point","coordinates":[200,2]}},
            {"type":"Feature","geometry":null,"properties":null},
            {"type":"Feature","geometry":{"type":"Blob"},"properties":{"n":"y"}}]}"#;
        let (plan, names, rows, findings) = read(text).unwrap();
        assert!(plan.features);
        assert_eq!(names, ["geometry", "id", "n"]);
        assert_eq!(rows.len(), 3);
        let rules = findings.iter().map(|finding| finding.rule.as_str()).collect::<Vec<_>>();
        assert_eq!(rules, ["geometry_outside_wgs84", "crs_not_wgs84"]);
    }

    #[test]
    fn members_of_a_feature_and_its_properties_of_the_same_name_are_both_kept() {
        let text = r#"{"type":"FeatureCollection","name":"n","features":[
            {"type":"Feature","id":7,"properties":{"id":"x","geometry":1},"geometry":null},
            {"type":"Feature","id":8,"properties":{"id":"y"},"geometry":null}]}"#;
        let (_, names, rows, findings) = read(text).unwrap();
        assert_eq!(names, ["geometry", "id", "id", "geometry"]);
        assert_eq!(rows, [vec!["", "7", "x", "1"], vec!["", "8", "y", ""]]);
        assert!(findings.is_empty(), "{findings:?}");
    }

    #[test]
    fn what_stands_beside_the_rows_is_named() {
        let (_, names, rows, findings) = read(r#"{"id":1,"name":"x","items":[{"a":1},{"a":2}],"n":2}"#).unwrap();
        assert_eq!((names.len(), rows.len()), (1, 2));
        let finding = findings.first().unwrap();
        assert_eq!((finding.rule.as_str(), finding.count), ("members_not_read", 3));
        assert!(finding.message.contains("not read: id, name, n."), "{}", finding.message);
    }

    #[test]
    fn rows_with_several_arrays_of_objects_are_rows() {
        let row = r#"{"id":1,"a":[{"x":1}],"b":[{"y":1}]}"#;
        let (plan, names, rows, _) = read(&format!("{row}\n{row}\n")).unwrap();
        assert_eq!((plan.place, names.len(), rows.len()), (Place::Sequence, 3, 2));
    }

    #[test]
    fn what_is_no_table_says_why() {
        let check = |text: &str, expect: &str| {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expect), "{text}: {error}");
        };
        check("[[\"id\",\"name\"],[1,\"x\"]]", "array of arrays");
        check("[1,2]", "plain values");
        check("[]", "empty");
        check("{\"a\":[{\"x\":1}],\"b\":[{\"y\":1}]}", "several arrays");
        check("{\"a\":1}\n7", "element 2 is not an object");
        check("[{\"a\":1},{\"a\":2}", "damaged");
        check("[{\"a\":1}] x", "text follows");
        check("{\"a\":1", "damaged");
        check("[{\"\\u001fgeometry\":null}]", "U+001F");
        check("[{\"a\":01}]", "row 1 is not well-formed");
        check("{\"type\":\"FeatureCollection\",\"features\":[]}", "no features");
    }

    #[test]
    fn limits_hold() {
        let check = |text: &str, limits: IntakeLimits, expect: &str| {
            let error = read_within(text, &limits).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100), "]".repeat(100));
        check(&deep, IntakeLimits::default(), "depth = 64");
        check("{\"a\":1,\"b\":2}", IntakeLimits { columns: 1, ..IntakeLimits::default() }, "columns = 1");
        let long = format!("[{{\"a\":\"{}\"}}]", "x".repeat(600_000));
        check(&long, IntakeLimits { cell_bytes: 1000, ..IntakeLimits::default() }, "cell_bytes = 1000");
        check(&long, IntakeLimits { row_bytes: 1000, ..IntakeLimits::default() }, "row_bytes = 1000");
        let (plan, ..) = read_within(
            &format!("{{\"data\":[{}{{\"a\":2}}],\"z\":1}}", "{\"a\":1},".repeat(200_000)),
            &IntakeLimits { row_bytes: 1000, ..IntakeLimits::default() },
        )
        .unwrap();
        assert_eq!(plan.place, Place::Member("data".into()));
    }
}
