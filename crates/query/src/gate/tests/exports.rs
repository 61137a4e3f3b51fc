use super::*;
use crate::gate::{ExportSelect, export_select, parse_filter, parse_order};
use portico_model::name::VersionRef;

fn limits() -> StatementLimits {
    StatementLimits::default()
}

#[test]
fn a_filter_is_one_condition_over_columns() {
    for filter in
        ["a = 1", "a > 1 AND (b LIKE 'x''%' OR c IS NULL)", "upper(a) = 'X'", "trees.a = 1", "d >= DATE '2020-01-01'"]
    {
        assert!(parse_filter(filter, &limits()).is_ok(), "{filter}");
    }
    for filter in [
        "",
        "1 = 1; DROP TABLE t",
        "a = 1 ORDER BY b",
        "a IN (SELECT b FROM u)",
        "EXISTS (SELECT 1)",
        "(SELECT 1)",
        "count(*) > 1",
        "row_number() OVER () = 1",
        "d < now()",
        "a = $1",
        "a = ?",
        "a = 1) OR (1 = 1",
        "a = 'x",
        "input_file_name() = 'x'",
        "a -- x\n FROM b",
    ] {
        assert!(parse_filter(filter, &limits()).is_err(), "{filter}");
    }
    let long = format!("a=1{}", " OR a=1".repeat(5_000));
    assert_eq!(parse_filter(&long, &limits()).unwrap_err().kind, ProblemKind::QueryTooComplex);
    let deep = "(".repeat(10_000);
    assert_eq!(parse_filter(&deep, &limits()).unwrap_err().kind, ProblemKind::QueryTooComplex);
}

#[test]
fn an_export_is_a_statement_like_any_other() {
    let version = VersionRef { dataset: DatasetName::parse("bus-stops").unwrap(), version: 2 };
    let filter = parse_filter(r"name = 'o''k\''' OR b", &limits()).unwrap();
    let order = parse_order("a DESC, upper(b)", &limits()).unwrap();
    let (columns, ties) = (["a".to_owned(), "b".to_owned()], ["a".to_owned(), "id".to_owned()]);
    let export = ExportSelect {
        version: &version,
        columns: &columns,
        filter: Some(&filter),
        order: Some(&order),
        tie_break: &ties,
        limit: Some(10),
        offset: Some(5),
    };
    let sql = export_select(&export).unwrap();
    assert_eq!(
        sql,
        concat!(
            r#"SELECT "a", "b" FROM "bus_stops@2" AS "bus_stops" WHERE name = 'o''k\''' OR b "#,
            r#"ORDER BY a DESC, upper(b), "id" ASC NULLS FIRST LIMIT 10 OFFSET 5"#
        )
    );
    assert_eq!(gate(&sql).unwrap().sql, sql);
    let whole = ExportSelect { columns: &[], filter: None, order: None, limit: None, offset: None, ..export };
    assert_eq!(export_select(&whole).unwrap(), r#"SELECT * FROM "bus_stops@2" AS "bus_stops""#);
}
