//! The storage contract: every test runs in memory, in a directory and, where `PORTICO_TEST_S3` names one (such
//! as `http://127.0.0.1:5555`), on an S3 server, in the bucket of `PORTICO_TEST_S3_BUCKET` or `portico`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(unreachable_pub, dead_code, reason = "the samples are shared with other suites")]

use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use portico_model::blocks::BlockDigests;
use portico_model::order::FileAccess;
use portico_store::{SpooledFile, Storage, StoreError};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[path = "storage/delta.rs"]
mod delta;
#[path = "storage/faults.rs"]
mod faults;
#[path = "support/sample.rs"]
mod sample;

use sample::{bytes, in_blocks, local, no_options, released, server, sha256};

/// More than one request's worth, and not a multiple of any chunk.
const LARGE: usize = 20 * 1024 * 1024 + 4_321;

pub(crate) struct Backend {
    pub(crate) name: &'static str,
    pub(crate) storage: Storage,
    pub(crate) scratch: TempDir,
    /// The memory itself, for who harms what lies there.
    memory: Option<Arc<InMemory>>,
}

/// Every backend there is, empty, with a scratch directory.
pub(crate) async fn backends() -> Vec<Backend> {
    let backend = |name, storage| Backend { name, storage, scratch: tempfile::tempdir().unwrap(), memory: None };
    let memory = Arc::new(InMemory::new());
    let mut found = vec![backend("memory", Storage::over(memory.clone()).unwrap())];
    found[0].memory = Some(memory);
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}/a%20store", directory.path().display());
    let mut disk = backend("disk", Storage::open(&url, &no_options()).unwrap());
    disk.scratch = directory;
    found.push(disk);
    if let Some(endpoint) = server("PORTICO_TEST_S3", "S3") {
        found.push(backend("S3", s3(&endpoint).await));
    }
    found
}

async fn s3(endpoint: &str) -> Storage {
    #[allow(clippy::disallowed_methods, reason = "a test asks where the real servers are")]
    let bucket = std::env::var("PORTICO_TEST_S3_BUCKET").unwrap_or_else(|_| "portico".to_owned());
    // A bucket that exists is fine, and so is a server that lets only its operator make one.
    let _ = http(&format!("{endpoint}/{bucket}"), "PUT", "Content-Length: 0\r\n").await;
    let options = [
        ("endpoint", endpoint),
        ("region", "us-east-1"),
        ("allow_http", "true"),
        ("access_key_id", "test"),
        ("secret_access_key", "test"),
    ];
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    Storage::open(&format!("s3://{bucket}/contract/{}", ulid::Ulid::new()), &options).unwrap()
}

/// One plain HTTP request; answers status and body.
async fn http(url: &str, method: &str, headers: &str) -> (u16, Vec<u8>) {
    let rest = url.strip_prefix("http://").expect("a plain server");
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer.split_off(end + 4))
}

async fn read(storage: &Storage, file: &portico_model::manifest::ReleasedFile) -> Result<Vec<u8>, StoreError> {
    let chunks: Vec<_> = storage.read_released(file, None).await?.try_collect().await?;
    Ok(chunks.concat())
}

/// A part of a finished export.
async fn part(storage: &Storage, key: &str, range: std::ops::Range<u64>) -> Result<Vec<u8>, StoreError> {
    let chunks: Vec<_> = storage.spool_read(key, Some(range)).await?.try_collect().await?;
    Ok(chunks.concat())
}

#[tokio::test]
async fn every_backend_passes_the_self_test_and_is_clean_after() {
    for Backend { name, storage, .. } in backends().await {
        storage.self_test().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(storage.list_released().await.unwrap(), []);
        assert_eq!(storage.list_staged().await.unwrap(), []);
    }
}

#[tokio::test]
async fn staged_bytes_come_back_and_can_be_replaced_and_removed() {
    for Backend { name, storage, scratch, .. } in backends().await {
        for (seed, length) in [(1, 0), (2, 100), (3, LARGE)] {
            let content = bytes(seed, length);
            let staged = storage.put_staged("01REV", &local(scratch.path(), "in", &content)).await.expect(name);
            assert_eq!(staged.sha256, sha256(&content), "{name}");
            let back = scratch.path().join("back");
            storage.fetch_staged(&staged, &back).await.unwrap();
            assert!(std::fs::read(&back).unwrap() == content, "{name} {length}");
        }
        let staged = storage.put_staged("01REV", &local(scratch.path(), "in", b"abc")).await.unwrap();
        let mut other = staged.clone();
        other.sha256 = sha256(b"abd");
        let fetched = storage.fetch_staged(&other, &scratch.path().join("back")).await;
        assert!(matches!(fetched, Err(StoreError::Corrupt { .. })), "{name}: {fetched:?}");
        assert_eq!(storage.list_staged().await.unwrap().len(), 1);
        storage.remove_staged(&staged).await.unwrap();
        storage.remove_staged(&staged).await.unwrap();
        assert_eq!(storage.list_staged().await.unwrap(), []);
        let gone = storage.fetch_staged(&staged, &scratch.path().join("back")).await;
        assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{name}: {gone:?}");
    }
}

#[tokio::test]
async fn a_released_path_only_ever_holds_one_content() {
    for Backend { name, storage, scratch, .. } in backends().await {
        for length in [5_000, LARGE] {
            let (one, two) = (bytes(1, length), bytes(2, length));
            let first = storage.put_released("ROOT", "01F", &local(scratch.path(), "in", &one)).await.expect(name);
            let again = storage.put_released("ROOT", "01F", &local(scratch.path(), "in", &one)).await.unwrap();
            let other = storage.put_released("ROOT", "01F", &local(scratch.path(), "in", &two)).await.unwrap();
            assert_eq!(first, again, "{name}");
            assert_ne!(first, other, "{name}");
            assert!(read(&storage, &released(&first, &one)).await.unwrap() == one, "{name}");
            assert!(read(&storage, &released(&other, &two)).await.unwrap() == two, "{name}");
            storage.verify_released(&released(&first, &one)).await.unwrap();
            for path in [&first, &other] {
                storage.remove_released(path).await.unwrap();
                storage.remove_released(path).await.unwrap();
            }
        }
        assert_eq!(storage.list_released().await.unwrap(), []);
        for (root, id) in [("../x", "01F"), ("ROOT", "../F"), ("", "01F"), ("ROOT", "a/b")] {
            let refused = storage.put_released(root, id, &local(scratch.path(), "in", b"x")).await;
            assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{name}: {refused:?}");
        }
        assert!(matches!(storage.remove_released("ROOT/_delta_log/0.json").await, Err(StoreError::Invalid { .. })));
    }
}

#[tokio::test]
async fn ranges_are_exact_and_outside_is_refused() {
    for Backend { name, storage, scratch, .. } in backends().await {
        let content = bytes(9, LARGE);
        let end = u64::try_from(LARGE).unwrap();
        let path = storage.put_released("ROOT", "01F", &local(scratch.path(), "in", &content)).await.unwrap();
        let file = released(&path, &content);
        for range in [0..1, 5..9, 2_097_151..2_097_153, 1_000..9_000_000, end - 1..end] {
            let chunks: Vec<_> =
                storage.read_released(&file, Some(range.clone())).await.unwrap().try_collect().await.unwrap();
            let wanted = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            assert!(chunks.concat() == content[wanted], "{name} {range:?}");
        }
        for outside in [0..end + 1, end..end, 7..7] {
            let refused = storage.read_released(&file, Some(outside)).await;
            assert!(matches!(refused, Err(StoreError::OutOfRange)), "{name}");
        }
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_or_never_looks_complete() {
    for Backend { name, storage, scratch, .. } in backends().await {
        // Small ones are read through first; what is larger is digested on its way.
        for length in [5_000_000, 64 * 1024 * 1024 + 1] {
            if name == "S3" && length > LARGE {
                continue;
            }
            let content = bytes(4, length);
            let path = storage.put_released("ROOT", "01F", &local(scratch.path(), "in", &content)).await.unwrap();
            let mut file = released(&path, &content);
            file.sha256 = sha256(b"other");
            match storage.read_released(&file, None).await {
                Err(error) => {
                    assert!(matches!(error, StoreError::Corrupt { .. }), "{name}: {error:?}");
                    assert_eq!(length, 5_000_000, "{name}");
                }
                Ok(mut stream) => {
                    let mut seen = 0;
                    let failure = loop {
                        match stream.try_next().await {
                            Ok(Some(chunk)) => seen += chunk.len(),
                            Ok(None) => panic!("{name}: a damaged file ended as if it were whole"),
                            Err(error) => break error,
                        }
                    };
                    assert!(matches!(failure, StoreError::Corrupt { .. }), "{name}: {failure:?}");
                    assert!(seen < length && length > 5_000_000, "{name}");
                }
            }
            let part = storage.read_released(&file, Some(3..9)).await.err();
            assert!(matches!(part, Some(StoreError::Corrupt { .. })), "{name}: {part:?}");
            assert!(matches!(storage.verify_released(&file).await, Err(StoreError::Corrupt { .. })), "{name}");
            let mut longer = released(&path, &content);
            longer.bytes += 1;
            assert!(matches!(storage.read_released(&longer, None).await, Err(StoreError::Corrupt { .. })), "{name}");
            storage.remove_released(&path).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_is_found_before_a_byte_of_its_block_comes_out() {
    for backend in backends().await {
        let Backend { name, storage, scratch, .. } = &backend;
        let content = bytes(9, 10_400);
        let path = storage.put_released("ROOT", "01F", &local(scratch.path(), "in", &content)).await.unwrap();
        let file = in_blocks(released(&path, &content), &content);
        assert!(read(storage, &file).await.unwrap() == content, "{name}");
        for damaged in [0, 999, 1_000, 4_321, 9_999, 10_000, 10_399] {
            let mut other = content.clone();
            other[damaged] ^= 16;
            if !backend.harm(&format!("released/{path}"), &other).await {
                continue;
            }
            let bad = damaged / 1_000 * 1_000..(damaged / 1_000 + 1) * 1_000;
            for range in [0..10_400, 0..1_000, 999..1_001, 4_000..4_001, 4_999..10_001, 10_000..10_400] {
                let wanted = Some(u64::try_from(range.start).unwrap()..u64::try_from(range.end).unwrap());
                let mut stream = storage.read_released(&file, wanted).await.unwrap();
                let (mut seen, mut end) = (Vec::new(), Ok(()));
                while let Some(chunk) = stream.next().await {
                    match chunk {
                        Ok(chunk) => seen.extend_from_slice(&chunk),
                        Err(error) => {
                            end = Err(error);
                            break;
                        }
                    }
                }
                let touched = range.start < bad.end && bad.start < range.end;
                let case = format!("{name}: byte {damaged}, {range:?}");
                let corrupt = matches!(end, Err(StoreError::Corrupt { .. }));
                assert!(corrupt == touched && end.is_ok() != touched, "{case}: {end:?}");
                let until = if touched { bad.start.max(range.start) } else { range.end };
                let good = &content[range.start..until];
                assert!(good.starts_with(&seen) && (touched || seen.len() == good.len()), "{case}");
            }
        }
        let mut short = file.clone();
        short.bytes -= 1_000;
        let mut list_of_another = file;
        list_of_another.blocks = in_blocks(released("", b""), &content[..9_000]).blocks;
        for wrong in [short, list_of_another] {
            let refused = storage.read_released(&wrong, Some(0..10)).await.err();
            assert!(matches!(refused, Some(StoreError::Corrupt { .. })), "{name}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn a_verdict_ends_with_the_state_of_the_file_that_it_was_given_for() {
    for backend in backends().await {
        let Backend { name, storage, scratch, .. } = &backend;
        let content = bytes(5, 100_000);
        let path = storage.put_released("ROOT", "01F", &local(scratch.path(), "in", &content)).await.unwrap();
        let file = released(&path, &content);
        let range = || storage.read_released(&file, Some(10..20));
        let part: Vec<_> = range().await.unwrap().try_collect().await.unwrap();
        assert!(part.concat() == content[10..20], "{name}");
        let under_way = range().await.unwrap();
        // Other bytes of the same size, far from the range: put there by no program of ours.
        let mut other = content.clone();
        other[90_000] ^= 1;
        if !backend.harm(&format!("released/{path}"), &other).await {
            continue;
        }
        let refused = range().await.err();
        assert!(matches!(refused, Some(StoreError::Corrupt { .. })), "{name}: {refused:?}");
        let broken: Result<Vec<_>, _> = under_way.try_collect().await;
        assert!(matches!(broken, Err(StoreError::Corrupt { .. })), "{name}: {broken:?}");
    }
}

#[tokio::test]
async fn a_staged_file_becomes_a_released_one_without_passing_through_here() {
    for Backend { name, storage, scratch, .. } in backends().await {
        let content = bytes(8, LARGE);
        let staged = storage.put_staged("01R.part-00000", &local(scratch.path(), "in", &content)).await.unwrap();
        let path = storage.release_staged("ROOT", "01R.part-00000", &staged).await.expect(name);
        let again = storage.release_staged("ROOT", "01R.part-00000", &staged).await.expect(name);
        assert_eq!(path, again, "{name}");
        assert!(read(&storage, &released(&path, &content)).await.unwrap() == content, "{name}");
        storage.remove_staged(&staged).await.unwrap();
        assert!(read(&storage, &released(&path, &content)).await.unwrap() == content, "{name}");
        // Done, so that nothing in staging is needed any more.
        assert_eq!(storage.release_staged("ROOT", "01R.part-00000", &staged).await.unwrap(), path, "{name}");
        let gone = storage.release_staged("ROOT", "02R.part-00000", &staged).await;
        assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{name}: {gone:?}");
        // A staged file that is not what its record says is released nowhere.
        let mut wrong = storage.put_staged("03R", &local(scratch.path(), "in", &bytes(1, 900))).await.unwrap();
        wrong.sha256 = sha256(&bytes(2, 900));
        let refused = storage.release_staged("ROOT", "03R", &wrong).await;
        assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{name}: {refused:?}");
        assert_eq!(storage.list_released().await.unwrap().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_damaged_export_is_none_and_is_gone() {
    for backend in backends().await {
        let Backend { name, storage, scratch, .. } = &backend;
        let content = bytes(7, 3_000_000);
        for harm in ["bytes", "record"] {
            let file = local(scratch.path(), "in", &content);
            storage.spool_put("a.csv", &file, SpooledFile { rows: Some(3), ..SpooledFile::default() }).await.unwrap();
            assert!(storage.spool_get("a.csv").await.unwrap().is_some(), "{name}");
            let mut other = content.clone();
            other[2_999_999] ^= 128;
            let harmed = match harm {
                "bytes" => backend.harm("spool/files/a.csv", &other).await,
                _ => backend.harm("spool/records/a.csv", b"{\"rows\":4}").await,
            };
            if !harmed {
                continue;
            }
            let verified = storage.spool_verify("a.csv").await;
            assert!(matches!(verified, Err(StoreError::Corrupt { .. })), "{name} {harm}: {verified:?}");
            // Where the damage is, and where it is not.
            let parts = [2_999_998..3_000_000, 1..2].map(|range| part(storage, "a.csv", range));
            let [there, elsewhere] = futures::future::join_all(parts).await.try_into().unwrap();
            assert!(matches!(there, Err(StoreError::Corrupt { .. })), "{name} {harm}: {there:?}");
            assert!(elsewhere.is_err() || elsewhere.is_ok_and(|part| part == content[1..2]), "{name} {harm}");
            assert_eq!(storage.spool_get("a.csv").await.unwrap(), None, "{name} {harm}");
            assert_eq!(storage.spool_list().await.unwrap(), [], "{name} {harm}");
        }
    }
}

impl Backend {
    /// Puts other bytes where an object lies, behind everybody's back; `false` where there is no way to.
    async fn harm(&self, path: &str, content: &[u8]) -> bool {
        match (&self.memory, self.name) {
            (Some(memory), _) => {
                memory.put(&object_store::path::Path::from(path), content.to_vec().into()).await.unwrap();
            }
            (None, "disk") => std::fs::write(self.scratch.path().join("a store").join(path), content).unwrap(),
            (None, _) => return false,
        }
        true
    }
}

#[tokio::test]
async fn a_flipped_bit_on_disk_is_seen_at_the_first_opening() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}/store", directory.path().display());
    let storage = Storage::open(&url, &no_options()).unwrap();
    let mut content = bytes(5, 10_000);
    let path = storage.put_released("ROOT", "01F", &local(directory.path(), "in", &content)).await.unwrap();
    let file = released(&path, &content);
    let FileAccess::Path(at) = storage.access(&file).await.unwrap() else { panic!("a path") };
    assert!(Path::new(&at).is_absolute());
    content[77] ^= 4;
    std::fs::write(&at, &content).unwrap();
    assert!(matches!(storage.access(&file).await, Err(StoreError::Corrupt { .. })));
    let other = Storage::open(&url, &no_options()).unwrap();
    assert!(matches!(other.access(&file).await, Err(StoreError::Corrupt { .. })));
    std::fs::write(&at, &content[..9_999]).unwrap();
    assert!(matches!(storage.access(&file).await, Err(StoreError::Corrupt { .. })));
    std::fs::remove_file(&at).unwrap();
    assert!(matches!(storage.access(&file).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn workers_reach_released_files_by_path_or_signed_url() {
    for Backend { name, storage, scratch, .. } in backends().await {
        let content = bytes(6, 70_000);
        let path = storage.put_released("ROOT", "01F", &local(scratch.path(), "in", &content)).await.unwrap();
        let file = released(&path, &content);
        match storage.access(&file).await.unwrap() {
            FileAccess::Path(at) => {
                assert!(std::fs::read(&at).unwrap() == content, "{name}");
                assert!(Path::new(&at).starts_with(storage.released_directory().unwrap()), "{name}");
                assert_eq!(storage.access(&file).await.unwrap(), FileAccess::Path(at));
            }
            FileAccess::Url(url) => {
                assert_eq!(http(&url, "GET", "").await, (200, content.clone()), "{name}");
                let (status, part) = http(&url, "GET", "Range: bytes=10-19\r\n").await;
                assert_eq!((status, part.as_slice()), (206, &content[10..20]), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_finished_export_is_found_with_its_record() {
    for Backend { name, storage, scratch, .. } in backends().await {
        let content = bytes(7, 3_000_000);
        let key = "trees-v3.csv.gz";
        let about = SpooledFile {
            rows: Some(42),
            content_type: "application/gzip".into(),
            created_ms: sample::NOW,
            ..SpooledFile::default()
        };
        assert_eq!(storage.spool_get(key).await.unwrap(), None);
        let file = local(scratch.path(), "in", &content);
        let put = storage.spool_put(key, &file, about.clone()).await.expect(name);
        let blocks = Some(BlockDigests::of(&content));
        assert_eq!(put, SpooledFile { bytes: 3_000_000, sha256: sha256(&content), blocks, ..about });
        assert_eq!(storage.spool_get(key).await.unwrap(), Some(put));
        let all: Vec<_> = storage.spool_read(key, None).await.unwrap().try_collect().await.unwrap();
        assert!(all.concat() == content, "{name}");
        let part: Vec<_> = storage.spool_read(key, Some(5..2_500_000)).await.unwrap().try_collect().await.unwrap();
        assert!(part.concat() == content[5..2_500_000], "{name}");
        assert!(matches!(storage.spool_read(key, Some(5..3_000_001)).await, Err(StoreError::OutOfRange)), "{name}");
        let listed = storage.spool_list().await.unwrap();
        assert_eq!(listed.iter().map(|one| (one.path.as_str(), one.bytes)).collect::<Vec<_>>(), [(key, 3_000_000)]);
        assert!(listed[0].modified_ms > sample::NOW, "{name}");
        storage.spool_remove(key).await.unwrap();
        storage.spool_remove(key).await.unwrap();
        assert_eq!(storage.spool_get(key).await.unwrap(), None);
        assert!(matches!(storage.spool_read(key, None).await, Err(StoreError::NotFound { .. })), "{name}");
    }
}

#[tokio::test]
async fn areas_do_not_see_each_other() {
    for Backend { name, storage, scratch, .. } in backends().await {
        storage.put_staged("01REV", &local(scratch.path(), "in", b"private")).await.unwrap();
        assert_eq!(storage.list_released().await.unwrap(), []);
        let reach = released("../staging/01REV", b"private");
        assert!(storage.read_released(&reach, None).await.is_err(), "{name}");
        assert!(storage.access(&reach).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn what_a_dead_writer_left_is_removed_when_old() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let storage = Storage::open(&url, &no_options()).unwrap();
    std::fs::write(directory.path().join("unfinished/left"), b"half").unwrap();
    assert_eq!(storage.list_released().await.unwrap(), []);
    assert_eq!(storage.remove_abandoned(0).await.unwrap(), 0);
    assert_eq!(storage.remove_abandoned(i64::MAX).await.unwrap(), 1);
    assert_eq!(std::fs::read_dir(directory.path().join("unfinished")).unwrap().count(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn staging_on_disk_is_closed_to_other_accounts() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let _storage = Storage::open(&url, &no_options()).unwrap();
    let mode = std::fs::metadata(directory.path().join("staging")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

#[tokio::test]
async fn a_storage_that_creates_twice_is_refused() {
    let storage = Storage::over(Arc::new(faults::Careless::default())).unwrap();
    assert!(matches!(storage.self_test().await, Err(StoreError::Unsupported { .. })));
}
