//! One JSON object as one row: nested objects become columns `a.b`, arrays JSON text.

use std::collections::HashMap;

use portico_model::limits::IntakeLimits;
use portico_model::wkb;

use super::parse::{NotJson, Parser, Text};
use crate::cell::{Kind, Row, Span, Tally, narrow};

/// Between the keys of a path, and before those of a GeoJSON feature's own members: what it has beside its properties is
/// not one of them. A key that has it is refused.
const JOINT: char = '\u{1f}';
/// The path of a GeoJSON geometry.
const GEOMETRY: &str = "\u{1f}geometry";

/// Why an object is no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Syntax,
    /// More columns than the limit.
    Columns,
    /// In a GeoJSON file, an object that is no feature.
    NotAFeature,
    /// A geometry of more coordinates than a value may have bytes for.
    LongGeometry,
    /// A key with the character that stands between the keys of a path.
    Key,
}

impl From<NotJson> for Fault {
    fn from(_: NotJson) -> Self {
        Self::Syntax
    }
}

/// Turns objects into rows, and learns the columns while doing so.
pub(crate) struct Flattener {
    paths: Vec<String>,
    index: HashMap<String, usize>,
    spans: Vec<Span>,
    /// The row in which a column was last set.
    set_in: Vec<u64>,
    scratch: Vec<u8>,
    path: String,
    /// The column that most likely comes next: objects mostly have their keys in the same order.
    next: usize,
    row: u64,
    columns_max: usize,
    depth_max: u64,
    features: bool,
    pub(crate) repeated: Tally,
    pub(crate) outside: Tally,
    pub(crate) nuls: Tally,
    pub(crate) halves: Tally,
    /// Values in the tree of a geometry.
    coordinates_max: u64,
}

impl Flattener {
    /// A flattener within limits. A coordinate takes eight bytes as it is kept, and its pair one more value in the tree.
    pub(crate) fn new(features: bool, limits: &IntakeLimits) -> Self {
        let (columns_max, depth_max) = (narrow(limits.columns), limits.depth);
        let mut flattener = Self {
            paths: Vec::new(),
            index: HashMap::new(),
            spans: Vec::new(),
            set_in: Vec::new(),
            scratch: Vec::new(),
            path: String::new(),
            next: 0,
            row: 0,
            columns_max,
            depth_max,
            features,
            repeated: Tally::default(),
            outside: Tally::default(),
            nuls: Tally::default(),
            halves: Tally::default(),
            coordinates_max: (limits.cell_bytes / 5).max(1_000),
        };
        if features {
            flattener.add_column(GEOMETRY);
        }
        flattener
    }

    /// Whether the objects are GeoJSON features.
    pub(crate) fn reads_features(&self) -> bool {
        self.features
    }

    /// The columns' names in the order they were met.
    pub(crate) fn names(&self) -> Vec<String> {
        self.paths.iter().map(|path| path.trim_start_matches(JOINT).replace(JOINT, ".")).collect()
    }

    /// The row of the last [`Flattener::read`]. `element` is what was read.
    pub(crate) fn row<'a>(&'a self, element: &'a [u8]) -> Row<'a> {
        Row { base: element, scratch: &self.scratch, spans: &self.spans }
    }

    /// Reads an object.
    pub(crate) fn read(&mut self, element: &[u8], row: u64) -> Result<(), Fault> {
        self.row = row;
        self.next = 0;
        self.scratch.clear();
        self.path.clear();
        self.spans.fill(Span::NULL);
        let mut parser = Parser::new(element);
        let depth = self.depth_max;
        let features = self.features;
        let mut is_feature = false;
        self.object(&mut parser, |flattener, parser| {
            if !features {
                return flattener.value(element, parser, depth);
            }
            match flattener.path.as_str() {
                "type" => {
                    let mut out = Vec::new();
                    parser.compact(&mut out, depth)?;
                    is_feature = out == b"\"Feature\"";
                    Ok(())
                }
                "geometry" => flattener.geometry(parser),
                "bbox" => Ok(parser.compact(&mut Vec::new(), depth)?),
                "properties" if parser.peek() == Some(b'{') => {
                    flattener.path.clear();
                    flattener.object(parser, |flattener, parser| flattener.value(element, parser, depth))
                }
                "properties" => Ok(parser.compact(&mut Vec::new(), depth)?),
                _ => {
                    flattener.path.insert(0, JOINT);
                    flattener.value(element, parser, depth)
                }
            }
        })?;
        if features && !is_feature {
            return Err(Fault::NotAFeature);
        }
        if parser.halves > 0 {
            self.halves.add(row);
        }
        if parser.is_at_end() { Ok(()) } else { Err(Fault::Syntax) }
    }

    /// Reads an object; for each member the path is extended by its key.
    fn object(
        &mut self,
        parser: &mut Parser<'_>,
        mut member: impl FnMut(&mut Self, &mut Parser<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        parser.expect(b'{')?;
        let base = self.path.len();
        let mut first = true;
        let mut out = Vec::new();
        while !parser.eat(b'}') {
            if !std::mem::take(&mut first) {
                parser.expect(b',')?;
            }
            out.clear();
            let key = parser.string(&mut out)?;
            if base > 0 {
                self.path.push(JOINT);
            }
            let bytes = match key {
                Text::Raw(start, end) => parser.slice(start, end),
                Text::Unescaped(start, end) => out.get(start..end).unwrap_or_default(),
            };
            let text = String::from_utf8_lossy(bytes);
            if text.contains(JOINT) {
                return Err(Fault::Key);
            }
            self.path.push_str(&text);
            parser.expect(b':')?;
            member(self, parser)?;
            self.path.truncate(base);
        }
        Ok(())
    }

    fn value(&mut self, element: &[u8], parser: &mut Parser<'_>, depth: u64) -> Result<(), Fault> {
        let span = match parser.peek().ok_or(Fault::Syntax)? {
            b'{' => {
                let depth = depth.checked_sub(1).ok_or(Fault::Syntax)?;
                return self.object(parser, |flattener, parser| flattener.value(element, parser, depth));
            }
            b'[' => {
                let start = self.scratch.len();
                let mut scratch = std::mem::take(&mut self.scratch);
                let compacted = parser.compact(&mut scratch, depth);
                self.scratch = scratch;
                compacted?;
                Span { start, end: self.scratch.len(), scratch: true, kind: Kind::Json }
            }
            b'"' => match parser.string(&mut self.scratch)? {
                Text::Raw(start, end) => Span { start, end, scratch: false, kind: Kind::Text },
                Text::Unescaped(start, end) => self.without_nuls(start, end),
            },
            _ => {
                let (start, end) = parser.scalar()?;
                match element.get(start..end).unwrap_or_default() {
                    b"null" => Span::NULL,
                    b"true" | b"false" => Span { start, end, scratch: false, kind: Kind::Boolean },
                    _ => Span { start, end, scratch: false, kind: Kind::Number },
                }
            }
        };
        self.set(span)
    }

    fn without_nuls(&mut self, start: usize, end: usize) -> Span {
        if memchr::memchr(0, self.scratch.get(start..end).unwrap_or_default()).is_some() {
            self.nuls.add(self.row);
            let kept = self.scratch.split_off(start);
            self.scratch.extend(kept.into_iter().filter(|byte| *byte != 0));
        }
        Span { start, end: self.scratch.len(), scratch: true, kind: Kind::Text }
    }

    fn geometry(&mut self, parser: &mut Parser<'_>) -> Result<(), Fault> {
        parser.values_left = self.coordinates_max;
        let tree = parser.tree(self.depth_max);
        let exhausted = tree.is_err() && parser.values_left == 0;
        parser.values_left = u64::MAX;
        let tree = if exhausted { return Err(Fault::LongGeometry) } else { tree? };
        let span = if tree.is_null() {
            Span::NULL
        } else {
            let start = self.scratch.len();
            let kind = match wkb::from_geojson(&tree) {
                Ok(bytes) => {
                    let outside = |[west, south, east, north]: [f64; 4]| {
                        west < -180.0 || east > 180.0 || south < -90.0 || north > 90.0
                    };
                    if wkb::bounds(&bytes).is_some_and(outside) {
                        self.outside.add(self.row);
                    }
                    self.scratch.extend_from_slice(&bytes);
                    Kind::Wkb
                }
                Err(_) => {
                    // A cell without bytes would be null; this one is to be counted.
                    self.scratch.push(0);
                    Kind::BadGeometry
                }
            };
            Span { start, end: self.scratch.len(), scratch: true, kind }
        };
        self.path.clear();
        self.path.push_str(GEOMETRY);
        self.set(span)
    }

    fn set(&mut self, span: Span) -> Result<(), Fault> {
        let column = match self.paths.get(self.next) {
            Some(path) if *path == self.path => self.next,
            _ => match self.index.get(&self.path) {
                Some(column) => *column,
                None if self.paths.len() >= self.columns_max => return Err(Fault::Columns),
                None => {
                    let path = std::mem::take(&mut self.path);
                    let column = self.add_column(&path);
                    self.path = path;
                    column
                }
            },
        };
        if let Some(set_in) = self.set_in.get_mut(column) {
            if *set_in == self.row {
                self.repeated.add(self.row);
            }
            *set_in = self.row;
        }
        if let Some(place) = self.spans.get_mut(column) {
            *place = span;
        }
        self.next = column + 1;
        Ok(())
    }

    fn add_column(&mut self, path: &str) -> usize {
        let column = self.paths.len();
        self.paths.push(path.to_owned());
        self.index.insert(path.to_owned(), column);
        self.spans.push(Span::NULL);
        self.set_in.push(0);
        column
    }
}
