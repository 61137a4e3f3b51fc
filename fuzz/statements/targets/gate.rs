//! Text to the gate: nothing panics, and what passes is printed as a statement that passes as the same.

#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use portico_fuzz_statements::gate::{Gated, parse};
use portico_model::limits::StatementLimits;
use portico_model::problem::Problem;

/// The statement with every dataset's current version being 3.
fn gate(sql: &str) -> Result<Gated, Problem> {
    let parsed = parse(sql, &StatementLimits::default())?;
    let current: HashMap<_, _> = parsed.tables().iter().filter_map(|table| Some((table.dataset.clone()?, 3))).collect();
    parsed.pin(&current)
}

fuzz_target!(|text: &str| {
    let Ok(gated) = gate(text) else { return };
    let public = gate(&gated.pinned_sql).unwrap_or_else(|problem| panic!("{}: {problem}", gated.pinned_sql));
    assert_eq!(public.sql, gated.sql);
    assert_eq!(public.pinned_sql, gated.pinned_sql);
    assert_eq!(public.tables, gated.tables);
    assert_eq!(public.information, gated.information);
    assert_eq!(public.parameters, gated.parameters);
    assert_eq!(public.volatile, gated.volatile);
    if gated.information.is_empty() {
        let private = gate(&gated.sql).unwrap_or_else(|problem| panic!("{}: {problem}", gated.sql));
        assert_eq!((private.sql, private.tables), (gated.sql, gated.tables));
    }
});
