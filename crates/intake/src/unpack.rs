//! Takes off one layer of gzip, zstd or zip, within limits, so that everything after reads a plain file twice.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use portico_model::limits::IntakeLimits;
use tempfile::{NamedTempFile, TempPath};

use crate::cell::wide;
use crate::detect::{self, Content, Packing};
use crate::error::IntakeError;
use crate::options::ReadOptions;

pub(crate) mod archive;

use archive::ZipContent;

/// A small archive may grow this far whatever the ratio: a few rows of zeros pack a thousandfold.
pub(crate) const RATIO_FLOOR_BYTES: u64 = 16 * 1024 * 1024;
/// What a zstd frame may ask for: 128 MiB, the most that `zstd --long` asks of a reader by default.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
const CHUNK_BYTES: usize = 256 * 1024;

/// A plain file to read, which may be a temporary one that goes with this value.
#[derive(Debug)]
pub(crate) struct Material {
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
    pub(crate) packing: Option<Packing>,
    /// The extension that tells the format, of the file itself or of the one within the archive.
    pub(crate) extension: String,
    /// Bytes as the file came.
    pub(crate) packed_bytes: u64,
    /// Bytes after unpacking.
    pub(crate) bytes: u64,
    _temporary: Option<TempPath>,
}

impl Material {
    pub(crate) fn open(&self) -> Result<File, IntakeError> {
        Ok(File::open(&self.path)?)
    }
}

/// Looks at the file and unpacks it into `scratch` where needed. `progress` is told bytes of the file, up to half of
/// it: the other half is for reading what was unpacked.
pub(crate) fn material(
    file: &Path,
    options: &ReadOptions,
    limits: &IntakeLimits,
    scratch: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Material, IntakeError> {
    let mut opened = File::open(file)?;
    let bytes = opened.metadata()?.len();
    if bytes == 0 {
        return Err(IntakeError::Empty("it has no bytes"));
    }
    if bytes > limits.file_bytes {
        return Err(IntakeError::over("the file has more bytes", "file_bytes", limits.file_bytes));
    }
    let found = content_of(&mut opened)?;
    let plain = |content, path, packing, extension, unpacked, temporary| Material {
        path,
        content,
        packing,
        extension,
        packed_bytes: bytes,
        bytes: unpacked,
        _temporary: temporary,
    };
    let extension = options.extension();
    let Content::Packed(packing) = found else {
        return Ok(plain(found, file.to_owned(), None, extension, bytes, None));
    };
    let mut target = Target::new(scratch, bytes, limits, progress)?;
    let mut inner_extension = None;
    match packing {
        Packing::Gzip => target.fill("gzip", Members::new(buffered(opened)))?,
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(opened)
                .map_err(|_| IntakeError::corrupt("zstd", "its header cannot be read"))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            target.fill("zstd", decoder)?;
        }
        Packing::Zip => match archive::content(opened)? {
            ZipContent::Workbook => {
                return Ok(plain(Content::Workbook, file.to_owned(), None, extension, bytes, None));
            }
            ZipContent::OneFile(mut archive, index, name) => {
                inner_extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
                let claimed = archive::claimed_bytes(&mut archive, index);
                let entry = archive.by_index(index).map_err(|error| archive::refusal(&error))?;
                target.fill("zip", entry)?;
                if target.written != claimed {
                    return Err(archive::damaged("the file in it is not as long as its directory says"));
                }
            }
        },
    }
    let (path, unpacked) = target.finish()?;
    if unpacked == 0 {
        return Err(IntakeError::Empty("the archive holds a file of no bytes"));
    }
    let content = match content_of(&mut File::open(&path)?)? {
        Content::Packed(Packing::Zip) if matches!(archive::content(File::open(&path)?), Ok(ZipContent::Workbook)) => {
            Content::Workbook
        }
        Content::Packed(_) => {
            return Err(IntakeError::Unsupported {
                what: "an archive within an archive",
                hint: "pack the table once, or not at all",
            });
        }
        other => other,
    };
    let extension = inner_extension.unwrap_or(extension);
    Ok(plain(content, path.to_path_buf(), Some(packing), extension, unpacked, Some(path)))
}

fn content_of(file: &mut File) -> Result<Content, IntakeError> {
    let mut prefix = Vec::with_capacity(detect::PREFIX_BYTES);
    file.seek(SeekFrom::Start(0))?;
    Read::by_ref(file).take(wide(detect::PREFIX_BYTES)).read_to_end(&mut prefix)?;
    let mut suffix = Vec::with_capacity(8);
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(8)))?;
    Read::by_ref(file).take(8).read_to_end(&mut suffix)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(detect::content(&prefix, &suffix))
}

fn buffered(file: File) -> BufReader<File> {
    BufReader::with_capacity(CHUNK_BYTES, file)
}

/// The members of a gzip file one after the other, as [`flate2::read::MultiGzDecoder`] has them; and zeros after the last,
/// which tapes and blocks pad it with.
struct Members<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Members<R> {
    fn new(from: R) -> Self {
        Self(Some(GzDecoder::new(from)))
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while let Some(member) = self.0.as_mut() {
            let count = member.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            let Some(mut from) = self.0.take().map(GzDecoder::into_inner) else { break };
            match from.fill_buf()? {
                [] => {}
                [0, ..] => only_zeros(&mut from)?,
                _ => self.0 = Some(GzDecoder::new(from)),
            }
        }
        Ok(0)
    }
}

fn only_zeros(from: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let rest = from.fill_buf()?;
        if rest.iter().any(|byte| *byte != 0) {
            return Err(std::io::Error::other("something else follows the zeros after the end"));
        }
        match rest.len() {
            0 => return Ok(()),
            length => from.consume(length),
        }
    }
}

/// Why an archive cannot be unpacked. What zstd may be asked to have at hand it tells by its text alone.
fn refusal(format: &'static str, error: &std::io::Error) -> IntakeError {
    let text = error.to_string();
    if format == "zstd" && text.contains("too much memory") {
        let hint = "pack it with a smaller window, without --ultra and --long";
        return IntakeError::Unsupported { what: "a zstd file with a window over 128 MiB", hint };
    }
    if format == "zstd" && text.contains("ictionary") {
        return IntakeError::Unsupported { what: "a zstd file that wants a dictionary", hint: "pack it without one" };
    }
    IntakeError::corrupt(format, "it cannot be unpacked to its end")
}

/// A temporary file that grows within the limits.
struct Target<'a> {
    file: BufWriter<NamedTempFile>,
    written: u64,
    packed: u64,
    limits: &'a IntakeLimits,
    progress: &'a mut dyn FnMut(u64),
}

impl<'a> Target<'a> {
    fn new(
        scratch: &Path,
        packed: u64,
        limits: &'a IntakeLimits,
        progress: &'a mut dyn FnMut(u64),
    ) -> Result<Self, IntakeError> {
        let file = tempfile::Builder::new().prefix("intake-").tempfile_in(scratch)?;
        Ok(Self { file: BufWriter::with_capacity(CHUNK_BYTES, file), written: 0, packed, limits, progress })
    }

    fn fill(&mut self, format: &'static str, mut from: impl Read) -> Result<(), IntakeError> {
        let by_ratio = archive::unpacked_max(self.packed, self.limits.unpacked_ratio);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = match from.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(refusal(format, &error)),
            };
            self.written = self.written.saturating_add(wide(count));
            if self.written > self.limits.unpacked_bytes {
                let maximum = self.limits.unpacked_bytes;
                return Err(IntakeError::over("the unpacked file has more bytes", "unpacked_bytes", maximum));
            }
            if self.written > by_ratio {
                let maximum = self.limits.unpacked_ratio;
                return Err(IntakeError::over("the file unpacks to more times its size", "unpacked_ratio", maximum));
            }
            self.file.write_all(chunk.get(..count).unwrap_or_default())?;
            // Half of the file stands for unpacking; how much is guessed from a usual ratio of eight.
            (self.progress)((self.written / 16).min(self.packed / 2));
        }
    }

    fn finish(self) -> Result<(TempPath, u64), IntakeError> {
        let file = self.file.into_inner().map_err(|error| IntakeError::Io(error.into_error()))?;
        Ok((file.into_temp_path(), self.written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(name: &str, bytes: &[u8], limits: &IntakeLimits) -> Result<(Content, Vec<u8>, String), IntakeError> {
        let scratch = tempfile::tempdir()?;
        let file = scratch.path().join("in");
        std::fs::write(&file, bytes)?;
        let material = material(&file, &ReadOptions::named(name), limits, scratch.path(), &mut |_| ())?;
        let mut content = Vec::new();
        material.open()?.read_to_end(&mut content)?;
        Ok((material.content, content, material.extension.clone()))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn one_layer_is_taken_off() {
        let limits = IntakeLimits::default();
        let check = |name: &str, bytes: &[u8], extension: &str| {
            let (content, plain, found) = unpacked(name, bytes, &limits).unwrap();
            assert_eq!(
                (content, plain.as_slice(), found.as_str()),
                (Content::Text, &b"a\n1\n"[..], extension),
                "{name}"
            );
        };
        check("a.csv", b"a\n1\n", "csv");
        check("a.csv.gz", &gzip(b"a\n1\n"), "csv");
        check("a.csv.gz", &[gzip(b"a\n"), gzip(b"1\n")].concat(), "csv");
        check("a.tsv.zst", &zstd::encode_all(&b"a\n1\n"[..], 1).unwrap(), "tsv");
        check("x.zip", &zip(&[("d/", b""), ("d/t.tsv", b"a\n1\n"), ("__MACOSX/d/._t", b"x")]), "tsv");
    }

    #[test]
    fn what_is_not_one_file_is_refused() {
        let limits = IntakeLimits::default();
        let check = |bytes: &[u8], expect: &str| {
            let error = unpacked("x", bytes, &limits).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(b"", "empty");
        check(&gzip(b""), "empty");
        check(&gzip(&gzip(b"a")), "archive within an archive");
        check(&zip(&[("a", b"1"), ("b", b"2")]), "several files");
        check(&zip(&[]), "no file");
        check(&zip(&[("mimetype", b"x"), ("content.xml", b"2")]), "Office");
        let mut cut = gzip(&[b'x'; 5000]);
        cut.truncate(20);
        check(&cut, "damaged");
    }

    #[test]
    fn bombs_stop_at_the_limit() {
        let bomb = zstd::encode_all(&vec![b'0'; 40 * 1024 * 1024][..], 1).unwrap();
        let error = unpacked("x.zst", &bomb, &IntakeLimits::default()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("unpacked_ratio = 200"), "{error}");
        let limits = IntakeLimits { unpacked_bytes: 1000, ..IntakeLimits::default() };
        let error = unpacked("x.gz", &gzip(&[b'a'; 2000]), &limits).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("unpacked_bytes = 1000"), "{error}");
    }
}
