//! How often a dataset is refreshed: ISO 8601 durations and repeating intervals, as metadata write them.

use chrono::{DateTime, Months, TimeDelta};

/// A period: `P1M`, `R/P1Y`, `R/2026-01-01/P2W`, `PT6H`. Months are as long as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    months: u32,
    seconds: i64,
}

impl Period {
    /// Reads a period; none for anything else (`irregular`), for fractions and for no time at all.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let duration = match text.strip_prefix('R') {
            Some(repeats) => {
                let (count, interval) = repeats.split_once('/')?;
                count.chars().all(|c| c.is_ascii_digit()).then_some(())?;
                // A start may stand before the period: refreshes are counted from the last one all the same.
                interval.rsplit('/').next()?
            }
            None => text,
        };
        let (days, time) = match duration.strip_prefix('P')?.split_once('T') {
            Some((days, time)) if !time.is_empty() => (days, time),
            Some(_) => return None,
            None => (duration.strip_prefix('P')?, ""),
        };
        let mut period = Self { months: 0, seconds: 0 };
        for (number, unit) in parts(days)? {
            match unit {
                'Y' => period.months = period.months.checked_add(u32::try_from(number).ok()?.checked_mul(12)?)?,
                'M' => period.months = period.months.checked_add(u32::try_from(number).ok()?)?,
                'W' => period.add(number, 7 * 86_400)?,
                'D' => period.add(number, 86_400)?,
                _ => return None,
            }
        }
        for (number, unit) in parts(time)? {
            match unit {
                'H' => period.add(number, 3_600)?,
                'M' => period.add(number, 60)?,
                'S' => period.add(number, 1)?,
                _ => return None,
            }
        }
        (period.months > 0 || period.seconds > 0).then_some(period)
    }

    /// The moment that is a period later, in milliseconds since the epoch.
    pub(crate) fn after(self, ms: i64) -> Option<i64> {
        let moment = DateTime::from_timestamp_millis(ms)?.checked_add_months(Months::new(self.months))?;
        Some(moment.checked_add_signed(TimeDelta::try_seconds(self.seconds)?)?.timestamp_millis())
    }

    fn add(&mut self, number: i64, seconds: i64) -> Option<()> {
        self.seconds = self.seconds.checked_add(number.checked_mul(seconds)?)?;
        Some(())
    }
}

/// Numbers with their units: `1Y6M`.
fn parts(text: &str) -> Option<Vec<(i64, char)>> {
    let mut parts = Vec::new();
    let mut digits = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
        } else {
            parts.push((digits.parse().ok()?, c));
            digits.clear();
        }
    }
    digits.is_empty().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::timestamp;

    #[test]
    fn periods_are_read_and_added() {
        // 2024-01-31T00:00:00Z
        let start = 1_706_659_200_000;
        for (text, next) in [
            ("R/P1M", "2024-02-29T00:00:00Z"),
            ("P1Y", "2025-01-31T00:00:00Z"),
            ("R5/2020-01-01/P1W", "2024-02-07T00:00:00Z"),
            (" R/P1Y6M ", "2025-07-31T00:00:00Z"),
            ("PT6H30M", "2024-01-31T06:30:00Z"),
            ("P1DT1S", "2024-02-01T00:00:01Z"),
        ] {
            let period = Period::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(timestamp(period.after(start).unwrap()), next, "{text}");
        }
        for text in
            ["", "irregular", "P", "PT", "R/P", "P1", "P0D", "P1.5D", "P-1D", "1M", "Rx/P1M", "P99999999999Y", "P1S"]
        {
            assert_eq!(Period::parse(text), None, "{text}");
        }
    }
}
