//! What a column costs the planner, and how many columns wildcards stand for.
//!
//! The planner puts expressions in place of names: a filter over a derived table is pushed into it, HAVING gets the
//! expression behind an alias, a function its named window. Twenty levels of `SELECT x + x AS x` are a million nodes
//! once a condition on `x` has reached the bottom, and the statement is 500 bytes. So every column has a weight, the
//! nodes that its name stands for when all is written out, and every use of it counts as much.

use std::collections::{BTreeMap, HashMap};

use sqlparser::ast::{Ident, TableAlias};

use super::names::normal;

/// Columns of one relation that are kept one by one; of more, only the heaviest is kept.
const KEPT_MAX: usize = 2_000;

/// A number of columns: some known, and the columns of some datasets so many times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Width {
    /// Columns that are known.
    pub(super) fixed: u64,
    /// How many times each dataset, by its index, brings all of its columns.
    pub(super) datasets: BTreeMap<usize, u64>,
}

impl Width {
    /// The columns of one of the statement's datasets.
    pub(super) fn dataset(index: usize) -> Self {
        Self { fixed: 0, datasets: BTreeMap::from([(index, 1)]) }
    }

    /// So many columns.
    pub(super) fn fixed(fixed: usize) -> Self {
        Self { fixed: u64::try_from(fixed).unwrap_or(u64::MAX), datasets: BTreeMap::new() }
    }

    /// Adds another number.
    pub(super) fn add(&mut self, other: &Self) {
        self.fixed = self.fixed.saturating_add(other.fixed);
        for (index, times) in &other.datasets {
            let known = self.datasets.entry(*index).or_default();
            *known = known.saturating_add(*times);
        }
    }

    /// At least so many columns, since every dataset has one.
    pub(super) fn least(&self) -> u64 {
        self.datasets.values().copied().fold(self.fixed, u64::saturating_add)
    }
}

/// The columns that a relation shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    /// Weights by name; a name twice has the greater one.
    named: HashMap<String, u64>,
    /// The weight of a column whose name is not known.
    unnamed: u64,
    /// Names and weights by position, where no dataset's columns stand between them.
    listed: Option<Vec<(Option<String>, u64)>>,
    /// How many there are.
    width: Width,
}

impl Columns {
    /// A dataset's columns, or another source's: nothing is behind their names.
    pub(super) fn plain(width: Width) -> Self {
        Self { width, ..Self::default() }
    }

    /// Columns that are all known, in order.
    pub(super) fn of(listed: Vec<(Option<String>, u64)>) -> Self {
        let mut columns = Self { width: Width::fixed(listed.len()), ..Self::default() };
        for (name, weight) in &listed {
            columns.put(name.as_deref(), *weight);
        }
        columns.listed = (listed.len() <= KEPT_MAX).then_some(listed);
        columns
    }

    /// The columns of several relations, side by side.
    pub(super) fn side_by_side<'c>(relations: impl IntoIterator<Item = &'c Self>) -> Self {
        let mut all = Self { listed: Some(Vec::new()), ..Self::default() };
        for relation in relations {
            relation.named.iter().for_each(|(name, weight)| all.put(Some(name), *weight));
            all.unnamed = all.unnamed.max(relation.unnamed);
            all.width.add(&relation.width);
            match (&mut all.listed, &relation.listed) {
                (Some(before), Some(after)) if before.len() + after.len() <= KEPT_MAX => {
                    before.extend(after.iter().cloned());
                }
                _ => all.listed = None,
            }
        }
        all
    }

    /// The columns of a set operation: a condition on one goes into both arms.
    pub(super) fn stacked(self, other: &Self) -> Self {
        if let (Some(mine), Some(theirs)) = (&self.listed, &other.listed)
            && mine.len() == theirs.len()
        {
            let both = mine.iter().zip(theirs);
            return Self::of(
                both.map(|((name, mine), (_, theirs))| (name.clone(), mine.saturating_add(*theirs))).collect(),
            );
        }
        let heaviest = other.heaviest();
        let named = self.named.into_iter().map(|(name, weight)| (name, weight.saturating_add(heaviest))).collect();
        Self { named, unnamed: self.unnamed.max(1).saturating_add(heaviest), listed: None, width: self.width }
    }

    /// The columns under the names that an alias gives them.
    pub(super) fn renamed(self, alias: Option<&TableAlias>) -> Self {
        let names = alias.map(|alias| alias.columns.as_slice()).unwrap_or_default();
        if names.is_empty() {
            return self;
        }
        let heaviest = self.heaviest();
        let weight = |index: usize| match &self.listed {
            Some(listed) => listed.get(index).map_or(heaviest, |(_, weight)| *weight),
            None => heaviest,
        };
        let listed = names.iter().enumerate().map(|(index, column)| (Some(normal(&column.name)), weight(index)));
        Self { width: self.width.clone(), ..Self::of(listed.collect()) }
    }

    /// Adds one column at the end.
    pub(super) fn push(&mut self, name: Option<String>, weight: u64) {
        self.put(name.as_deref(), weight);
        self.width.add(&Width::fixed(1));
        match &mut self.listed {
            Some(listed) if listed.len() < KEPT_MAX => listed.push((name, weight)),
            _ => self.listed = None,
        }
    }

    /// Lets columns of the same names weigh as much as these, wherever they stand.
    pub(super) fn cover(&mut self, others: &Self) {
        others.named.iter().for_each(|(name, weight)| self.put(Some(name), *weight));
        self.listed = None;
    }

    /// No columns yet.
    pub(super) fn none() -> Self {
        Self { listed: Some(Vec::new()), ..Self::default() }
    }

    /// How many there are.
    pub(super) fn width(&self) -> &Width {
        &self.width
    }

    /// The weight of the column of this name.
    pub(super) fn weight(&self, name: &str) -> u64 {
        self.named.get(name).copied().unwrap_or(1).max(self.unnamed).max(1)
    }

    /// The weight of the column at this position, counted from one.
    pub(super) fn weight_at(&self, position: usize) -> u64 {
        let at = |listed: &Vec<(Option<String>, u64)>| {
            position.checked_sub(1).and_then(|index| listed.get(index)).map_or(1, |(_, weight)| *weight)
        };
        self.listed.as_ref().map_or_else(|| self.heaviest(), at)
    }

    /// The weight of the heaviest.
    pub(super) fn heaviest(&self) -> u64 {
        self.named.values().copied().max().unwrap_or(1).max(self.unnamed).max(1)
    }

    fn put(&mut self, name: Option<&str>, weight: u64) {
        match name {
            Some(name) => match self.named.get_mut(name) {
                Some(known) => *known = weight.max(*known),
                None => {
                    self.named.insert(name.to_owned(), weight);
                }
            },
            None => self.unnamed = self.unnamed.max(weight),
        }
    }
}

/// What a window costs wherever it is used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    /// Nodes of its expressions.
    pub(super) nodes: u64,
    /// Expressions that it is partitioned and ordered by.
    pub(super) sorted: u64,
}

/// What the expressions of one SELECT may name.
#[derive(Debug, Default)]
pub(super) struct Frame {
    /// Its relations with the names they go by.
    relations: Vec<(Option<String>, Columns)>,
    /// Its named windows.
    windows: HashMap<String, Window>,
    /// Expressions that its windows are partitioned and ordered by so far, every use of a window counted.
    sorted: u64,
    /// What any column costs at least: a condition on one side of a join's equation is made one on the other side.
    least: u64,
}

impl Frame {
    /// A frame of one relation.
    pub(super) fn of(columns: Columns) -> Self {
        Self { relations: vec![(None, columns)], ..Self::default() }
    }

    /// Adds a relation.
    pub(super) fn add(&mut self, name: Option<String>, columns: Columns) {
        self.relations.push((name, columns));
    }

    /// Adds a named window.
    pub(super) fn define(&mut self, name: &Ident, window: Window) {
        self.windows.insert(normal(name), window);
    }

    /// A named window.
    pub(super) fn window(&self, name: &str) -> Option<Window> {
        self.windows.get(name).copied()
    }

    /// Takes note of the use of a window; gives the nodes that it is worth to the planner, which compares the order
    /// of every window with that of every other.
    pub(super) fn sort(&mut self, expressions: u64) -> u64 {
        let expressions = expressions.max(1);
        let before = self.sorted;
        self.sorted = before.saturating_add(expressions);
        before.saturating_mul(expressions)
    }

    /// Columns cost at least so much from here on.
    pub(super) fn at_least(&mut self, weight: u64) {
        self.least = self.least.max(weight);
    }

    /// The weight of the column of this name.
    pub(super) fn weight(&self, name: &str) -> u64 {
        self.relations.iter().map(|(_, columns)| columns.weight(name)).max().unwrap_or(1).max(self.least)
    }

    /// The weight of the heaviest column.
    pub(super) fn heaviest(&self) -> u64 {
        self.relations.iter().map(|(_, columns)| columns.heaviest()).max().unwrap_or(1)
    }

    /// The columns of the relation of this name, or of all.
    pub(super) fn columns(&self, relation: Option<&str>) -> Columns {
        let wanted = |name: &Option<String>| relation.is_none() || name.as_deref() == relation;
        let known = self.relations.iter().any(|(name, _)| wanted(name));
        let chosen = self.relations.iter().filter(|(name, _)| !known || wanted(name));
        Columns::side_by_side(chosen.map(|(_, columns)| columns))
    }
}
