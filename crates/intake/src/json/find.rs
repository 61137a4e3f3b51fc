//! Finds where in a JSON text the rows are.

use portico_model::limits::IntakeLimits;

use super::Place;
use super::cursor::{Cursor, damaged};
use super::parse::{NotJson, Parser, Text};
use crate::cell::wide;
use crate::error::IntakeError;

/// Levels of nesting that are looked into for GeoJSON: geometries have five.
const DEPTH: u64 = 64;

/// Tells where the rows are, and whether they are GeoJSON features.
pub(crate) fn place(cursor: &mut Cursor, limits: &IntakeLimits) -> Result<(Place, bool), IntakeError> {
    match cursor.peek()? {
        None => Err(IntakeError::Empty("it holds nothing but white space")),
        Some(b'[') => {
            cursor.expect(b'[')?;
            match cursor.peek()? {
                Some(b']') => Err(IntakeError::Empty("the JSON array has no elements")),
                Some(b'{') => Ok((Place::Array, is_feature(cursor.value()?))),
                Some(b'[') => Err(not_objects("an array of arrays")),
                _ => Err(not_objects("an array of plain values")),
            }
        }
        Some(b'{') => in_object(cursor, limits),
        Some(_) => Err(not_objects("a plain value")),
    }
}

fn not_objects(what: &str) -> IntakeError {
    IntakeError::NotATable(format!("it is {what}; rows are objects, one a line or in an array"))
}

pub(super) fn several() -> IntakeError {
    IntakeError::NotATable("it holds several arrays of objects; bring the one that is the table".to_owned())
}

/// What the first object of the text shows.
#[derive(Default)]
struct Seen {
    arrays: Vec<(String, bool)>,
    is_feature: bool,
    has_geometry: bool,
    is_collection: bool,
    several: bool,
}

fn in_object(cursor: &mut Cursor, limits: &IntakeLimits) -> Result<(Place, bool), IntakeError> {
    let mut seen = Seen::default();
    cursor.expect(b'{')?;
    let mut first = true;
    while !cursor.eat(b'}')? {
        if !std::mem::take(&mut first) {
            cursor.expect(b',')?;
        }
        let key = key(cursor)?;
        match cursor.peek()? {
            Some(b'[') => match array_of_objects(cursor, limits.row_bytes)? {
                Elements::Objects { complete: false, .. } if !seen.arrays.is_empty() => return Err(several()),
                // A row is not as long as this, so the object is the wrapping of the rows. What follows in it is looked
                // at after the rows.
                Elements::Objects { features, complete: false } => return Ok((Place::Member(key), features)),
                Elements::Objects { features, complete: true } => {
                    seen.several |= !seen.arrays.is_empty();
                    seen.arrays.push((key, features));
                }
                Elements::Others => seen.is_collection |= key == "features",
            },
            Some(b'"') if key == "type" => seen.is_feature |= cursor.value()? == b"\"Feature\"",
            _ => {
                seen.has_geometry |= key == "geometry";
                cursor.skip_value()?;
            }
        }
    }
    if cursor.peek()?.is_some() {
        return Ok((Place::Sequence, seen.is_feature && seen.has_geometry));
    }
    match seen.arrays.pop() {
        Some(_) if seen.several => Err(several()),
        Some((key, features)) => Ok((Place::Member(key), features)),
        None if seen.is_collection => Err(IntakeError::Empty("the FeatureCollection has no features")),
        None => Ok((Place::Sequence, seen.is_feature && seen.has_geometry)),
    }
}

/// What an array holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elements {
    Objects {
        /// Whether the first is a GeoJSON feature.
        features: bool,
        /// Whether the array was passed to its end.
        complete: bool,
    },
    Others,
}

/// Passes an array, or leaves it when it is longer than so many bytes.
pub(super) fn array_of_objects(cursor: &mut Cursor, bytes_max: u64) -> Result<Elements, IntakeError> {
    let start = cursor.text().position();
    cursor.expect(b'[')?;
    let features = match cursor.peek()? {
        Some(b'{') => Some(is_feature(cursor.value()?)),
        _ => None,
    };
    let mut complete = true;
    while !cursor.eat(b']')? {
        if cursor.text().position().saturating_sub(start) > bytes_max && features.is_some() {
            complete = false;
            break;
        }
        if !cursor.eat(b',')? {
            cursor.skip_value()?;
        }
    }
    Ok(features.map_or(Elements::Others, |features| Elements::Objects { features, complete }))
}

/// Looks at an object's own members: a tree of all that is in them could be many times their size.
fn is_feature(element: &[u8]) -> bool {
    let mut parser = Parser::new(element);
    let (mut feature, mut geometry, mut first) = (false, false, true);
    let mut members = || -> Result<(), NotJson> {
        parser.expect(b'{')?;
        let mut out = Vec::new();
        while !parser.eat(b'}') {
            if !std::mem::take(&mut first) {
                parser.expect(b',')?;
            }
            out.clear();
            parser.compact(&mut out, 1)?;
            let (is_type, is_geometry) = (out == b"\"type\"", out == b"\"geometry\"");
            parser.expect(b':')?;
            out.clear();
            parser.compact(&mut out, DEPTH)?;
            feature |= is_type && out == b"\"Feature\"";
            geometry |= is_geometry;
        }
        Ok(())
    };
    members().is_ok() && feature && geometry
}

/// Reads a member's key and the colon after it.
pub(super) fn key(cursor: &mut Cursor) -> Result<String, IntakeError> {
    if cursor.peek()? != Some(b'"') {
        return Err(damaged("an object's key is missing"));
    }
    let text = cursor.value()?;
    let mut out = Vec::new();
    let found = Parser::new(text).string(&mut out).map_err(|_| damaged("an object's key is not well-formed"))?;
    let bytes = match found {
        Text::Raw(start, end) => text.get(start..end).unwrap_or_default(),
        Text::Unescaped(start, end) => out.get(start..end).unwrap_or_default(),
    };
    let key = String::from_utf8_lossy(bytes).into_owned();
    if wide(key.len()) > 4096 {
        return Err(damaged("an object's key is longer than 4,096 bytes"));
    }
    cursor.expect(b':')?;
    Ok(key)
}
