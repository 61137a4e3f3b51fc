//! Transformations from the file to the released bytes: what is filtered is nowhere, what is derived is exact, and what was
//! declared once holds for the next file.

use portico_intake::options::{Mode, ReadOptions};
use portico_model::problem::ProblemKind;
use portico_publish::Amendment;

use crate::remedies::{assert_absent, released_bytes, said};
use crate::world::{NOW_MS, World};

/// Rows that are not issued, or were before 2010, do not go on; the days themselves stay here.
const DICTIONARY: &str = r#"
keep_rows = "status <> 'zyxdraft' and issued_on >= date '2010-01-01'"
[[field]]
name = "Issued On"
type = "date"
treatment = "drop"
reason = "only the year is public"
[[field]]
name = "issued_year"
derive = "extract(year from issued_on)"
[[field]]
name = "status"
codes = { I = "issued", C = "closed" }
[[field]]
name = "fee_total"
derive = "fee + coalesce(surcharge, 0)"
[[field]]
name = "status_label"
label_of = "status"
"#;

const FILE: &[u8] = b"id,Issued On,status,fee,surcharge\n1,2020-03-14,I,10.50,0.25\n2,2009-12-31,I,471100.25,1.00\n\
    3,2021-07-09,zyxdraft,815000.75,\n4,2022-11-23,C,7.00,\n5,,I,4711.75,2.00\n6,2023-05-06,X,1.00,1.00\n";

/// What is in no row that is kept, and in no text that is public.
const TOKENS: &[&str] = &[
    "zyxdraft",
    "471100",
    "815000",
    "4711.75",
    "2009-12",
    "2020-03-14",
    "extract(year from issued_on",
    "coalesce(surcharge",
];

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_filtered_and_columns_derived_before_anything_is_released() {
    let world = World::new().await;
    let screened = world.screen("permits", "permits.csv", FILE, DICTIONARY).await;
    assert!(!screened.findings.iter().any(|finding| finding.blocks()), "{:?}", screened.findings);
    let counted: Vec<(&str, u64)> = screened
        .findings
        .iter()
        .filter(|finding| ["rows_filtered", "column_derived", "label_missing"].contains(&finding.rule.as_str()))
        .map(|finding| (finding.rule.as_str(), finding.count))
        .collect();
    assert_eq!(
        counted,
        [
            ("label_missing", 1),
            ("column_derived", 1),
            ("column_derived", 1),
            ("column_derived", 1),
            ("rows_filtered", 3)
        ]
    );
    world.release(&screened).await;

    let csv = world.get("/datasets/permits.csv").await.text();
    assert_eq!(
        csv.replace('\r', ""),
        "id,status,fee,surcharge,issued_year,fee_total,status_label\n1,I,10.50,0.25,2020,10.75,issued\n\
         4,C,7.00,,2022,7.00,closed\n6,X,1.00,1.00,2023,2.00,\n"
    );
    let types = world.rows("select arrow_typeof(issued_year), arrow_typeof(status_label) from permits limit 1").await;
    assert_eq!(types, "Int64,Utf8View\n");
    assert_absent(&released_bytes(&world, "permits").await, TOKENS, "the released bytes");
    for path in [
        "/datasets/permits.parquet",
        "/datasets/permits.json",
        "/api/datasets/permits",
        "/datasets/permits",
        "/api/datasets/permits/versions",
        "/data.json",
        "/openapi.json",
    ] {
        assert_absent(&world.get(path).await.body, TOKENS, path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transformations_are_inherited_and_another_needs_a_reason() {
    let world = World::new().await;
    let first = world.screen("permits", "permits.csv", FILE, DICTIONARY).await;
    world.release(&first).await;

    // Whoever brings the next file says nothing but what of the day.
    let next: &[u8] = b"id,Issued On,status,fee,surcharge\n7,2024-01-02,C,2.00,1.00\n8,2024-01-03,zyxdraft,3.00,1.00\n";
    let drop = "[[field]]\nname = 'Issued On'\ntype = 'date'\ntreatment = 'drop'\nreason = 'only the year is public'\n";
    let second = world.screen("permits", "permits.csv", next, drop).await;
    assert!(!second.findings.iter().any(|finding| finding.blocks()), "{:?}", said(&second));
    world.release(&second).await;
    let rows = world.rows("select id, issued_year, fee_total, status_label from permits").await;
    assert_eq!(rows, "7,2024,3.00,closed\n");

    // Another condition and another expression block, one with a reason is a decision.
    let other = format!("keep_rows = \"true\"\n{drop}[[field]]\nname = 'fee_total'\nderive = 'fee'\n");
    let blocked = world.screen("permits", "permits.csv", next, &other).await;
    let rules = said(&blocked);
    assert!(rules.contains(&("filter_changed", true)) && rules.contains(&("derivation_changed", true)), "{rules:?}");
    let decided = format!(
        "keep_rows_reason = \"drafts are records, too\"\n{other}treatment = 'public'\nreason = 'surcharges are shown apart'\n"
    );
    let decided = world.screen("permits", "permits.csv", next, &decided).await;
    assert!(!decided.findings.iter().any(|finding| finding.blocks()), "{:?}", said(&decided));

    // An amendment is another digest.
    let mut options = decided.options.clone();
    options.dictionary.as_mut().unwrap().keep_rows = Some("id > 7".to_owned());
    let amendment = Amendment { options: Some(options), ..Amendment::default() };
    world.publisher.amend(&world.operator, &decided.id, amendment, NOW_MS).await.unwrap();
    let again = world.publisher.screen(&world.operator, &decided.id, NOW_MS, |_| {}).await.unwrap();
    assert!(again.digest.is_some() && again.digest != decided.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_without_a_value_is_refused_without_values() {
    let world = World::new().await;
    let file = b"id,code,parts\n1,zyxcode4711,0\n2,12,3\n";
    for (dictionary, what, why) in [
        ("[[field]]\nname = 'share'\nderive = '100 / parts'\n", "share", "divided by zero"),
        ("[[field]]\nname = 'number'\nderive = 'cast(code as bigint)'\n", "number", "could not be converted"),
        ("keep_rows = '1 / parts > 0'\n", "keep_rows", "rows 1 to 2"),
        ("keep_rows = 'parts >'\n", "keep_rows", "olumn"),
        ("keep_rows = 'parts > (select 1)'\n", "keep_rows", "subquery"),
        ("[[field]]\nname = 'day'\nderive = 'current_date'\n", "day", "clock"),
        ("[[field]]\nname = 'code_2'\nderive = 'kode'\n", "code_2", "Did you mean code?"),
        ("[[field]]\nname = 'code'\nderive = 'id'\n", "code", "has a column of that name"),
    ] {
        let staged = world.stage("codes", "codes.csv", file, dictionary).await;
        let error = world.publisher.screen(&world.operator, &staged.id, NOW_MS, |_| {}).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), ProblemKind::InvalidRequest, "{text}");
        assert!(text.contains(what) && text.contains(why) && !text.contains("zyx"), "{dictionary}: {text}");
    }
    // What the condition leaves out has no part in what is derived.
    let guarded = "keep_rows = 'parts <> 0'\n[[field]]\nname = 'share'\nderive = '100 / parts'\n";
    let screened = world.screen("codes", "codes.csv", file, guarded).await;
    world.release(&screened).await;
    assert_eq!(world.rows("select id, share from codes").await, "2,33\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_appended_are_transformed_as_those_before() {
    let world = World::new().await;
    let dictionary = "keep_rows = 'n > 1'\n[[field]]\nname = 'twice'\nderive = 'n * 2'\n[[field]]\nname = 'word'\n\
        derive = '''case when n > 5 then 'large' else 'small' end'''\n";
    world.release(&world.screen("sums", "sums.csv", b"n\n1\n2\n", dictionary).await).await;
    let staged = world.stage("sums", "sums.csv", b"n\n0\n9\n", dictionary).await;
    let options = ReadOptions { mode: Mode::Append, ..staged.options.clone() };
    let amendment = Amendment { options: Some(options), ..Amendment::default() };
    world.publisher.amend(&world.operator, &staged.id, amendment, NOW_MS).await.unwrap();
    let appended = world.publisher.screen(&world.operator, &staged.id, NOW_MS, |_| {}).await.unwrap();
    assert!(!appended.findings.iter().any(|finding| finding.blocks()), "{:?}", said(&appended));
    world.release(&appended).await;
    assert_eq!(world.rows("select n, twice, word from sums order by n").await, "2,4,small\n9,18,large\n");
}
