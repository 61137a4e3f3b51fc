//! What the questions of an address block have cost so far: the best guess at what its next one will cost.

use std::time::{Duration, Instant};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// Mean work of the questions of a light block, in seconds: what people and pages ask takes some tens of milliseconds. Who
/// sends a slow question with every twenty quick ones is none.
const LIGHT_S: f64 = 0.125;
/// How much of a block's mean its earlier questions keep with each new one.
const KEPT: f64 = 0.9;
/// After this time work counts half.
const HALF_LIFE_S: f64 = 60.0;
/// Blocks that are remembered, some 10 MiB, and for how long after their last question.
const BLOCKS: u64 = 65_536;
const REMEMBERED: Duration = Duration::from_secs(900);

/// Which questions a block is expected to ask, in the order in which blocks are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// It has asked before, and its questions were quick.
    Light,
    /// It has not asked before, or not lately.
    Unknown,
    /// Its questions were slow.
    Heavy,
}

/// What one block has asked.
#[derive(Clone, Copy, Debug)]
struct Record {
    /// Mean work of its questions, in seconds; later ones count more.
    mean_s: f64,
    /// Work that it had done recently, in seconds, as of `at`.
    recent_s: f64,
    at: Instant,
}

/// The records of all blocks. Those not seen for longest are forgotten.
#[derive(Debug)]
pub(super) struct Records {
    records: Cache<String, Record>,
}

impl Records {
    pub(super) fn new() -> Self {
        let records = Cache::builder()
            .max_capacity(BLOCKS)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(REMEMBERED)
            .build();
        Self { records }
    }

    /// A question of the block has ended after so much work.
    pub(super) fn add(&self, block: &str, work: Duration, now: Instant) {
        let work_s = work.as_secs_f64();
        let record = match self.records.get(block) {
            Some(record) => Record {
                mean_s: record.mean_s * KEPT + work_s * (1.0 - KEPT),
                recent_s: record.recent_s(now) + work_s,
                at: now,
            },
            None => Record { mean_s: work_s, recent_s: work_s, at: now },
        };
        self.records.insert(block.to_owned(), record);
    }

    pub(super) fn kind(&self, block: &str) -> Kind {
        match self.records.get(block) {
            None => Kind::Unknown,
            Some(record) if record.mean_s <= LIGHT_S => Kind::Light,
            Some(_) => Kind::Heavy,
        }
    }

    /// Work of the block that still counts, in seconds.
    pub(super) fn recent_s(&self, block: &str, now: Instant) -> f64 {
        self.records.get(block).map_or(0.0, |record| record.recent_s(now))
    }
}

impl Record {
    fn recent_s(&self, now: Instant) -> f64 {
        let passed_s = now.saturating_duration_since(self.at).as_secs_f64();
        self.recent_s * (-passed_s / HALF_LIFE_S).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_block_is_what_its_questions_were() {
        let (records, now) = (Records::new(), Instant::now());
        assert_eq!(records.kind("a"), Kind::Unknown);
        records.add("a", MS(20), now);
        assert_eq!(records.kind("a"), Kind::Light);
        records.add("a", MS(4_000), now);
        assert_eq!(records.kind("a"), Kind::Heavy);
        assert_eq!(records.kind("b"), Kind::Unknown);
        for _ in 0..20 {
            records.add("a", MS(20), now);
        }
        assert_eq!(records.kind("a"), Kind::Light);
    }

    #[test]
    fn who_hides_slow_questions_among_quick_ones_is_heavy() {
        let (records, now) = (Records::new(), Instant::now());
        for _ in 0..10 {
            records.add("a", MS(4_000), now);
            for _ in 0..9 {
                records.add("a", MS(20), now);
                assert_eq!(records.kind("a"), Kind::Heavy);
            }
        }
    }

    #[test]
    fn one_question_that_takes_a_second_makes_nobody_heavy() {
        let (records, now) = (Records::new(), Instant::now());
        records.add("a", MS(20), now);
        records.add("a", MS(1_000), now);
        assert_eq!(records.kind("a"), Kind::Light);
    }

    #[test]
    fn work_counts_half_after_a_minute() {
        let (records, now) = (Records::new(), Instant::now());
        records.add("a", MS(3_000), now);
        records.add("a", MS(1_000), now);
        let recent = records.recent_s("a", now + Duration::from_secs(60));
        assert!((recent - 2.0).abs() < 1e-9, "{recent}");
        assert!(records.recent_s("b", now) == 0.0);
    }
}
