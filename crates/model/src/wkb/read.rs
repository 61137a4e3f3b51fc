//! Walks through WKB and tells a [`Sink`] what is there, without building anything.

use super::{DEPTH_MAX, WkbError};

/// The seven kinds of geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Point,
    LineString,
    Polygon,
    MultiPoint,
    MultiLineString,
    MultiPolygon,
    Collection,
}

impl Kind {
    fn from_code(code: u32) -> Result<Self, WkbError> {
        Ok(match code {
            1 => Self::Point,
            2 => Self::LineString,
            3 => Self::Polygon,
            4 => Self::MultiPoint,
            5 => Self::MultiLineString,
            6 => Self::MultiPolygon,
            7 => Self::Collection,
            _ => return Err(WkbError::UnknownKind),
        })
    }

    /// The kind of the members of a multi-geometry.
    fn member(self) -> Option<Self> {
        match self {
            Self::MultiPoint => Some(Self::Point),
            Self::MultiLineString => Some(Self::LineString),
            Self::MultiPolygon => Some(Self::Polygon),
            Self::Point | Self::LineString | Self::Polygon | Self::Collection => None,
        }
    }
}

/// Which numbers a position has besides x and y.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dimensions {
    pub(super) z: bool,
    pub(super) m: bool,
}

impl Dimensions {
    fn position_bytes(self) -> usize {
        16 + 8 * usize::from(self.z) + 8 * usize::from(self.m)
    }
}

/// One position; numbers that it has not are `None`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) z: Option<f64>,
    pub(super) m: Option<f64>,
}

impl Position {
    /// WKB has no empty point; all NaN stands for it.
    fn is_empty(&self) -> bool {
        self.x.is_nan() && self.y.is_nan()
    }
}

/// What hears of a geometry's parts, in their order.
pub(super) trait Sink {
    /// Whether outer rings are to run counterclockwise and holes clockwise, however they are stored: the right-hand
    /// rule of RFC 7946, section 3.1.6.
    fn right_hand_rule(&self) -> bool;
    /// A geometry that names its kind begins: the outermost, or a collection's member.
    fn open(&mut self, kind: Kind, dimensions: Dimensions);
    /// It ends.
    fn close(&mut self);
    /// It, or a part of it, is empty.
    fn empty(&mut self);
    /// A list of one or more parts begins.
    fn list(&mut self);
    /// Another part of the list comes.
    fn next(&mut self);
    /// The list ends.
    fn end_list(&mut self);
    /// The position of a point.
    fn point(&mut self, position: &Position) -> Result<(), WkbError>;
    /// A position of a line or ring.
    fn vertex(&mut self, position: &Position) -> Result<(), WkbError>;
}

/// Walks through one geometry that is all of `bytes`.
pub(super) fn walk(bytes: &[u8], sink: &mut impl Sink) -> Result<(), WkbError> {
    let mut reader = Reader { rest: bytes };
    reader.geometry(sink, 0)?;
    if reader.rest.is_empty() { Ok(()) } else { Err(WkbError::TrailingBytes) }
}

struct Header {
    little: bool,
    kind: Kind,
    dimensions: Dimensions,
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn geometry(&mut self, sink: &mut impl Sink, depth: usize) -> Result<(), WkbError> {
        if depth >= DEPTH_MAX {
            return Err(WkbError::TooDeep);
        }
        let header = self.header()?;
        sink.open(header.kind, header.dimensions);
        self.body(&header, sink, depth)?;
        sink.close();
        Ok(())
    }

    fn body(&mut self, header: &Header, sink: &mut impl Sink, depth: usize) -> Result<(), WkbError> {
        match header.kind {
            Kind::Point => {
                let position = self.position(header)?;
                if position.is_empty() {
                    sink.empty();
                    return Ok(());
                }
                sink.point(&position)
            }
            Kind::LineString => self.line(header, sink),
            Kind::Polygon => {
                let mut outer = true;
                // A ring is at least its own count.
                self.parts(header, 4, sink, |reader, sink| reader.ring(header, std::mem::take(&mut outer), sink))
            }
            Kind::MultiPoint | Kind::MultiLineString | Kind::MultiPolygon => {
                // A member is at least its byte order, kind and count.
                self.parts(header, 9, sink, |reader, sink| {
                    let member = reader.header()?;
                    if Some(member.kind) != header.kind.member() || member.dimensions != header.dimensions {
                        return Err(WkbError::Member);
                    }
                    reader.body(&member, sink, depth)
                })
            }
            Kind::Collection => self.parts(header, 9, sink, |reader, sink| reader.geometry(sink, depth + 1)),
        }
    }

    fn line(&mut self, header: &Header, sink: &mut impl Sink) -> Result<(), WkbError> {
        self.parts(header, header.dimensions.position_bytes(), sink, |reader, sink| {
            let position = reader.position(header)?;
            sink.vertex(&position)
        })
    }

    fn ring(&mut self, header: &Header, outer: bool, sink: &mut impl Sink) -> Result<(), WkbError> {
        let ring = Reader { rest: self.rest };
        let turned = sink.right_hand_rule() && ring.turns_left(header)?.is_some_and(|left| left != outer);
        if !turned {
            return self.line(header, sink);
        }
        let bytes = header.dimensions.position_bytes();
        let mut left = Reader { rest: self.rest }.number(header.little).map(usize::try_from)?.unwrap_or(0);
        let positions = self.rest.get(size_of::<u32>()..).unwrap_or_default();
        self.parts(header, bytes, sink, |reader, sink| {
            reader.position(header)?;
            left = left.saturating_sub(1);
            let rest = positions.get(left.saturating_mul(bytes)..).unwrap_or_default();
            sink.vertex(&Reader { rest }.position(header)?)
        })
    }

    /// Whether the ring that begins here runs counterclockwise; `None` where it encloses nothing.
    fn turns_left(mut self, header: &Header) -> Result<Option<bool>, WkbError> {
        let count = self.number(header.little)?;
        let (mut first, mut last, mut doubled_area) = (None, None, 0.0);
        for _ in 0..count {
            let Position { x, y, .. } = self.position(header)?;
            // Seen from the first position, so that far from the origin no digits are lost.
            let (x0, y0) = *first.get_or_insert((x, y));
            let (x, y) = (x - x0, y - y0);
            let (x_before, y_before) = last.replace((x, y)).unwrap_or((x, y));
            doubled_area += x_before * y - x * y_before;
        }
        Ok((doubled_area != 0.0 && f64::is_finite(doubled_area)).then_some(doubled_area > 0.0))
    }

    /// Reads a count and that many parts, of at least `part_bytes` each.
    fn parts<S: Sink>(
        &mut self,
        header: &Header,
        part_bytes: usize,
        sink: &mut S,
        mut part: impl FnMut(&mut Self, &mut S) -> Result<(), WkbError>,
    ) -> Result<(), WkbError> {
        let count = usize::try_from(self.number(header.little)?).map_err(|_| WkbError::Truncated)?;
        if count > self.rest.len() / part_bytes {
            return Err(WkbError::Truncated);
        }
        if count == 0 {
            sink.empty();
            return Ok(());
        }
        sink.list();
        for index in 0..count {
            if index > 0 {
                sink.next();
            }
            part(self, sink)?;
        }
        sink.end_list();
        Ok(())
    }

    fn header(&mut self) -> Result<Header, WkbError> {
        let little = match self.take::<1>()? {
            [0] => false,
            [1] => true,
            _ => return Err(WkbError::ByteOrder),
        };
        let code = self.number(little)?;
        // EWKB keeps its flags in the top bits, ISO counts in thousands.
        let (flags, code) = (code >> 29, code & 0x1FFF_FFFF);
        let (thousands, kind) = (code / 1000, Kind::from_code(code % 1000)?);
        if thousands > 3 {
            return Err(WkbError::UnknownKind);
        }
        if flags & 1 != 0 {
            self.take::<4>()?;
        }
        let z = flags & 4 != 0 || thousands & 1 != 0;
        let m = flags & 2 != 0 || thousands & 2 != 0;
        Ok(Header { little, kind, dimensions: Dimensions { z, m } })
    }

    fn position(&mut self, header: &Header) -> Result<Position, WkbError> {
        let x = self.double(header.little)?;
        let y = self.double(header.little)?;
        let z = if header.dimensions.z { Some(self.double(header.little)?) } else { None };
        let m = if header.dimensions.m { Some(self.double(header.little)?) } else { None };
        Ok(Position { x, y, z, m })
    }

    fn number(&mut self, little: bool) -> Result<u32, WkbError> {
        let bytes = self.take()?;
        Ok(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn double(&mut self, little: bool) -> Result<f64, WkbError> {
        let bytes = self.take()?;
        Ok(if little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], WkbError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(WkbError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }
}
