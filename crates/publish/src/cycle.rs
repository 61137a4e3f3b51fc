//! When a source is read next: the times of a cron expression on the clock of a place, a little apart from each other's.

use std::str::FromStr as _;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use portico_model::name::DatasetName;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::PublishError;

/// Longest jitter, in seconds: an hour.
const JITTER_S_MAX: u32 = 3_600;

/// When a source is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cycle {
    /// Minute, hour, day of the month, month, day of the week, such as `30 2 * * 1-5`.
    pub cron: String,
    /// The place whose clock it means, by its name in the IANA time zone database. A time that the clock skips is when it
    /// goes on; one that it shows twice is the first for a fixed time.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// Seconds after that within which it is read: many sources at one hour shall not come at one second. Which second
    /// does not change when it is asked again.
    #[serde(default)]
    pub jitter_s: u32,
}

fn utc() -> String {
    "UTC".to_owned()
}

impl Cycle {
    /// Whether it makes sense.
    pub(crate) fn check(&self) -> Result<(), PublishError> {
        if self.jitter_s > JITTER_S_MAX {
            return Err(PublishError::BadSource(format!("jitter_s is at most {JITTER_S_MAX}")));
        }
        self.parsed().map(drop)
    }

    /// The first time after `after_ms`, in milliseconds since the epoch; none when there is none any more.
    pub(crate) fn next_ms(&self, dataset: &DatasetName, after_ms: i64) -> Result<Option<i64>, PublishError> {
        let (cron, zone) = self.parsed()?;
        let Some(after) = DateTime::<Utc>::from_timestamp_millis(after_ms) else { return Ok(None) };
        let Ok(next) = cron.find_next_occurrence(&after.with_timezone(&zone), false) else { return Ok(None) };
        let next_ms = next.timestamp_millis();
        Ok(Some(next_ms.saturating_add(spread(&[dataset.as_str(), &next_ms.to_string()], self.jitter_s))))
    }

    fn parsed(&self) -> Result<(Cron, Tz), PublishError> {
        let bad = |what: &str| PublishError::BadSource(what.to_owned());
        if self.cron.split_whitespace().count() != 5 {
            let what =
                "cron has five fields: minute, hour, day of the month, month, day of the week, such as 30 2 * * 1-5";
            return Err(bad(what));
        }
        let cron = Cron::from_str(&self.cron).map_err(|_| bad("cron is no cron expression, such as 30 2 * * 1-5"))?;
        let zone = self.time_zone.parse().map_err(|_| bad("time_zone is no time zone, such as America/New_York"))?;
        Ok((cron, zone))
    }
}

/// Milliseconds from 0 up to so many seconds, always the same for the same words.
fn spread(words: &[&str], seconds: u32) -> i64 {
    let digest = Sha256::digest(words.join("\0"));
    let drawn = digest.iter().take(6).fold(0_i64, |drawn, byte| drawn.wrapping_mul(256).wrapping_add(i64::from(*byte)));
    drawn.checked_rem_euclid(i64::from(seconds).saturating_mul(1_000)).unwrap_or(0)
}

/// How long to wait before a run that failed so many times is tried again: twice as long each time, and a part of it
/// drawn, so that those that failed together do not come together.
pub(crate) fn wait_ms(dataset: &DatasetName, failures: u32, (first_ms, most_ms): (u64, u64), now_ms: i64) -> i64 {
    let doubled = first_ms.saturating_mul(1_u64.checked_shl(failures.saturating_sub(1).min(32)).unwrap_or(u64::MAX));
    let whole = i64::try_from(doubled.min(most_ms)).unwrap_or(i64::MAX);
    let drawn = spread(&[dataset.as_str(), &failures.to_string(), &now_ms.to_string()], 1_000);
    whole / 2 + (whole / 2).saturating_mul(drawn) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, zone: &str, after: &str) -> Option<String> {
        let cycle = Cycle { cron: cron.to_owned(), time_zone: zone.to_owned(), jitter_s: 0 };
        let after = DateTime::parse_from_rfc3339(after).unwrap().timestamp_millis();
        let next = cycle.next_ms(&DatasetName::parse("trees").unwrap(), after).unwrap()?;
        Some(DateTime::<Utc>::from_timestamp_millis(next).unwrap().to_rfc3339())
    }

    #[test]
    fn a_place_has_its_own_clock() {
        let new_york = |after| next("30 2 * * *", "America/New_York", after).unwrap();
        assert_eq!(new_york("2026-01-10T00:00:00Z"), "2026-01-10T07:30:00+00:00");
        // The very moment is over.
        assert_eq!(new_york("2026-01-10T07:30:00Z"), "2026-01-11T07:30:00+00:00");
        assert_eq!(new_york("2026-07-10T00:00:00Z"), "2026-07-10T06:30:00+00:00");
        assert_eq!(next("0 9 * * 1", "Europe/Berlin", "2026-01-02T00:00:00Z").unwrap(), "2026-01-05T08:00:00+00:00");
    }

    #[test]
    fn a_time_that_the_clock_skips_or_shows_twice_comes_once() {
        // On 8 March the clock goes from 02:00 to 03:00, on 1 November from 02:00 back to 01:00.
        for (cron, day, following) in
            [("30 2 * * *", "2026-03-08T06:00:00Z", "2026-03-09"), ("30 1 * * *", "2026-11-01T04:00:00Z", "2026-11-02")]
        {
            let first = next(cron, "America/New_York", day).unwrap();
            assert!(first.starts_with(day.split('T').next().unwrap()), "{cron}: {first}");
            let second = next(cron, "America/New_York", &first).unwrap();
            assert!(second.starts_with(following), "{cron}: {first}, {second}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_what_never_comes_is_none() {
        let check = |cron: &str, time_zone: &str, jitter_s| {
            Cycle { cron: cron.to_owned(), time_zone: time_zone.to_owned(), jitter_s }.check().is_ok()
        };
        assert!(check("*/5 * * * *", "UTC", 0));
        for (cron, zone, jitter) in [
            ("", "UTC", 0),
            ("* * * *", "UTC", 0),
            ("* * * * * *", "UTC", 0),
            ("61 * * * *", "UTC", 0),
            ("0 0 * * *", "Moon/Sea_of_Tranquility", 0),
            ("0 0 * * *", "UTC", 3_601),
        ] {
            assert!(!check(cron, zone, jitter), "{cron} {zone} {jitter}");
        }
        assert_eq!(next("0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z"), None);
    }

    #[test]
    fn jitter_and_waits_are_bounded_and_repeat() {
        let cycle = Cycle { cron: "0 2 * * *".to_owned(), time_zone: utc(), jitter_s: 600 };
        let exact = Cycle { jitter_s: 0, ..cycle.clone() };
        let mut seen = std::collections::BTreeSet::new();
        for name in ["trees", "permits", "stops", "parks"] {
            let name = DatasetName::parse(name).unwrap();
            let late = cycle.next_ms(&name, 0).unwrap().unwrap() - exact.next_ms(&name, 0).unwrap().unwrap();
            assert!((0..600_000).contains(&late), "{late}");
            assert_eq!(cycle.next_ms(&name, 0).unwrap(), cycle.next_ms(&name, 1).unwrap());
            seen.insert(late);
            for failures in 1..40 {
                let whole = 60_000_i64.saturating_mul(1 << (failures - 1).min(6)).min(3_600_000);
                let waited = wait_ms(&name, failures, (60_000, 3_600_000), 7);
                assert!(waited >= whole / 2 && waited <= whole, "{failures}: {waited} of {whole}");
            }
        }
        assert!(seen.len() > 1);
    }
}
