//! What was counted of classes, in findings.

use portico_model::finding::{Finding, Severity};

use super::{ClassPlan, Open};
use crate::screen::{ClassActions, grouped};

/// The counts of the classes of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassReport {
    names: Vec<String>,
    k: u64,
    compares: bool,
    has_sensitive: bool,
    /// Rows of the table.
    pub rows: u64,
    /// Classes.
    pub classes: u64,
    /// Classes of fewer than k rows.
    pub small: u64,
    /// Rows in them.
    pub small_rows: u64,
    /// Rows that are a class of their own.
    pub unique: u64,
    /// Classes, large enough, with one value of the sensitive column.
    pub uniform: u64,
    /// Classes whose rows are more or fewer than in the current version, by fewer than k.
    pub changed: u64,
}

impl ClassReport {
    pub(super) fn new(plan: &ClassPlan, rows: u64, compares: bool) -> Self {
        let has_sensitive = plan.sensitive.is_some();
        Self { names: plan.names.clone(), k: plan.k, compares, has_sensitive, rows, ..Self::default() }
    }

    pub(super) fn add(&mut self, open: &Open) {
        if open.class.is_none() {
            return;
        }
        let change = open.rows.abs_diff(open.current);
        self.changed += u64::from(self.compares && (1..self.k).contains(&change));
        if open.rows == 0 {
            return;
        }
        self.classes += 1;
        if open.rows < self.k {
            self.small += 1;
            self.small_rows += open.rows;
            self.unique += u64::from(open.rows == 1);
        } else if open.sensitive == 1 && self.has_sensitive {
            self.uniform += 1;
        }
    }

    /// What is to be said of it: counts, and never which rows.
    #[must_use]
    pub fn findings(&self, actions: ClassActions) -> Vec<Finding> {
        let (names, k) = (self.names.join(", "), self.k);
        let finding = |rule: &str, severity: Severity, count: u64, message: String| {
            (count > 0).then(|| Finding { count, ..Finding::on_file(rule, severity, message) })
        };
        let small = actions.small.severity().and_then(|severity| {
            let message = format!(
                "{} of {} combinations of ({names}) have fewer than {k} rows; {} of {} rows are in them, {} are the only one of \
                 their kind. Make the columns coarser, or suppress small classes.",
                grouped(self.small),
                grouped(self.classes),
                grouped(self.small_rows),
                grouped(self.rows),
                grouped(self.unique),
            );
            finding("small_class", severity, self.small, message)
        });
        let changed = actions.changed.severity().and_then(|severity| {
            let message = format!(
                "{} combinations of ({names}) have more or fewer rows than in the current version, by fewer than {k}: who \
                 compares the versions sees those rows alone. Make the columns coarser, or release less often.",
                grouped(self.changed),
            );
            finding("class_changed_little", severity, self.changed, message)
        });
        let uniform = actions.uniform.severity().and_then(|severity| {
            let message = format!(
                "{} combinations of ({names}) have a single value of the sensitive column: whoever is in one is known to have it.",
                grouped(self.uniform),
            );
            finding("class_uniform", severity, self.uniform, message)
        });
        [small, changed, uniform].into_iter().flatten().collect()
    }
}
