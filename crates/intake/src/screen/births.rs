//! Dates that spread like dates of birth.

use super::tally::Tally;
use crate::profile::convert::count;

/// Years that are counted, from [`FIRST_YEAR`] on.
const YEARS: usize = 256;
const FIRST_YEAR: i64 = 1850;
/// Years between the tenth and the ninetieth of a hundred dates, in order: what people of all ages have, and records of what
/// happened do not.
const SPREAD_YEARS: u64 = 30;
/// Dates on the first of January are years that somebody wrote as dates; more than one in this many is no accident.
const NEW_YEAR_SHARE: u64 = 10;

/// Counts dates by their year.
#[derive(Default)]
pub(super) struct Births {
    years: Vec<u64>,
    total: u64,
    new_years: u64,
    pub(super) tally: Tally,
}

impl Births {
    /// Adds a day, in days since 1970-01-01.
    pub(super) fn add(&mut self, day: i32, row: u64) {
        if self.years.is_empty() {
            self.years = vec![0; YEARS];
        }
        self.total += 1;
        let year = (i64::from(day) * 400).div_euclid(146_097) + 1970;
        let in_year = i64::from(day) - (year - 1970) * 146_097 / 400;
        self.new_years += u64::from((-1..=1).contains(&in_year));
        let slot = usize::try_from(year - FIRST_YEAR).ok().and_then(|place| self.years.get_mut(place));
        if let Some(slot) = slot {
            *slot += 1;
            self.tally.add(row);
        }
    }

    /// Whether the dates spread over decades, none out of reach of the living and few of them New Year's days.
    pub(super) fn spread(&self) -> bool {
        let counted: u64 = self.years.iter().sum();
        let at = |part: u64| {
            let mut left = counted * part / 100;
            self.years.iter().position(|count| {
                let here = *count > left;
                left = left.saturating_sub(*count);
                here
            })
        };
        let old = usize::try_from(1900 - FIRST_YEAR).unwrap_or(0);
        let (Some(first), Some(low), Some(high)) = (at(0), at(10), at(90)) else { return false };
        counted == self.total
            && first >= old
            && count(high - low) >= SPREAD_YEARS
            && self.new_years * NEW_YEAR_SHARE <= self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(days: impl Iterator<Item = i32>) -> bool {
        let mut births = Births::default();
        days.zip(1..).for_each(|(day, row)| births.add(day, row));
        births.spread()
    }

    #[test]
    fn dates_of_birth_spread_and_others_do_not() {
        assert!(spread((0..200).map(|n| -12_000 + n * 97)));
        assert!(!spread((0..200).map(|n| 18_000 + n * 7)));
        assert!(!spread((0..60).map(|n| (n * 1461) / 4 - 10_957)));
        assert!(!spread((0..200).map(|n| -40_000 + n * 250)));
        assert!(!spread(std::iter::empty()));
    }
}
