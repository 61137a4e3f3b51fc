//! Every type of Arrow, in every format.

use arrow::array::*;
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    Int8Type, Int32Type, IntervalDayTime, IntervalDayTimeType, IntervalMonthDayNano, IntervalMonthDayNanoType, i256,
};
use arrow_schema::{DataType, UnionFields, UnionMode};

use super::*;

/// One column, the CSV spelling of its two rows (the second is null unless said otherwise), the JSON of the first.
struct Case {
    name: &'static str,
    array: ArrayRef,
    csv: &'static str,
    json: &'static str,
}

fn case(name: &'static str, array: impl Array + 'static, csv: &'static str, json: &'static str) -> Case {
    Case { name, array: Arc::new(array), csv, json }
}

fn numbers() -> Vec<Case> {
    vec![
        case("int8", Int8Array::from(vec![Some(i8::MIN), None]), "-128", "-128"),
        case("int16", Int16Array::from(vec![Some(i16::MIN), None]), "-32768", "-32768"),
        case("int32", Int32Array::from(vec![Some(i32::MIN), None]), "-2147483648", "-2147483648"),
        case("int64", Int64Array::from(vec![Some(1 << 53), None]), "9007199254740992", "9007199254740992"),
        case("uint8", UInt8Array::from(vec![Some(255), None]), "255", "255"),
        case("uint16", UInt16Array::from(vec![Some(65_535), None]), "65535", "65535"),
        case("uint32", UInt32Array::from(vec![Some(u32::MAX), None]), "4294967295", "4294967295"),
        case(
            "uint64",
            UInt64Array::from(vec![Some(u64::MAX), None]),
            "18446744073709551615",
            "\"18446744073709551615\"",
        ),
        case(
            "float16",
            arrow::compute::cast(&Float32Array::from(vec![Some(1.5), None]), &DataType::Float16).unwrap(),
            "1.5",
            "1.5",
        ),
        case("float32", Float32Array::from(vec![Some(0.1), None]), "0.1", "0.1"),
        case("float64", Float64Array::from(vec![Some(1e300), None]), "1e+300", "1e+300"),
        case(
            "decimal32",
            Decimal32Array::from(vec![Some(125), None]).with_precision_and_scale(5, 2).unwrap(),
            "1.25",
            "\"1.25\"",
        ),
        case(
            "decimal64",
            Decimal64Array::from(vec![Some(-125), None]).with_precision_and_scale(15, 1).unwrap(),
            "-12.5",
            "\"-12.5\"",
        ),
        case(
            "decimal128",
            Decimal128Array::from(vec![Some(7), None]).with_precision_and_scale(20, 3).unwrap(),
            "0.007",
            "\"0.007\"",
        ),
        case(
            "decimal256",
            Decimal256Array::from(vec![Some(i256::from_i128(-1)), None]).with_precision_and_scale(50, 2).unwrap(),
            "-0.01",
            "\"-0.01\"",
        ),
        case("boolean", BooleanArray::from(vec![Some(false), None]), "false", "false"),
    ]
}

fn moments() -> Vec<Case> {
    let day_time = IntervalDayTimeArray::from(vec![Some(IntervalDayTime::new(1, 500)), None]);
    let month_day = IntervalMonthDayNano::new(14, -3, 1);
    vec![
        case("date32", Date32Array::from(vec![Some(0), None]), "1970-01-01", "\"1970-01-01\""),
        case("date64", Date64Array::from(vec![Some(86_400_000), None]), "1970-01-02", "\"1970-01-02\""),
        case(
            "date64_clock",
            Date64Array::from(vec![Some(1), None]),
            "1970-01-01T00:00:00.001",
            "\"1970-01-01T00:00:00.001\"",
        ),
        case("time32_s", Time32SecondArray::from(vec![Some(61), None]), "00:01:01", "\"00:01:01\""),
        case("time32_ms", Time32MillisecondArray::from(vec![Some(61_500), None]), "00:01:01.500", "\"00:01:01.500\""),
        case("time64_us", Time64MicrosecondArray::from(vec![Some(1), None]), "00:00:00.000001", "\"00:00:00.000001\""),
        case(
            "time64_ns",
            Time64NanosecondArray::from(vec![Some(1), None]),
            "00:00:00.000000001",
            "\"00:00:00.000000001\"",
        ),
        case(
            "timestamp_s",
            TimestampSecondArray::from(vec![Some(-1), None]),
            "1969-12-31T23:59:59",
            "\"1969-12-31T23:59:59\"",
        ),
        case(
            "timestamp_ms",
            TimestampMillisecondArray::from(vec![Some(1), None]),
            "1970-01-01T00:00:00.001",
            "\"1970-01-01T00:00:00.001\"",
        ),
        case(
            "timestamp_zone",
            TimestampNanosecondArray::from(vec![Some(0), None]).with_timezone("+05:00"),
            "1970-01-01T00:00:00Z",
            "\"1970-01-01T00:00:00Z\"",
        ),
        case("duration_s", DurationSecondArray::from(vec![Some(-90_061), None]), "-P1DT1H1M1S", "\"-P1DT1H1M1S\""),
        case("duration_ms", DurationMillisecondArray::from(vec![Some(1_500), None]), "PT1.500S", "\"PT1.500S\""),
        case("duration_us", DurationMicrosecondArray::from(vec![Some(-1), None]), "-PT0.000001S", "\"-PT0.000001S\""),
        case("duration_ns", DurationNanosecondArray::from(vec![Some(0), None]), "PT0S", "\"PT0S\""),
        case("interval_ym", IntervalYearMonthArray::from(vec![Some(14), None]), "P1Y2M", "\"P1Y2M\""),
        case(
            "interval_dt",
            PrimitiveArray::<IntervalDayTimeType>::from(day_time.to_data()),
            "P1DT0.500S",
            "\"P1DT0.500S\"",
        ),
        case(
            "interval_mdn",
            PrimitiveArray::<IntervalMonthDayNanoType>::from(vec![Some(month_day), None]),
            "P1Y2M-3DT0.000000001S",
            "\"P1Y2M-3DT0.000000001S\"",
        ),
    ]
}

fn texts() -> Vec<Case> {
    let keys = Int8Array::from(vec![Some(1), None]);
    let fixed =
        FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some([1_u8, 0xAB]), None].into_iter(), 2).unwrap();
    vec![
        case("null", NullArray::new(2), "", "null"),
        case("utf8", StringArray::from(vec![Some("a,b"), None]), "\"a,b\"", "\"a,b\""),
        case("large_utf8", LargeStringArray::from(vec![Some("a"), None]), "a", "\"a\""),
        case(
            "utf8_view",
            StringViewArray::from(vec![Some("longer than twelve, with a comma"), None]),
            "\"longer than twelve, with a comma\"",
            "\"longer than twelve, with a comma\"",
        ),
        case("binary", BinaryArray::from(vec![Some(b"\x00\xff".as_slice()), None]), "00ff", "\"00ff\""),
        case("large_binary", LargeBinaryArray::from(vec![Some(b"\x01".as_slice()), None]), "01", "\"01\""),
        case("binary_view", BinaryViewArray::from(vec![Some(b"\x02".as_slice()), None]), "02", "\"02\""),
        case("fixed_binary", fixed, "01ab", "\"01ab\""),
        case(
            "dictionary",
            DictionaryArray::<Int8Type>::new(keys, Arc::new(StringArray::from(vec!["x", "y,z"]))),
            "\"y,z\"",
            "\"y,z\"",
        ),
        case(
            "empty_dictionary",
            DictionaryArray::<Int8Type>::new(
                Int8Array::from(vec![None, None]),
                Arc::new(StringArray::from(Vec::<&str>::new())),
            ),
            "",
            "null",
        ),
        case(
            "runs",
            RunArray::<Int32Type>::try_new(&Int32Array::from(vec![1, 2]), &StringArray::from(vec![Some("r"), None]))
                .unwrap(),
            "r",
            "\"r\"",
        ),
    ]
}

fn nested() -> Vec<Case> {
    let item = Arc::new(Field::new_list_field(DataType::Int64, true));
    let list = |rows| ListArray::from_iter_primitive::<arrow::datatypes::Int64Type, _, _>(rows);
    let items: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4)]));
    let nulls = Some(vec![true, false].into());
    let fixed = FixedSizeListArray::try_new(item.clone(), 2, items.clone(), nulls.clone()).unwrap();
    let view =
        ListViewArray::try_new(item, ScalarBuffer::from(vec![1, 0]), ScalarBuffer::from(vec![2, 0]), items, nulls)
            .unwrap();
    let members = vec![
        (Arc::new(Field::new("a", DataType::Int64, true)), column("", Int64Array::from(vec![1, 2])).1),
        (Arc::new(Field::new("b\"", DataType::Utf8, true)), Arc::new(StringArray::from(vec![None, Some("x")]))),
    ];
    let record = StructArray::from(members);
    let union_fields =
        UnionFields::try_new([0, 5], [Field::new("n", DataType::Int64, true), Field::new("t", DataType::Utf8, true)])
            .unwrap();
    let union = UnionArray::try_new(
        union_fields,
        ScalarBuffer::from(vec![5_i8, 0]),
        Some(ScalarBuffer::from(vec![0, 0])),
        vec![Arc::new(Int64Array::from(vec![None])), Arc::new(StringArray::from(vec!["u,"]))],
    )
    .unwrap();
    assert!(matches!(union.data_type(), DataType::Union(_, UnionMode::Dense)));
    vec![
        case("list", list(vec![Some(vec![Some(1), None]), None]), "\"[1,null]\"", "[1,null]"),
        case("fixed_list", fixed, "\"[1,null]\"", "[1,null]"),
        case("list_view", view, "\"[null,3]\"", "[null,3]"),
        case("struct", record, "\"{\"\"a\"\":1,\"\"b\\\"\"\"\":null}\"", "{\"a\":1,\"b\\\"\":null}"),
        case("map", map(), "\"{\"\"k\"\":7}\"", "{\"k\":7}"),
        case("union", union, "\"u,\"", "\"u,\""),
    ]
}

fn map() -> MapArray {
    let entries = StructArray::from(vec![
        (Arc::new(Field::new("keys", DataType::Utf8, false)), column("", StringArray::from(vec!["k"])).1),
        (Arc::new(Field::new("values", DataType::Int64, true)), Arc::new(Int64Array::from(vec![7]))),
    ]);
    let field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    MapArray::new(field, OffsetBuffer::new(vec![0, 1, 1].into()), entries, None, false)
}

fn cases() -> Vec<Case> {
    [numbers(), moments(), texts(), nested()].into_iter().flatten().collect()
}

#[test]
fn every_type_is_spelt_in_csv_and_json() {
    for case in cases() {
        // A second column keeps blank lines out of the picture.
        let table = batch(vec![(case.name.to_owned(), case.array), column("n", Int64Array::from(vec![1, 2]))]);
        let csv = text(&table, Format::Csv);
        assert_eq!(csv.lines().nth(1), Some(format!("{},1", case.csv).as_str()), "{}", case.name);
        let rows = text(&table, Format::Json);
        assert_eq!(rows.lines().nth(1), Some(format!("[{},1],", case.json).as_str()), "{}", case.name);
        if !matches!(case.name, "struct" | "map") {
            assert_eq!(csv.lines().nth(2), Some(",2"), "{}", case.name);
            assert_eq!(rows.lines().nth(2), Some("[null,2]"), "{}", case.name);
        }
    }
}

#[test]
fn every_type_is_written_in_every_format() {
    let places =
        vec![column("lat", Float64Array::from(vec![1.0, 2.0])), column("lon", Float64Array::from(vec![1.0, 2.0]))];
    for case in cases() {
        let mut columns = vec![(case.name.to_owned(), case.array)];
        columns.extend(places.clone());
        let table = batch(columns);
        for kind in kinds() {
            let twice = [table.clone(), table.slice(1, 1)];
            let result = encode_with(&twice, kind, &OutputOptions::default());
            assert!(result.is_ok(), "{} as {}: {result:?}", case.name, kind.extension());
        }
    }
}

#[test]
fn slices_are_written_from_their_own_rows() {
    for case in cases() {
        let table = batch(vec![(case.name.to_owned(), case.array), column("n", Int64Array::from(vec![1, 2]))]);
        let whole = text(&table, Format::Ndjson);
        let second = text(&table.slice(1, 1), Format::Ndjson);
        assert_eq!(whole.lines().nth(1), second.lines().next(), "{}", case.name);
    }
}
