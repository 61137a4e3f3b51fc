//! Edges of a graph without which it falls apart (Tarjan 1974).
//!
//! Rows and columns of a table are its points, hidden cells its edges, and the totals say the sum of the edges at every
//! point. What lies on a circle can go up and down around it; what does not is a bridge, and both sides of a bridge together
//! determine it.

use std::collections::HashMap;

/// An edge: its number, and its row and column.
pub(super) type Edge = (usize, (u32, u32));

/// A point: a row, or a column.
type Point = (bool, u32);

/// A point that is being visited.
struct Visit {
    point: Point,
    /// The edge that led here.
    by: Option<usize>,
    /// Edges that were followed.
    followed: usize,
}

/// The numbers of the edges that are bridges, in order.
pub(super) fn bridges(edges: &[Edge]) -> Vec<usize> {
    let mut beside: HashMap<Point, Vec<(Point, usize)>> = HashMap::new();
    for (number, (row, column)) in edges {
        beside.entry((true, *row)).or_default().push(((false, *column), *number));
        beside.entry((false, *column)).or_default().push(((true, *row), *number));
    }
    // When a point was found, and the earliest point that can be reached from behind it.
    let mut found: HashMap<Point, usize> = HashMap::new();
    let mut lowest: HashMap<Point, usize> = HashMap::new();
    let mut bridges = Vec::new();
    for (_, (row, _)) in edges {
        let start = (true, *row);
        if found.contains_key(&start) {
            continue;
        }
        let mut way = vec![Visit { point: start, by: None, followed: 0 }];
        found.insert(start, found.len());
        lowest.insert(start, found.len() - 1);
        while let Some(visit) = way.last_mut() {
            let point = visit.point;
            let next = beside.get(&point).and_then(|edges| edges.get(visit.followed)).copied();
            visit.followed += 1;
            match next {
                Some((_, number)) if visit.by == Some(number) => {}
                Some((other, number)) => match found.get(&other).copied() {
                    Some(at) => lower(&mut lowest, point, at),
                    None => {
                        let at = found.len();
                        found.insert(other, at);
                        lowest.insert(other, at);
                        way.push(Visit { point: other, by: Some(number), followed: 0 });
                    }
                },
                None => {
                    let by = visit.by;
                    way.pop();
                    let reached = lowest.get(&point).copied().unwrap_or(0);
                    if let (Some(before), Some(number)) = (way.last(), by) {
                        lower(&mut lowest, before.point, reached);
                        if reached > found.get(&before.point).copied().unwrap_or(0) {
                            bridges.push(number);
                        }
                    }
                }
            }
        }
    }
    bridges.sort_unstable();
    bridges
}

fn lower(lowest: &mut HashMap<Point, usize>, point: Point, at: usize) {
    lowest.entry(point).and_modify(|lowest| *lowest = at.min(*lowest)).or_insert(at);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_on_no_circle_is_a_bridge() {
        let edges = |places: &[(u32, u32)]| places.iter().copied().enumerate().collect::<Vec<Edge>>();
        assert_eq!(bridges(&edges(&[(0, 0)])), [0]);
        assert!(bridges(&edges(&[(0, 0), (0, 1), (1, 0), (1, 1)])).is_empty());
        // Two circles, and a cell that joins them.
        let mut two = vec![(0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (2, 3), (3, 2), (3, 3)];
        two.push((1, 2));
        assert_eq!(bridges(&edges(&two)), [8]);
    }
}
