//! Which cells are suppressed.

use std::collections::HashMap;

use super::bridges::bridges;
use crate::profile::convert::{count, float_of_count};

/// One cell: its place in every dimension, and its count; `None` is suppressed already.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) places: Vec<u32>,
    pub(super) count: Option<f64>,
}

/// Which cells are hidden, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Suppressed {
    pub(super) hidden: Vec<bool>,
    /// Those that are too small.
    pub(super) small: u64,
    /// Those that keep totals from giving the small ones away.
    pub(super) others: u64,
    /// Those that totals give away all the same.
    pub(super) left: u64,
}

/// The cells that one total is the sum of, by their numbers.
type Line = Vec<usize>;

/// Hides cells of at least one and fewer than `k`, and others until no line gives one away.
pub(super) fn suppress(cells: &[Cell], dimensions: usize, k: u64) -> Suppressed {
    let k = float_of_count(k);
    let is_small = |cell: &Cell| cell.count.is_none_or(|count| count > 0.0 && count < k);
    let mut hidden: Vec<bool> = cells.iter().map(is_small).collect();
    let small = cells.iter().filter(|cell| cell.count.is_some() && is_small(cell)).count();
    let before = hidden.iter().filter(|hidden| **hidden).count();
    let lines = lines(cells, dimensions);
    let mut lines_of: Vec<Line> = vec![Vec::new(); cells.len()];
    for (number, line) in lines.iter().enumerate() {
        for cell in line {
            lines_of.get_mut(*cell).into_iter().for_each(|of| of.push(number));
        }
    }
    loop {
        let mut more = false;
        for line in &lines {
            more |= hide_beside(line, cells, &mut hidden, k);
        }
        if more {
            continue;
        }
        // What all lines together tell is a matter of two dimensions.
        for cell in if dimensions == 2 { told(cells, &hidden) } else { Vec::new() } {
            let mut of = lines_of.get(cell).into_iter().flatten().filter_map(|line| lines.get(*line));
            // One more cell of one of its lines, if there is one.
            more |= of.any(|line| hide_smallest(line, cells, &mut hidden));
        }
        if !more {
            break;
        }
    }
    let all = hidden.iter().filter(|hidden| **hidden).count();
    let left = left(cells, &hidden, dimensions, &lines);
    Suppressed { hidden, small: count(small), others: count(all - before), left: count(left) }
}

/// Every line of the table. A cell is in one for each dimension.
fn lines(cells: &[Cell], dimensions: usize) -> Vec<Line> {
    let mut all = Vec::new();
    for dimension in 0..dimensions {
        let mut lines: HashMap<Vec<u32>, Line> = HashMap::new();
        for (number, cell) in cells.iter().enumerate() {
            let others = cell.places.iter().enumerate().filter(|(place, _)| *place != dimension);
            lines.entry(others.map(|(_, value)| *value).collect()).or_default().push(number);
        }
        let mut lines: Vec<Line> = lines.into_values().collect();
        lines.sort_unstable();
        all.extend(lines);
    }
    all
}

fn is_hidden(hidden: &[bool], cell: usize) -> bool {
    hidden.get(cell).copied().unwrap_or(false)
}

fn size(cells: &[Cell], cell: usize) -> f64 {
    cells.get(cell).and_then(|cell| cell.count).unwrap_or(0.0)
}

/// Hides one more cell of a line whose hidden cells are one alone, or too few together; true when it did.
fn hide_beside(line: &[usize], cells: &[Cell], hidden: &mut [bool], k: f64) -> bool {
    let concealed = || line.iter().filter(|cell| is_hidden(hidden, **cell));
    let together: f64 = concealed().map(|cell| size(cells, *cell)).sum();
    match concealed().count() {
        0 => return false,
        1 => {}
        // Zeros and what came suppressed say nothing of how many there are.
        _ if together >= k || concealed().all(|cell| size(cells, *cell) == 0.0) => return false,
        _ => {}
    }
    hide_smallest(line, cells, hidden)
}

/// The smallest cell that is not zero; a zero where there is nothing else.
fn hide_smallest(line: &[usize], cells: &[Cell], hidden: &mut [bool]) -> bool {
    let open = line.iter().copied().filter(|cell| !is_hidden(hidden, *cell));
    let worth = |cell: &usize| {
        let size = size(cells, *cell);
        if size == 0.0 { f64::INFINITY } else { size }
    };
    let least = open.min_by(|left, right| worth(left).total_cmp(&worth(right)).then(left.cmp(right)));
    match least.and_then(|cell| hidden.get_mut(cell)) {
        Some(hide) => {
            *hide = true;
            true
        }
        None => false,
    }
}

/// Hidden cells that the totals of both dimensions determine: those without which the hidden cells fall apart.
fn told(cells: &[Cell], hidden: &[bool]) -> Vec<usize> {
    let concealed = (0..cells.len()).filter(|cell| is_hidden(hidden, *cell));
    let ends = |cell: usize| match cells.get(cell).map(|cell| cell.places.as_slice()) {
        Some([row, column]) => (*row, *column),
        _ => (0, 0),
    };
    bridges(&concealed.map(|cell| (cell, ends(cell))).collect::<Vec<_>>())
}

/// Hidden cells that can be had back.
fn left(cells: &[Cell], hidden: &[bool], dimensions: usize, lines: &[Line]) -> usize {
    if dimensions == 2 {
        return told(cells, hidden).len();
    }
    let alone = |line: &&Line| line.iter().filter(|cell| is_hidden(hidden, **cell)).count() == 1;
    lines.iter().filter(alone).count()
}
