//! Geometries in text columns: GeoJSON, well-known text (ISO 19125), or well-known binary in hexadecimal.

use portico_model::wkb;
use serde_json::{Value as Json, json};

/// Nesting of geometry collections.
const DEPTH_MAX: u32 = 8;

/// The geometry as WKB; `None` when the text is none of the three.
pub(crate) fn geometry(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    if text.starts_with('{') {
        let value = crate::json::value(text.as_bytes())?;
        return wkb::from_geojson(&value).ok();
    }
    if text.len() >= 10 && text.len() % 2 == 0 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let bytes = hexadecimal(text.as_bytes())?;
        return wkb::check(&bytes).ok().map(|()| bytes);
    }
    let mut scan = Scan { rest: text };
    if let Some(rest) =
        text.get(..5).filter(|head| head.eq_ignore_ascii_case("SRID=")).and_then(|_| text.split_once(';'))
    {
        scan.rest = rest.1;
    }
    let value = shape(&mut scan, DEPTH_MAX)?;
    scan.rest.trim().is_empty().then(|| wkb::from_geojson(&value).ok())?
}

fn hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.chunks_exact(2).map(|pair| Some(digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?)).collect()
}

struct Scan<'a> {
    rest: &'a str,
}

impl<'a> Scan<'a> {
    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|character: char| !character.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn eat(&mut self, character: char) -> bool {
        let rest = self.rest.trim_start();
        match rest.strip_prefix(character) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn number(&mut self) -> Option<f64> {
        let rest = self.rest.trim_start();
        let numeric = |character: char| character.is_ascii_digit() || matches!(character, '.' | '-' | '+' | 'e' | 'E');
        let end = rest.find(|character| !numeric(character)).unwrap_or(rest.len());
        let (number, rest) = rest.split_at(end);
        self.rest = rest;
        number.parse::<f64>().ok().filter(|number| number.is_finite())
    }
}

fn shape(scan: &mut Scan<'_>, depth: u32) -> Option<Json> {
    let kind = scan.word().to_ascii_uppercase();
    let (kind, mut measured) = match kind.strip_suffix("ZM").or_else(|| kind.strip_suffix('M')) {
        Some(kind) => (kind.to_owned(), true),
        None => (kind.strip_suffix('Z').map_or(kind.clone(), str::to_owned), false),
    };
    let before = scan.rest;
    let mut empty = false;
    match scan.word().to_ascii_uppercase().as_str() {
        "" | "Z" => {}
        "M" | "ZM" => measured = true,
        "EMPTY" => empty = true,
        _ => return None,
    }
    if !empty {
        let after = scan.rest;
        if scan.word().eq_ignore_ascii_case("EMPTY") {
            empty = true;
        } else {
            scan.rest = after;
        }
    }
    // Measures have no place in GeoJSON, and dropping them is for a person to decide.
    if measured || before.is_empty() {
        return None;
    }
    let (name, levels) = match kind.as_str() {
        "POINT" => ("Point", 0),
        "LINESTRING" => ("LineString", 1),
        "MULTIPOINT" => ("MultiPoint", 1),
        "POLYGON" => ("Polygon", 2),
        "MULTILINESTRING" => ("MultiLineString", 2),
        "MULTIPOLYGON" => ("MultiPolygon", 3),
        "GEOMETRYCOLLECTION" => {
            let members = if empty { Vec::new() } else { list(scan, |scan| shape(scan, depth.checked_sub(1)?))? };
            return Some(json!({"type": "GeometryCollection", "geometries": members}));
        }
        _ => return None,
    };
    let coordinates = match (levels, empty) {
        (_, true) => Json::Array(Vec::new()),
        (0, false) => {
            let point = list(scan, position)?;
            (point.len() == 1).then(|| point.into_iter().next())??
        }
        (levels, false) => nested(scan, levels)?,
    };
    Some(json!({"type": name, "coordinates": coordinates}))
}

/// A bracketed list of positions, or of such lists.
fn nested(scan: &mut Scan<'_>, levels: u32) -> Option<Json> {
    let members = if levels == 1 {
        list(scan, |scan| {
            // The points of a multipoint may have brackets of their own.
            let wrapped = scan.eat('(');
            let point = position(scan)?;
            (!wrapped || scan.eat(')')).then_some(point)
        })?
    } else {
        list(scan, |scan| nested(scan, levels - 1))?
    };
    Some(Json::Array(members))
}

fn list(scan: &mut Scan<'_>, mut member: impl FnMut(&mut Scan<'_>) -> Option<Json>) -> Option<Vec<Json>> {
    if !scan.eat('(') {
        return None;
    }
    let mut members = vec![member(scan)?];
    while scan.eat(',') {
        members.push(member(scan)?);
    }
    scan.eat(')').then_some(members)
}

fn position(scan: &mut Scan<'_>) -> Option<Json> {
    let mut numbers = vec![Json::from(scan.number()?), Json::from(scan.number()?)];
    let next = scan.rest.trim_start();
    if !next.starts_with([',', ')']) {
        numbers.push(Json::from(scan.number()?));
    }
    Some(Json::Array(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_spellings_are_one_geometry() {
        let check = |text: &str, expect: &str| {
            let bytes = geometry(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            let mut shown = String::new();
            wkb::to_wkt(&bytes, &mut shown).unwrap();
            assert_eq!(shown, expect, "{text}");
        };
        check("POINT (30 10)", "POINT (30 10)");
        check("point(30 10)", "POINT (30 10)");
        check("POINT Z (1 2 3)", "POINT Z (1 2 3)");
        check("LINESTRING (30 10, 10 30)", "LINESTRING (30 10, 10 30)");
        check("MULTIPOINT ((1 2), (3 4))", geometry_text("MULTIPOINT (1 2, 3 4)").as_str());
        check("POLYGON ((0 0, 1 0, 1 1, 0 0))", "POLYGON ((0 0, 1 0, 1 1, 0 0))");
        check("MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))", "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))");
        check("SRID=4326;POINT (1 2)", "POINT (1 2)");
        check(r#"{"type":"Point","coordinates":[30,10]}"#, "POINT (30 10)");
        check("0101000000000000000000F03F0000000000000040", "POINT (1 2)");
    }

    fn geometry_text(text: &str) -> String {
        let mut shown = String::new();
        wkb::to_wkt(&geometry(text.as_bytes()).unwrap(), &mut shown).unwrap();
        shown
    }

    #[test]
    fn other_text_is_no_geometry() {
        for text in ["", "POINT", "POINT (1)", "POINT (1 2) x", "CIRCLE (1 2)", "POINT M (1 2 3)", "{}", "0102"] {
            assert_eq!(geometry(text.as_bytes()), None, "{text}");
        }
    }
}
