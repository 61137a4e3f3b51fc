//! Names: what is a dataset's name is the same one in SQL and back, and as a table it is that dataset.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portico_fuzz_statements::gate::parse;
use portico_model::limits::StatementLimits;
use portico_model::name::DatasetName;

fuzz_target!(|text: &str| {
    let parsed = DatasetName::parse(text);
    if let Ok(name) = &parsed {
        assert_eq!(DatasetName::from_sql_name(&name.sql_name()).as_ref(), Ok(name));
        let statement = parse(&format!("SELECT 1 FROM \"{}@7\"", name.sql_name()), &StatementLimits::default());
        let statement = statement.unwrap_or_else(|problem| panic!("{text}: {problem}"));
        let tables: Vec<_> = statement.tables().iter().map(|table| (table.dataset.clone(), table.version)).collect();
        assert_eq!(tables, [(Some(name.clone()), Some(7))]);
    }
    // Whatever the text is, as a quoted name it is one dataset or none, never two or something else.
    let quoted = format!("SELECT 1 FROM \"{}\"", text.replace('"', "\"\""));
    if let Ok(statement) = parse(&quoted, &StatementLimits::default()) {
        assert!(statement.tables().len() <= 1 && statement.information().is_empty(), "{quoted}");
    }
});
