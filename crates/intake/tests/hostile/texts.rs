//! Delimited text and JSON: lengths, depths, marks and encodings; and files that are something else.

use portico_model::limits::IntakeLimits;

use super::Expect::{Blocked, Finding, Refused, Rows};
use super::{Sample, beyond, sample};

pub(super) fn samples(limits: &IntakeLimits) -> Vec<Sample> {
    let mut all = delimited(limits);
    all.extend(json(limits));
    all.extend(others());
    all
}

fn delimited(limits: &IntakeLimits) -> Vec<Sample> {
    let nuls = ["a,b\n", &"1,some text\n".repeat(100), "2,\0\n\u{0}3,x\0y\n"].concat();
    let line = "x".repeat(beyond(limits.row_bytes));
    let fields = ",".repeat(1_200_000);
    let columns = "a,".repeat(400_000);
    let header = format!("{},b\n1,2\n", "h".repeat(10_000_000.min(beyond(limits.cell_bytes) - 2_048)));
    let flips = |last: &str| format!("a,b\n{}{last},x\n", "1,x\n".repeat(70_000));
    let open = format!("a,b\n1,2\n3,\"{}", "x,y\n".repeat(1_000));
    let mixed = ["a,b\r\n", &"1,x\r\n".repeat(5), "2,x\r3,y\r", &"4,z\r\n".repeat(5)].concat();
    let lines = |from: u32, to: u32| (from..to).map(|row| format!("{row},v\n")).collect::<String>();
    let swallowed = format!("a,b\n{}20,\"open\n{}60,end\"\n{}", lines(1, 20), lines(21, 60), lines(61, 70));
    let endless = format!("a,b\n1,2\n3,\"{}", "x,y\n".repeat(beyond(limits.row_bytes)));
    vec![
        sample("csv: one endless line", "t.csv", line.clone(), Refused("row_bytes")),
        sample("csv: an endless row", "t.csv", format!("a,b\n1,{line}"), Refused("_bytes")),
        sample("csv: 400,000 columns", "t.csv", format!("{columns}b\n1,2\n"), Refused("columns")),
        sample("csv: 1.2 million fields in a row", "t.csv", format!("a,b\n1,2\n{fields}\n"), Refused("(data row 2)")),
        sample("csv: mark never closed", "t.csv", open, Refused("data row 2 is never closed")),
        sample("csv: mark never closed, endless", "t.csv", endless, Refused("may never be closed")),
        sample("csv: NUL bytes", "t.csv", nuls, Finding("nul_bytes_removed")),
        sample("csv: nothing but NUL", "t.csv", vec![0; 4_096], Refused("binary")),
        sample(
            "csv: mixed encodings",
            "t.csv",
            &b"a,b\n1,caf\xC3\xA9\n2,caf\xE9\n3,na\xC3\xAFve\n"[..],
            Finding("encoding_mixed"),
        ),
        sample("csv: ends of lines of two sorts", "t.csv", &b"a\n1\r2\r3\r"[..], Blocked("line_ends_mixed")),
        sample("csv: the other sort in the middle", "t.csv", mixed.clone(), Blocked("line_ends_mixed")),
        sample("csv: the other sort after marks", "t.csv", &b"a,b\n1,\"x\"\r2,\"y\"\n"[..], Blocked("line_ends_mixed")),
        sample("csv: the other sort in the header", "t.csv", &b"a,b\r1,2\n3,4\n"[..], Blocked("line_ends_mixed")),
        sample("csv: a mark that takes rows with it", "t.csv", swallowed, Finding("quote_spans_rows")),
        sample("csv: the end mark of DOS", "t.csv", format!("a,b\n{}\x1A", lines(0, 20)), Rows(20)),
        sample("csv: it is told", "t.csv", format!("a,b\n{}1,2\x1A", lines(0, 20)), Finding("dos_end_removed")),
        sample("csv: no bytes", "t.csv", &b""[..], Refused("empty")),
        sample("csv: a mark and nothing else", "t.csv", &b"\xEF\xBB\xBF"[..], Refused("empty")),
        sample("csv: blank lines", "t.csv", &b"\n\r\n\n"[..], Refused("empty")),
        sample("csv: repeated names", "t.csv", &b"a,a,A\n1,2,3\n"[..], Finding("column_renamed")),
        sample("csv: names of another kind", "t.csv", &b"__proto__,select,\"a\"\"b\"\n1,2,3\n"[..], Rows(1)),
        sample("csv: a name of megabytes", "t.csv", header, Refused("column name is longer")),
        sample("csv: the type changes late", "t.csv", flips("1.5"), Finding("type_widened")),
        sample("csv: the type changes late to text", "t.csv", flips("n/a"), Finding("type_widened")),
    ]
}

fn json(limits: &IntakeLimits) -> Vec<Sample> {
    let deep = |open: &str, close: &str| format!("{{\"a\":{}1{}}}\n", open.repeat(100_000), close.repeat(100_000));
    let keys = |count: u64| {
        let members: Vec<String> = (0..count).map(|key| format!("\"k{key}\":{key}")).collect();
        format!("{{{}}}\n", members.join(","))
    };
    let text = "x".repeat(beyond(limits.cell_bytes));
    let row = "0,".repeat(beyond(limits.row_bytes) / 2);
    let list = "0,".repeat(beyond(limits.cell_bytes) / 2 - 1_024);
    let points = "[0,0],".repeat(beyond(limits.cell_bytes) / 6);
    let feature = format!(
        "{{\"type\":\"FeatureCollection\",\"features\":[{{\"type\":\"Feature\",\"properties\":{{}},\"geometry\":\
         {{\"type\":\"LineString\",\"coordinates\":[{points}[1,1]]}}}}]}}"
    );
    vec![
        // Space elsewhere, none in JSON: reading did not get beyond it once.
        sample("json: a form feed for space", "t.json", &b"{\"a\":[\x0c1]}"[..], Refused("JSON")),
        sample(
            "geojson: a form feed in a value",
            "t.geojson",
            &b"{\"features\":[1\x0c,2]}"[..],
            Refused("no features"),
        ),
        sample("json: depth 100,000", "t.json", deep("[", "]"), Refused("depth")),
        sample("json: depth 100,000, objects", "t.ndjson", deep("{\"a\":", "}"), Refused("depth")),
        sample("json: outer depth", "t.json", "[".repeat(100_000), Refused("array of arrays")),
        sample("json: many keys", "t.ndjson", keys(limits.columns + 1), Refused("columns")),
        sample(
            "json: keys anew in every row",
            "t.ndjson",
            (0..limits.columns).map(|key| format!("{{\"k{key}\":1,\"l{key}\":2}}\n")).collect::<String>(),
            Refused("columns"),
        ),
        sample("json: endless string", "t.ndjson", format!("{{\"a\":\"{text}\"}}\n"), Refused("cell_bytes")),
        sample("json: endless row", "t.ndjson", format!("{{\"a\":[{row}0]}}\n"), Refused("_bytes")),
        sample("json: endless list", "t.json", format!("[{{\"a\":[{list}0]}}]"), Rows(1)),
        sample("json: endless geometry", "t.geojson", feature, Refused("a geometry has more bytes")),
        sample(
            "json: half a pair of surrogates",
            "t.ndjson",
            &b"{\"a\":\"x\\ud800y\"}\n"[..],
            Finding("surrogate_halves"),
        ),
        sample("json: the wrong half", "t.ndjson", &b"{\"a\":\"\\ud83d\\u0041\"}\n"[..], Refused("not well-formed")),
        sample(
            "geojson: a key like the geometry's",
            "t.geojson",
            &b"{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"properties\":\
               {\"\\u001fgeometry\":null},\"geometry\":null}]}"[..],
            Refused("U+001F"),
        ),
        sample(
            "json: members beside the rows",
            "t.json",
            &b"{\"id\":1,\"items\":[{\"a\":1},{\"a\":2}]}"[..],
            Finding("members_not_read"),
        ),
        sample(
            "json: rows with two arrays of objects",
            "t.ndjson",
            "{\"a\":[{\"x\":1}],\"b\":[{\"y\":1}]}\n".repeat(2),
            Rows(2),
        ),
        sample("json: cut short", "t.json", &b"[{\"a\":1},{\"a\""[..], Refused("damaged")),
        sample("json: a key twice", "t.ndjson", &b"{\"a\":1,\"a\":2}\n"[..], Finding("key_repeated")),
    ]
}

fn others() -> Vec<Sample> {
    let picture = [&b"GIF89a\x01\0\x01\0/*"[..], b"*/=1;a,b\n1,2\n"].concat();
    vec![
        sample("other: a page", "t.csv", &b"<!DOCTYPE html><script>alert(1)</script>"[..], Refused("an HTML page")),
        sample("other: a drawing", "t.csv", &b"<svg onload='x'/>"[..], Refused("XML or HTML")),
        sample("other: a picture with a table", "t.csv", picture, Refused("an image")),
        sample("other: a name like ORC", "t.csv", &b"ORCHARD,ACRES\nx,2\n"[..], Rows(1)),
        sample("other: a name like Parquet", "t.csv", &b"PAR1,PAR2\nx,2\n"[..], Rows(1)),
        sample("other: a program", "t.csv", &b"\x7FELF\x02\x01\x01"[..], Refused("a program")),
        sample("other: text as Parquet", "t.parquet", &b"a,b\n1,2\n"[..], Rows(1)),
        sample("other: script within a table", "t.csv", &b"a,b\n<script>alert(1)</script>,2\n"[..], Rows(1)),
    ]
}
