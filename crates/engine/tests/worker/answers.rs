//! What statements give, and in which form it comes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Date32Type, Int64Type, Schema};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use portico_model::format::{Compression, Format};
use portico_model::order::{IpcCompression, ParameterValue, VirtualTable, Work};
use portico_model::problem::ProblemKind;

use crate::city::{BOROUGHS, City, ROWS, output, with};

#[tokio::test]
async fn filters_and_projections_are_answered() {
    let city = City::new();
    let csv = city.csv(r#"SELECT borough, cost FROM "permits@3" WHERE id = 7"#).await;
    assert_eq!(csv, "borough,cost\nManhattan,0.07\n");
    let lines = city.lines(r#"SELECT id FROM "permits@3" WHERE note IS NULL AND id BETWEEN 95 AND 111"#).await;
    assert_eq!(lines, ["100", "110"]);
    assert!(city.lines(r#"SELECT * FROM "permits@3" WHERE id > 5000"#).await.is_empty());
    assert_eq!(city.csv(r#"SELECT id FROM "permits@3" WHERE id < 0"#).await, "id\n");
}

#[tokio::test]
async fn joins_groups_and_windows_are_answered() {
    let city = City::new();
    let groups = city.lines(r#"SELECT borough, count(*), sum(id) FROM "permits@3" GROUP BY borough"#).await;
    assert_eq!(groups.len(), BOROUGHS.len());
    assert_eq!(groups[0], "Bronx,200,99500");
    let joined =
        r#"SELECT count(*) FROM "permits@3" a JOIN "permits@3" b ON a.id = b.id + 1 WHERE b.borough = 'Bronx'"#;
    assert_eq!(city.lines(joined).await, ["200"]);
    let window = r#"SELECT id, row_number() OVER (ORDER BY id DESC) FROM "permits@3" ORDER BY id LIMIT 2"#;
    assert_eq!(city.csv(window).await.lines().skip(1).collect::<Vec<_>>(), ["0,1000", "1,999"]);
    let last = city.csv(r#"SELECT id FROM "permits@3" ORDER BY id DESC LIMIT 3"#).await;
    assert_eq!(last, "id\n999\n998\n997\n");
    let first = city.csv(r#"SELECT id FROM "permits@3" ORDER BY id LIMIT 3 OFFSET 499"#).await;
    assert_eq!(first, "id\n499\n500\n501\n");
    assert_eq!(city.lines(r#"SELECT id FROM "permits@3" LIMIT 3"#).await.len(), 3);
    let union = r#"SELECT min(id) FROM "permits@3" UNION ALL SELECT max(id) FROM "permits@3""#;
    assert_eq!(city.lines(union).await, ["0", "999"]);
}

#[tokio::test]
async fn columns_are_called_as_they_are_written_and_no_two_alike() {
    let city = City::new();
    let sql = r#"SELECT a.id + 1, 1, 1, a.id, b.id, a.*, a.cost
                 FROM "permits@3" a JOIN "permits@3" b ON a.id = b.id ORDER BY b.id LIMIT 0"#;
    let mut order = city.order(sql);
    let csv = String::from_utf8(city.ask(&order).await.unwrap().bytes).unwrap();
    assert!(csv.starts_with("a.id + 1,1,1_2,id,id_2,id_3,") && csv.ends_with(",cost_2\n"), "{csv}");
    order.work = Work::Describe;
    let described = city.ask(&order).await.unwrap().head.columns;
    let names = described.into_iter().map(|column| column.name).collect::<Vec<_>>();
    assert_eq!(names.join(","), csv.trim_end());
    let doubled = city.csv(r#"SELECT *, id FROM "permits@3" WHERE id = 7 ORDER BY id"#).await;
    assert!(doubled.lines().all(|line| line.ends_with(",7") || line.ends_with(",id_2")), "{doubled}");
}

#[tokio::test]
async fn stored_order_is_kept() {
    let city = City::new();
    let mut order = city.order(r#"SELECT id FROM "permits@3" WHERE score >= 0"#);
    order.stored_order = true;
    let csv = String::from_utf8(city.ask(&order).await.unwrap().bytes).unwrap();
    let ids = csv.lines().skip(1).map(|line| line.parse::<i64>().unwrap()).collect::<Vec<_>>();
    assert_eq!(ids, (0..ROWS).collect::<Vec<_>>());
}

#[tokio::test]
async fn flight_answers_have_plain_types() {
    let city = City::new();
    let mut order = city.order(r#"SELECT id, borough, issued, ['a', borough] AS tags FROM "permits@3" ORDER BY id"#);
    order.output = output(Format::Flight);
    for compression in [IpcCompression::None, IpcCompression::Lz4, IpcCompression::Zstd] {
        order.output.options.ipc_compression = compression;
        let collected = city.ask(&order).await.unwrap();
        let batches = collected.batches();
        let batch = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
        assert_eq!(batch.num_rows(), 1_000);
        assert_eq!(collected.tail.rows, 1_000);
        assert_eq!(batch.column(1).data_type(), &DataType::Utf8);
        let DataType::List(item) = batch.column(3).data_type() else { panic!("{}", batch.schema()) };
        assert_eq!(item.data_type(), &DataType::Utf8);
        assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(999), 999);
        assert_eq!(batch.column(1).as_string::<i32>().value(999), "Staten Island");
        assert_eq!(batch.column(2).as_primitive::<Date32Type>().value(999), 18_099);
    }
}

#[tokio::test]
async fn an_empty_flight_answer_has_its_schema() {
    let city = City::new();
    let mut order = city.order(r#"SELECT id, borough FROM "permits@3" WHERE id < 0"#);
    order.output = output(Format::Flight);
    let collected = city.ask(&order).await.unwrap();
    assert_eq!(collected.messages.len(), 2);
    let schema = Schema::try_from(&collected.messages[0]).unwrap();
    assert_eq!(schema.field(1).data_type(), &DataType::Utf8);
    assert_eq!(collected.tail.rows, 0);
}

#[tokio::test]
async fn every_format_comes_whole() {
    let city = City::new();
    for format in [Format::Csv, Format::Tsv, Format::Json, Format::Objects, Format::Ndjson, Format::Arrow] {
        let mut order = city.order(r#"SELECT id, borough, note FROM "permits@3" ORDER BY id"#);
        order.output = output(format);
        let collected = city.ask(&order).await.unwrap();
        assert_eq!(collected.tail.rows, 1_000, "{format}");
        assert_eq!(collected.tail.bytes, u64::try_from(collected.bytes.len()).unwrap(), "{format}");
        assert_eq!(collected.head.columns[2].name, "note");
        assert_eq!(collected.head.columns[2].data_type, "text");
        match format {
            Format::Json | Format::Objects => {
                serde_json::from_slice::<serde_json::Value>(&collected.bytes).unwrap();
            }
            Format::Arrow => {
                let reader = StreamReader::try_new(collected.bytes.as_slice(), None).unwrap();
                assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 1_000);
            }
            _ => assert!(collected.bytes.len() > 10_000, "{format}"),
        }
    }
    let mut order = city.order(r#"SELECT id FROM "permits@3""#);
    order.output.kind.compression = Compression::Gzip;
    assert_eq!(city.ask(&order).await.unwrap().bytes[..2], [0x1f, 0x8b]);
}

#[tokio::test]
async fn parameters_are_typed() {
    let city = City::new();
    let order = city.order(r#"SELECT count(*) FROM "permits@3" WHERE id < $1 AND borough = $2"#);
    let order = with(with(order, "1", ParameterValue::Int(10)), "2", ParameterValue::Text("Bronx".into()));
    assert_eq!(city.ask(&order).await.unwrap().bytes, b"count(*)\n2\n");

    // Text takes the type of its place, as values in a URL do.
    let named = city.order(r#"SELECT id FROM "permits@3" WHERE issued = $day AND cost < $cost ORDER BY id LIMIT $n"#);
    let named = with(named, "day", ParameterValue::Text("2019-04-14".into()));
    let named = with(named, "cost", ParameterValue::Text("0.02".into()));
    let named = with(named, "n", ParameterValue::Int(5));
    assert_eq!(city.ask(&named).await.unwrap().bytes, b"id\n0\n1\n");

    let value = ipc(Arc::new(Int64Array::from(vec![3])));
    let bound = with(city.order(r#"SELECT id FROM "permits@3" WHERE id = $1"#), "1", ParameterValue::Arrow(value));
    assert_eq!(city.ask(&bound).await.unwrap().bytes, b"id\n3\n");

    let null = with(city.order(r#"SELECT count(*) AS n FROM "permits@3" WHERE id = $1"#), "1", ParameterValue::Null);
    assert_eq!(city.ask(&null).await.unwrap().bytes, b"n\n0\n");

    let injected = with(
        city.order(r#"SELECT count(*) AS n FROM "permits@3" WHERE borough = $1"#),
        "1",
        ParameterValue::Text("x' OR '1'='1".into()),
    );
    assert_eq!(city.ask(&injected).await.unwrap().bytes, b"n\n0\n");
}

#[tokio::test]
async fn parameters_that_do_not_fit_are_named() {
    let city = City::new();
    let sql = r#"SELECT id FROM "permits@3" WHERE id = $1"#;
    let garbage = BASE64_STANDARD.encode([0xff_u8; 64]);
    let wrong = [
        city.order(sql),
        with(city.order(sql), "2", ParameterValue::Int(1)),
        with(city.order(sql), "1", ParameterValue::Text("many".into())),
        with(city.order(sql), "1", ParameterValue::Arrow("?".into())),
        with(city.order(sql), "1", ParameterValue::Arrow(garbage)),
    ];
    for order in wrong {
        let problem = city.ask(&order).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::InvalidParameter, "{problem}");
        assert!(problem.detail.contains("$1"), "{problem}");
    }
}

#[tokio::test]
async fn describe_tells_types_without_running() {
    let city = City::new();
    for path in city.paths() {
        std::fs::remove_file(path).unwrap();
    }
    let mut order =
        city.order(r#"SELECT id, borough, cost * 2 AS twice FROM "permits@3" WHERE issued > $1 AND id < $2"#);
    order.work = Work::Describe;
    let head = city.ask(&order).await.unwrap().head;
    let types = head.columns.iter().map(|column| column.data_type.as_str()).collect::<Vec<_>>();
    assert_eq!(types[..2], ["int64", "text"]);
    let parameters = BASE64_STANDARD.decode(head.parameters_ipc_base64.unwrap()).unwrap();
    let parameters = Schema::try_from(arrow_flight::IpcMessage(parameters.into())).unwrap();
    assert_eq!(parameters.field(0).data_type(), &DataType::Date32);
    assert_eq!(parameters.field(1).name(), "$2");
    assert_eq!(parameters.field(1).data_type(), &DataType::Int64);
    let schema = BASE64_STANDARD.decode(head.schema_ipc_base64).unwrap();
    let schema = Schema::try_from(arrow_flight::IpcMessage(schema.into())).unwrap();
    assert_eq!(schema.field(1).data_type(), &DataType::Utf8);
}

#[tokio::test]
async fn virtual_tables_are_found_quoted_and_qualified() {
    let city = City::new();
    for sql in
        [r#"SELECT table_name FROM "information_schema.tables""#, "SELECT table_name FROM information_schema.tables"]
    {
        let mut order = city.order(sql);
        order.tables.clear();
        order.virtual_tables = vec![VirtualTable {
            name: "information_schema.tables".into(),
            ipc_base64: ipc_named("table_name", Arc::new(StringArray::from(vec!["permits"]))),
        }];
        assert_eq!(city.ask(&order).await.unwrap().bytes, b"table_name\npermits\n");
    }
}

#[tokio::test]
async fn ping_is_answered_and_nothing_else() {
    use arrow_flight::{Action, Empty};
    let city = City::new();
    let mut client = city.client().await;
    let action = |name: &str| Action { r#type: name.into(), body: Default::default() };
    let mut replies = client.do_action(action("ping")).await.unwrap().into_inner();
    assert_eq!(replies.message().await.unwrap().unwrap().body, br#"{"running":0}"#.as_slice());
    assert_eq!(client.do_action(action("stop")).await.unwrap_err().code(), tonic::Code::Unimplemented);
    assert_eq!(client.list_actions(Empty {}).await.unwrap_err().code(), tonic::Code::Unimplemented);
}

fn ipc(column: ArrayRef) -> String {
    ipc_named("value", column)
}

fn ipc_named(name: &str, column: ArrayRef) -> String {
    let batch = RecordBatch::try_from_iter([(name, column)]).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    BASE64_STANDARD.encode(writer.into_inner().unwrap())
}
