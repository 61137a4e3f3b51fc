//! Times as people write them: RFC 3339, or the clock on the wall of a time zone.

use chrono::offset::LocalResult;
use chrono::{DateTime, NaiveDateTime, TimeZone as _};
use chrono_tz::Tz;

use crate::error::PublishError;

/// How a wall clock's time may be written.
const WALL: [&str; 4] = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"];

/// The moment of a text, in milliseconds since the epoch: `2026-12-01T09:00:00-05:00`, `2026-12-01T14:00Z`,
/// `2026-12-01T09:00` on the clocks of `zone`, or `2026-12-01T09:00 America/New_York` on those of another.
///
/// # Errors
/// [`PublishError::BadTime`] for what is none of these, and for a time that the clocks of the zone skip or show twice.
pub(crate) fn moment(text: &str, zone: Tz) -> Result<i64, PublishError> {
    let text = text.trim();
    // An offset may follow minutes as well as seconds.
    let with_seconds = format!("{}:00{}", text.get(..16).unwrap_or_default(), text.get(16..).unwrap_or_default());
    for written in [text, with_seconds.as_str()] {
        if let Ok(moment) = DateTime::parse_from_rfc3339(written) {
            return Ok(moment.timestamp_millis());
        }
    }
    let (wall, zone) = match text.rsplit_once(' ') {
        Some((wall, name)) if name.contains(|c: char| c.is_ascii_alphabetic()) => {
            (wall.trim_end(), name.parse::<Tz>().map_err(|_| no_zone(name))?)
        }
        _ => (text, zone),
    };
    let parsed = WALL.iter().find_map(|format| NaiveDateTime::parse_from_str(wall, format).ok());
    let wall = parsed.ok_or_else(|| {
        bad("a time is written 2026-12-01T09:00, 2026-12-01T09:00:00-05:00 or 2026-12-01T09:00 America/New_York")
    })?;
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(moment) => Ok(moment.timestamp_millis()),
        LocalResult::None => Err(bad("the clocks of the time zone skip that time: say another, or give the offset")),
        LocalResult::Ambiguous(..) => {
            Err(bad("the clocks of the time zone show that time twice: give the offset, such as -05:00"))
        }
    }
}

fn no_zone(name: &str) -> PublishError {
    let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    PublishError::BadTime(format!("there is no time zone {name:?}; one is called as America/New_York"))
}

fn bad(text: &str) -> PublishError {
    PublishError::BadTime(text.to_owned())
}

#[cfg(test)]
mod tests {
    use chrono_tz::America::New_York;

    use super::*;

    fn read(text: &str) -> Option<String> {
        let ms = moment(text, New_York).ok()?;
        Some(DateTime::from_timestamp_millis(ms).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, meant) in [
            ("2026-12-01T09:00", "2026-12-01T14:00:00Z"),
            ("2026-07-01 09:00:30", "2026-07-01T13:00:30Z"),
            ("2026-12-01T09:00:00-05:00", "2026-12-01T14:00:00Z"),
            ("2026-12-01T09:00-05:00", "2026-12-01T14:00:00Z"),
            ("2026-12-01T14:00Z", "2026-12-01T14:00:00Z"),
            (" 2026-12-01T09:00 Europe/Berlin ", "2026-12-01T08:00:00Z"),
            // Given the offset, a time that comes twice is one.
            ("2026-11-01T01:30-05:00", "2026-11-01T06:30:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(meant), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_or_two_is_refused() {
        for text in
            ["", "tomorrow", "2026-12-01", "2026-13-01T09:00", "2026-12-01T09:00 Mars/Phobos", "2026-12-01T9:00é"]
        {
            assert!(moment(text, New_York).is_err(), "{text}");
        }
        // The clocks go forward over the first, and back over the second.
        for text in ["2026-03-08T02:30", "2026-11-01T01:30"] {
            assert!(matches!(moment(text, New_York), Err(PublishError::BadTime(_))), "{text}");
        }
    }
}
