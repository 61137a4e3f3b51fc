//! What is read of the stored files, and what happens when they are not what they should be.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use portico_model::order::{FileAccess, TablePart};
use portico_model::problem::ProblemKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::city::City;

#[tokio::test]
async fn counts_and_extremes_read_no_file() {
    let city = City::new();
    for path in city.paths() {
        fs::remove_file(path).unwrap();
    }
    let sql = r#"SELECT count(*), min(id), max(id), count(note) FROM "permits@3""#;
    assert_eq!(city.lines(sql).await, ["1000,0,999,900"]);
    // What needs reading fails, without a word of where the file should be.
    let problem = city.refused(r#"SELECT sum(id) FROM "permits@3""#).await;
    assert_eq!(problem.kind, ProblemKind::Internal);
    assert!(!format!("{problem:?}").contains(city.directory().to_str().unwrap()));
}

#[tokio::test]
async fn files_without_matching_rows_are_not_opened() {
    let city = City::new();
    fs::remove_file(&city.paths()[1]).unwrap();
    assert_eq!(city.lines(r#"SELECT sum(id) FROM "permits@3" WHERE id < 500"#).await, ["124750"]);
    assert_eq!(city.lines(r#"SELECT id FROM "permits@3" LIMIT 500"#).await.len(), 500);
}

#[tokio::test]
async fn a_part_is_its_row_groups() {
    let city = City::new();
    let mut order = city.order(r#"SELECT min(id), max(id), count(*), sum(id) FROM "permits@3""#);
    order.tables[0].part = Some(TablePart { file: 1, row_group_start: 1, row_group_end: 3 });
    let bytes = city.ask(&order).await.unwrap().bytes;
    assert!(String::from_utf8(bytes).unwrap().ends_with("\n600,799,200,139900\n"));
    for (start, end) in [(3, 3), (9, 12)] {
        order.tables[0].part = Some(TablePart { file: 1, row_group_start: start, row_group_end: end });
        let bytes = city.ask(&order).await.unwrap().bytes;
        assert!(String::from_utf8(bytes).unwrap().ends_with(",0,\n"));
    }
}

#[tokio::test]
async fn a_changed_file_is_not_served() {
    let city = City::new();
    let sql = r#"SELECT sum(id) FROM "permits@3""#;
    assert_eq!(city.lines(sql).await, ["499500"]);
    let file = fs::OpenOptions::new().read(true).write(true).open(&city.paths()[0]).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 40).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 40).unwrap();
    drop(file);
    assert_eq!(city.refused(sql).await.kind, ProblemKind::Internal);
    // Other files are.
    assert_eq!(city.lines(r#"SELECT count(*) FROM "permits@3" WHERE id >= 500 AND score > 0"#).await, ["500"]);
}

/// What is asked of files in which a bit is flipped: all of them, one column, a few rows.
const ASKED: [&str; 3] = [
    r#"SELECT * FROM "permits@3" ORDER BY id"#,
    r#"SELECT sum(score) FROM "permits@3""#,
    r#"SELECT id, note FROM "permits@3" WHERE id IN (17, 430, 620) ORDER BY id"#,
];

#[tokio::test]
async fn a_flipped_bit_anywhere_is_a_problem_or_is_not_read() {
    let sound = City::new();
    let mut truth = Vec::new();
    for sql in ASKED {
        truth.push(sound.csv(sql).await);
    }
    let bytes = fs::read(&sound.paths()[0]).unwrap();
    let mut problems = 0;
    for byte in (0..bytes.len()).step_by(bytes.len() / 10) {
        for remote in [false, true] {
            // A worker that has seen nothing of the file.
            let city = City::new();
            let mut flipped = bytes.clone();
            flipped[byte] ^= 1 << (byte % 8);
            fs::write(&city.paths()[0], flipped).unwrap();
            let access = if remote {
                let address = object_storage(city.paths()).await;
                Some((0..2).map(|index| FileAccess::Url(format!("{address}/{index}"))).collect::<Vec<_>>())
            } else {
                None
            };
            for (sql, truth) in ASKED.iter().zip(&truth) {
                let mut order = city.order(sql);
                order.tables[0].access = access.clone().unwrap_or(order.tables[0].access.clone());
                match city.ask(&order).await {
                    Ok(answer) => assert_eq!(String::from_utf8(answer.bytes).unwrap(), *truth, "byte {byte}"),
                    Err(problem) => {
                        assert_eq!(problem.kind, ProblemKind::Internal, "{problem:?}");
                        problems += 1;
                    }
                }
            }
        }
    }
    assert!(problems > 25, "{problems} problems");
}

#[tokio::test]
async fn a_file_of_another_size_is_not_served() {
    let city = City::new();
    let file = fs::OpenOptions::new().append(true).open(&city.paths()[1]).unwrap();
    file.set_len(100).unwrap();
    assert_eq!(city.refused(r#"SELECT sum(id) FROM "permits@3""#).await.kind, ProblemKind::Internal);
}

#[tokio::test]
async fn files_behind_urls_are_read_by_ranges() {
    let city = City::new();
    let address = object_storage(city.paths()).await;
    let mut order = city.order(r#"SELECT sum(id), count(note) FROM "permits@3" WHERE borough <> 'Bronx'"#);
    order.tables[0].access = (0..2).map(|index| FileAccess::Url(format!("{address}/{index}?signature=x"))).collect();
    let bytes = city.ask(&order).await.unwrap().bytes;
    assert!(String::from_utf8(bytes).unwrap().ends_with("\n400000,800\n"));
    order.sql = r#"SELECT score FROM "permits@3""#.into();
    order.tables[0].access = vec![FileAccess::Url(format!("{address}/9")); 2];
    order.tables[0].manifest.files[0].sha256 = "1".repeat(64);
    let problem = city.ask(&order).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Internal);
    assert!(!format!("{problem:?}").contains("http"));
}

/// Answers `GET /{index}` with a range, as object storage does.
async fn object_storage(files: Vec<PathBuf>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let files = files.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                while stream.read_buf(&mut request).await.unwrap() > 0 {
                    if !request.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let text = String::from_utf8(std::mem::take(&mut request)).unwrap();
                    stream.write_all(&respond(&text, &files)).await.unwrap();
                }
            });
        }
    });
    address
}

fn respond(request: &str, files: &[PathBuf]) -> Vec<u8> {
    let index = request.strip_prefix("GET /").unwrap().chars().next().unwrap().to_digit(10).unwrap();
    let Some(path) = files.get(usize::try_from(index).unwrap()) else {
        return b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec();
    };
    let range = request.lines().find_map(|line| line.strip_prefix("range: bytes=")).unwrap();
    let (start, end) = range.split_once('-').unwrap();
    let bytes = fs::read(path).unwrap();
    let part = &bytes[start.parse().unwrap()..=end.parse().unwrap()];
    let mut response = format!("HTTP/1.1 206 Partial Content\r\ncontent-length: {}\r\n\r\n", part.len()).into_bytes();
    response.extend_from_slice(part);
    response
}
