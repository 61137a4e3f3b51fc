//! What an expression may be, what it gives, and what it never tells.

use arrow::array::{
    Array as _, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;

/// Three rows: values, others, nulls.
fn rows() -> RecordBatch {
    let utc = TimestampMicrosecondArray::from(vec![Some(1_700_000_000_000_000), Some(0), None]).with_timezone("UTC");
    let money = Decimal128Array::from(vec![Some(1_050), Some(-1), None]).with_precision_and_scale(10, 2).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(2), None]))),
        ("small", Arc::new(Int64Array::from(vec![Some(7), Some(0), None]))),
        ("status", Arc::new(StringArray::from(vec![Some("Issued"), Some("secret-4711"), None]))),
        ("issued_on", Arc::new(Date32Array::from(vec![Some(19_000), Some(10_000), None]))),
        ("amount", Arc::new(money)),
        ("share", Arc::new(Float64Array::from(vec![Some(0.5), Some(-2.0), None]))),
        ("open", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("at", Arc::new(utc)),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, values)| Field::new(*name, values.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, values)| values).collect())
        .unwrap()
}

fn computed(text: &str) -> ArrayRef {
    let rows = rows();
    let expression = Expression::new(text, &rows.schema()).unwrap_or_else(|problem| panic!("{text}: {problem}"));
    let values = expression.compute(&rows).unwrap_or_else(|problem| panic!("{text}: {problem}"));
    assert_eq!(values.data_type(), expression.data_type(), "{text}");
    values
}

#[test]
fn every_kind_of_scalar_expression_is_computed() {
    let check = |text: &str, expect: [&str; 3]| {
        let values = computed(text);
        let options = FormatOptions::default().with_null("-");
        let shown = ArrayFormatter::try_new(&values, &options).unwrap();
        let shown: Vec<String> = (0..values.len()).map(|row| shown.value(row).to_string()).collect();
        assert_eq!(shown, expect, "{text}");
    };
    check("small + 1", ["8", "1", "-"]);
    check("-small", ["-7", "0", "-"]);
    check("small * 2 - 3", ["11", "-3", "-"]);
    check("small % 4", ["3", "0", "-"]);
    check("amount * 2", ["21.00", "-0.02", "-"]);
    check("share / 2", ["0.25", "-1.0", "-"]);
    check("status || '!'", ["Issued!", "secret-4711!", "-"]);
    check("upper(status)", ["ISSUED", "SECRET-4711", "-"]);
    check("substr(status, 1, 3)", ["Iss", "sec", "-"]);
    check("substring(status from 2 for 2)", ["ss", "ec", "-"]);
    check("length(status)", ["6", "11", "-"]);
    check("extract(year from issued_on)", ["2022", "1997", "-"]);
    check("date_part('month', issued_on)", ["1", "5", "-"]);
    check("date_trunc('month', issued_on)", ["2022-01-01T00:00:00", "1997-05-01T00:00:00", "-"]);
    check("extract(year from at)", ["2023", "1970", "-"]);
    check("coalesce(small, 0)", ["7", "0", "0"]);
    check("nvl(status, 'none')", ["Issued", "secret-4711", "none"]);
    check("nullif(small, 0)", ["7", "-", "-"]);
    check(
        "case when small > 5 then 'many' when small is null then 'unknown' else 'few' end",
        ["many", "few", "unknown"],
    );
    check("cast(small as varchar)", ["7", "0", "-"]);
    check("cast(status as bigint)  is null and false", ["false", "false", "false"]);
    check("try_cast(status as bigint)", ["-", "-", "-"]);
    check("try_cast('5' as int)", ["5", "5", "5"]);
    check("round(share)", ["1.0", "-2.0", "-"]);
    check("abs(share)", ["0.5", "2.0", "-"]);
    check("open and small > 1", ["true", "false", "-"]);
    check("not open", ["false", "true", "-"]);
    check("status in ('Issued', 'Closed')", ["true", "false", "-"]);
    check("small between 1 and 9", ["true", "false", "-"]);
    check("status like 'Iss%'", ["true", "false", "-"]);
    check("status is not null", ["true", "true", "false"]);
    check("status ~ '^sec'", ["false", "true", "-"]);
    check("regexp_replace(status, '[0-9]+', '#')", ["Issued", "secret-#", "-"]);
    check("issued_on >= date '2010-01-01'", ["true", "false", "-"]);
    check("cast(issued_on + interval '1' day as date)", ["2022-01-09", "1997-05-20", "-"]);
    check("concat(status, '/', small)", ["Issued/7", "secret-4711/0", "/"]);
    check("greatest(small, 3)", ["7", "3", "3"]);
    check("to_char(issued_on, '%Y')", ["2022", "1997", "-"]);
    check("Status = 'Issued' -- the name is lower-case", ["true", "false", "-"]);
}

#[test]
fn values_have_the_types_that_released_files_have() {
    let check = |text: &str, expect: DataType| assert_eq!(computed(text).data_type(), &expect, "{text}");
    check("extract(year from issued_on)", DataType::Int64);
    check("cast(small as smallint)", DataType::Int64);
    check("cast(share as real)", DataType::Float64);
    check("amount + 1", DataType::Decimal128(23, 2));
    check("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    check("cast(issued_on as timestamp)", DataType::Timestamp(TimeUnit::Microsecond, None));
    check("'a'", DataType::Utf8);
    check("cast(null as date)", DataType::Date32);
}

#[test]
fn what_is_not_of_one_row_is_refused() {
    let schema = rows().schema();
    let check = |text: &str, expect: &str| {
        let problem = Expression::new(text, &schema).expect_err(text);
        assert!(problem.detail.contains(expect), "{text}: {problem}");
        assert_ne!(problem.kind, ProblemKind::Internal, "{text}");
    };
    for query in [
        "(select 1)",
        "exists (select 1)",
        "small in (select 1)",
        "small = any (select 1)",
        "1 + (select max(id) from x)",
    ] {
        check(query, "subquery");
    }
    check("sum(small)", "aggregate");
    check("count(*)", "aggregate");
    check("row_number() over ()", "window");
    check("sum(small) over (order by id)", "window");
    for clock in
        ["now()", "current_timestamp", "current_date", "current_time()", "random()", "uuid()", "coalesce(at, now())"]
    {
        check(clock, "clock");
    }
    check("unnest([1, 2])", "");
    check("small + $1", "arameter");
    check("small as other", "AS");
    check("smal", "Did you mean small?");
    check("file.small", "");
    check("read_csv('x')", "no function read_csv");
    check("pg_sleep(1)", "no function");
    check("[small, 2]", "type that columns do not have");
    check("interval '1' day", "type that columns do not have");
    check("null", "CAST(NULL");
    check("issued_on + status", "");
    check("*", "");
}

#[test]
fn what_is_no_expression_is_told_with_its_place() {
    for (text, line, column) in
        [("small +", 1, 8), ("status = 'Issued' and\n  ) 1", 2, 3), ("small; drop table x", 1, 6)]
    {
        let problem = Expression::parse(text).unwrap_err();
        let place = (format!("Line: {line}"), format!("Column: {column}"));
        let told = problem.position.is_some_and(|at| (at.line, at.column) == (line, column));
        assert!(told || (problem.detail.contains(&place.0) && problem.detail.contains(&place.1)), "{text}: {problem}");
        assert_eq!(problem.kind, ProblemKind::InvalidSql);
    }
    for text in ["", "  ", "-- nothing", "select 1", "small small small"] {
        assert!(Expression::parse(text).is_err(), "{text}");
    }
    assert!(Expression::parse("unknown_column > 1").is_ok());
    let deep = format!("{}1{}", "(".repeat(500), ")".repeat(500));
    assert!(Expression::parse(&deep).is_err());
}

#[test]
fn what_has_no_value_is_an_error_that_quotes_none() {
    let rows = rows();
    let check = |text: &str, expect: &str| {
        let expression = Expression::new(text, &rows.schema()).unwrap();
        let problem = expression.compute(&rows).expect_err(text);
        assert!(problem.detail.contains(expect), "{text}: {problem}");
        assert!(!problem.detail.contains("secret") && !problem.detail.contains("9223372036854775807"), "{problem}");
    };
    check("id + 1", "left the range");
    check("id * small", "left the range");
    check("-(id * -1 - 2)", "left the range");
    check("small / (small - 7)", "divided by zero");
    check("cast(status as bigint)", "could not be converted");
    check("cast(status as date)", "could not be converted");
    check("repeat(status, small * 1000000)", "");
}

#[test]
fn a_long_chain_is_planned_in_the_time_of_a_file() {
    let work = || {
        let chain = format!("small{}", " + small".repeat(480));
        assert!(chain.len() < 4_096);
        let values = computed(&chain);
        assert_eq!(values.as_any().downcast_ref::<Int64Array>().unwrap().value(0), 7 * 481);
        let condition = format!("status = 'a'{}", " or status = 'b'".repeat(250));
        assert_eq!(computed(&condition).null_count(), 1);
    };
    // The stack of the thread that reads.
    std::thread::Builder::new().stack_size(64 * 1024 * 1024).spawn(work).unwrap().join().unwrap();
}
