//! Counts with the first rows, and shares of right check digits.

use std::collections::HashSet;

use portico_model::finding::FINDING_ROWS_MAX;

use super::scan::Check;
use crate::profile::convert::count;

/// How many values, and the first rows that hold them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) rows: Vec<u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, row: u64) {
        self.count += 1;
        if self.rows.len() < FINDING_ROWS_MAX {
            self.rows.push(row);
        }
    }
}

/// A tally that knows how many different values there are, up to what the rules ask for.
#[derive(Clone, Debug)]
pub(super) struct Hits {
    pub(super) tally: Tally,
    different: HashSet<u64>,
    asked: u64,
}

impl Hits {
    /// Hits that tell `asked` different values apart.
    pub(super) fn new(asked: u64) -> Self {
        Self { tally: Tally::default(), different: HashSet::new(), asked }
    }

    /// Another rule asks for so many different values.
    pub(super) fn ask(&mut self, asked: u64) {
        self.asked = self.asked.max(asked);
    }

    pub(super) fn add(&mut self, row: u64, hash: impl FnOnce() -> u64) {
        self.tally.add(row);
        if self.asked > 1 && count(self.different.len()) < self.asked {
            self.different.insert(hash());
        }
    }

    /// Different values, or more.
    pub(super) fn different(&self) -> u64 {
        if self.asked > 1 { count(self.different.len()) } else { self.tally.count.min(1) }
    }
}

/// Values of a shape that are no accident in a column of anything else. At 1 in 10 by chance, half of eight have right
/// check digits in one column of two hundred.
const SHAPED_MIN: u64 = 8;
/// Different values that are told apart; beyond, all values count alike.
const DIFFERENT_MAX: usize = 1_024;

/// Values of a shape with check digits, and those that have them right.
#[derive(Clone, Debug, Default)]
pub(super) struct Share {
    different: HashSet<u64>,
    different_valid: u64,
    shaped: u64,
    valid: u64,
    /// Right ones that are written as only such numbers are.
    marked: u64,
    /// Rows with a value that has them right.
    pub(super) tally: Tally,
}

impl Share {
    pub(super) fn add(&mut self, check: Check, row: u64) {
        let Check { hash, is_valid, is_marked, .. } = check;
        self.shaped += 1;
        self.valid += u64::from(is_valid);
        self.marked += u64::from(is_valid && is_marked);
        if self.different.len() < DIFFERENT_MAX && self.different.insert(hash) {
            self.different_valid += u64::from(is_valid);
        }
        if is_valid && self.tally.rows.last() != Some(&row) {
            self.tally.add(row);
        }
    }

    /// Whether the column has anything to do with such numbers, besides a few that come by chance: some are written as
    /// only such numbers are, or there are many, or most of its `values` have the shape.
    pub(super) fn is_likely(&self, values: u64) -> bool {
        self.marked > 0 || self.evidence().0 >= SHAPED_MIN || self.shaped * 2 >= values
    }

    /// How many values of the shape, and how many have right check digits: different ones while they are few, since one
    /// value that comes often proves no more than one.
    pub(super) fn evidence(&self) -> (u64, u64) {
        if self.different.len() < DIFFERENT_MAX {
            (u64::try_from(self.different.len()).unwrap_or(u64::MAX), self.different_valid)
        } else {
            (self.shaped, self.valid)
        }
    }
}
