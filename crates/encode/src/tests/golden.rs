//! Each format's bytes for small tables.

use super::*;

fn check(batch: &RecordBatch, format: Format, expect: &str) {
    assert_eq!(text(batch, format), expect, "{format}");
}

fn check_with(batch: &RecordBatch, options: &OutputOptions, expect: &str) {
    let bytes = encode_with(std::slice::from_ref(batch), kind(Format::Csv), options).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), expect);
}

#[test]
fn csv_spells_every_type() {
    check(
        &sample(),
        Format::Csv,
        "id,name,height,price,alive,planted,seen\n\
         1,\"Oak, \"\"red\"\"\",12.5,1.50,true,2024-03-01,2024-03-01T12:34:56Z\n\
         9007199254740993,\"\",NaN,-0.05,false,1869-12-31,1969-12-31T23:59:59.999999Z\n\
         ,,,,,,\n",
    );
}

#[test]
fn tsv_quotes_tabs_and_not_commas() {
    let table = batch(vec![
        column("a\tb", StringArray::from(vec!["x,y", "x\ty"])),
        column("n", Int64Array::from(vec![-1, i64::MIN])),
    ]);
    check(&table, Format::Tsv, "\"a\tb\"\tn\nx,y\t-1\n\"x\ty\"\t-9223372036854775808\n");
}

#[test]
fn csv_options_are_honoured() {
    let table = batch(vec![
        column("a", StringArray::from(vec![Some("=1+1"), Some("NA"), None, Some("")])),
        column("b", Int64Array::from(vec![Some(-1), None, Some(2), Some(3)])),
    ]);
    let plain = OutputOptions::default();
    check_with(&table, &plain, "a,b\n=1+1,-1\nNA,\n,2\n\"\",3\n");
    let null = OutputOptions { null: "NA".into(), header: false, ..plain.clone() };
    check_with(&table, &null, "=1+1,-1\n\"NA\",NA\nNA,2\n,3\n");
    let excel = OutputOptions { bom: true, excel_safe: true, ..plain.clone() };
    check_with(&table, &excel, "\u{FEFF}a,b\n'=1+1,-1\nNA,\n,2\n\"\",3\n");
    let odd = OutputOptions { null: "a,b".into(), ..plain };
    check_with(&table, &odd, "a,b\n=1+1,-1\nNA,\"a,b\"\n\"a,b\",2\n,3\n");
}

#[test]
fn csv_safe_for_excel_prefixes_what_would_run() {
    let table = batch(vec![column("=a", StringArray::from(vec!["+1", "-1", "@x", "\tx", "\rx", "=\"a\"", "a=1"]))]);
    let options = OutputOptions { excel_safe: true, ..OutputOptions::default() };
    check_with(&table, &options, "'=a\n'+1\n'-1\n'@x\n'\tx\n\"'\rx\"\n\"'=\"\"a\"\"\"\na=1\n");
}

#[test]
fn csv_of_one_column_has_no_blank_lines() {
    let table = batch(vec![column("a", StringArray::from(vec![Some("x"), None, Some("")]))]);
    check(&table, Format::Csv, "a\nx\n\"\"\n\"\"\n");
}

#[test]
fn the_answer_document_is_as_the_contract_says() {
    let columns = r#"{"columns":[{"name":"id","type":"int64"},{"name":"name","type":"text"},"#.to_owned()
        + r#"{"name":"height","type":"float64"},{"name":"price","type":"decimal(10,2)"},"#
        + r#"{"name":"alive","type":"boolean"},{"name":"planted","type":"date"},"#
        + r#"{"name":"seen","type":"timestamp_utc"}],"rows":["#;
    let rows = r#"
[1,"Oak, \"red\"",12.5,"1.50",true,"2024-03-01","2024-03-01T12:34:56Z"],
["9007199254740993","",null,"-0.05",false,"1869-12-31","1969-12-31T23:59:59.999999Z"],
[null,null,null,null,null,null,null]
"#;
    let after = |count| {
        format!("],\"row_count\":{count},\"versions\":{{\"trees\":3}},\"query_id\":\"q1\",\"elapsed_ms\":7}}\n")
    };
    check(&sample(), Format::Json, &format!("{columns}{rows}{}", after(3)));
    check(&sample().slice(0, 0), Format::Json, &format!("{columns}{}", after(0)));
}

#[test]
fn objects_have_each_name_once() {
    let fields = ["a", "a", "a_2"].map(|name| Field::new(name, arrow_schema::DataType::Int64, true)).to_vec();
    let numbers = |from: i64| column("", Int64Array::from(vec![from, from + 10])).1;
    let table = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![numbers(1), numbers(2), numbers(3)]).unwrap();
    check(&table, Format::Objects, "[\n{\"a\":1,\"a_2\":2,\"a_2_2\":3},\n{\"a\":11,\"a_2\":12,\"a_2_2\":13}\n]\n");
    check(&table, Format::Ndjson, "{\"a\":1,\"a_2\":2,\"a_2_2\":3}\n{\"a\":11,\"a_2\":12,\"a_2_2\":13}\n");
    check(&table.slice(0, 0), Format::Objects, "[]\n");
    check(&table.slice(0, 0), Format::Ndjson, "");
}

#[test]
fn geojson_has_geometries_and_properties() {
    check(
        &parks(),
        Format::Geojson,
        "{\"type\":\"FeatureCollection\",\"features\":[\n\
         {\"type\":\"Feature\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[4,0],[4,4],[0,0]]]},\
         \"properties\":{\"name\":\"Duke Park\"}},\n\
         {\"type\":\"Feature\",\"geometry\":null,\"properties\":{\"name\":\"Nowhere\"}}\n]}\n",
    );
    check(&parks(), Format::Csv, "name,shape\nDuke Park,\"POLYGON ((0 0, 4 0, 4 4, 0 0))\"\nNowhere,\n");
    check(
        &parks(),
        Format::Ndjson,
        "{\"name\":\"Duke Park\",\"shape\":{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[4,0],[4,4],[0,0]]]}}\n\
         {\"name\":\"Nowhere\",\"shape\":null}\n",
    );
    let only = parks().project(&[1]).unwrap().slice(1, 1);
    check(
        &only,
        Format::Geojson,
        "{\"type\":\"FeatureCollection\",\"features\":[\n\
         {\"type\":\"Feature\",\"geometry\":null,\"properties\":{}}\n]}\n",
    );
}

#[test]
fn geojson_makes_points_of_latitude_and_longitude() {
    let latitudes = vec![Some(36_000_000), Some(91_000_000), None];
    let stops = batch(vec![
        column("lat", Decimal128Array::from(latitudes).with_precision_and_scale(9, 6).unwrap()),
        column("lon", Float64Array::from(vec![-78.9, -78.9, f64::NAN])),
    ]);
    check(
        &stops,
        Format::Geojson,
        "{\"type\":\"FeatureCollection\",\"features\":[\n\
         {\"type\":\"Feature\",\"geometry\":{\"type\":\"Point\",\"coordinates\":[-78.9,36.000000]},\
         \"properties\":{\"lat\":\"36.000000\",\"lon\":-78.9}},\n\
         {\"type\":\"Feature\",\"geometry\":null,\"properties\":{\"lat\":\"91.000000\",\"lon\":-78.9}},\n\
         {\"type\":\"Feature\",\"geometry\":null,\"properties\":{\"lat\":null,\"lon\":null}}\n]}\n",
    );
}

#[test]
fn tables_are_aligned_and_harmless() {
    let table = batch(vec![
        column("name", StringArray::from(vec![Some("é東"), Some("\u{1b}[31m\n"), None])),
        column("n", Int64Array::from(vec![1, 1000, 20])),
        column("last", StringArray::from(vec!["x", "yy", ""])),
    ]);
    check(
        &table,
        Format::Table,
        concat!(
            " name         | n    | last\n",
            "--------------+------+------\n",
            " é東          |    1 | x\n",
            " \\u{1b}[31m\\n | 1000 | yy\n",
            "              |   20 | \n",
            "(3 rows)\n"
        ),
    );
    check(&batch(vec![column("a", Int64Array::from(vec![1]))]), Format::Table, " a\n---\n 1\n(1 row)\n");
}
