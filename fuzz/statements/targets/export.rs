//! The parameters of an export: a filter, a line break, an order, a line break, columns. What passes is written down
//! as a statement that passes the gate, over that one version and nothing else.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portico_fuzz_statements::gate::{ExportSelect, export_select, parse, parse_filter, parse_order};
use portico_model::limits::StatementLimits;
use portico_model::name::{DatasetName, VersionRef};

fuzz_target!(|text: &str| {
    let limits = StatementLimits::default();
    let mut parts = text.splitn(3, '\n');
    let filter = parts.next().map(|text| parse_filter(text, &limits));
    let order = parts.next().map(|text| parse_order(text, &limits));
    let columns: Vec<String> = parts.next().into_iter().flat_map(|text| text.split(',')).map(str::to_owned).collect();
    let (Ok(filter), Ok(order)) = (filter.transpose(), order.transpose()) else { return };
    let Ok(dataset) = DatasetName::parse("trees") else { return };
    let version = VersionRef { dataset, version: 3 };
    let export = ExportSelect {
        version: &version,
        columns: &columns,
        filter: filter.as_ref(),
        order: order.as_ref(),
        tie_break: &columns,
        limit: Some(u64::MAX),
        offset: Some(0),
    };
    let Ok(sql) = export_select(&export) else { return };
    // A list of columns may be longer than a statement's may be: that is said, nothing else.
    match parse(&sql, &limits) {
        Ok(parsed) => {
            let tables: Vec<_> = parsed.tables().iter().map(|table| (table.dataset.clone(), table.version)).collect();
            assert_eq!(tables, [(Some(version.dataset.clone()), Some(3))], "{sql}");
            assert!(parsed.parameters().is_empty() && parsed.information().is_empty(), "{sql}");
        }
        Err(problem) => {
            let kind = problem.kind.code();
            assert!(["query_too_complex", "too_large", "invalid_sql"].contains(&kind), "{sql}: {problem}");
        }
    }
});
