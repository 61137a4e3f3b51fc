//! What an export is called: the key that it is found by, its tag and its file name.

use portico_model::format::{FileKind, Format};
use portico_model::name::VersionRef;
use portico_model::order::{IpcCompression, OutputOptions};
use sha2::{Digest, Sha256};

use super::spool::hex;

/// Raised when the bytes of any format change for the same rows, so that nobody resumes an old file with new
/// bytes. The program's own version counts as well.
const ENCODING_VERSION: u32 = 1;

/// Hexadecimal digits of a tag: 128 bits are enough to tell exports apart.
const TAG_DIGITS: usize = 32;

/// The name of an export's bytes: the same for everybody who asks for the same rows of the same version in the
/// same form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ExportKey(String);

impl ExportKey {
    /// The key of a gated statement, which names its version, in one form. `files` are the digests of the stored
    /// files, so that a name used twice is not a key used twice.
    pub(crate) fn new(sql: &str, files: &[&str], kind: FileKind, options: &OutputOptions) -> Self {
        let options = canonical(kind, options);
        let mut hasher = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hasher.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(bytes);
        };
        field(env!("CARGO_PKG_VERSION").as_bytes());
        field(&ENCODING_VERSION.to_be_bytes());
        field(sql.as_bytes());
        field(&u64::try_from(files.len()).unwrap_or(u64::MAX).to_be_bytes());
        for sha256 in files {
            field(sha256.as_bytes());
        }
        field(kind.extension().as_bytes());
        field(&[u8::from(options.header), u8::from(options.bom), u8::from(options.excel_safe)]);
        field(options.null.as_bytes());
        field(match options.ipc_compression {
            IpcCompression::None => b"none",
            IpcCompression::Lz4 => b"lz4",
            IpcCompression::Zstd => b"zstd",
        });
        Self(hex(&hasher.finalize()))
    }

    /// Lower-case hexadecimal, fit for a file name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The opaque part of the `ETag`.
    pub(crate) fn tag(&self) -> String {
        tag(&self.0)
    }
}

/// The opaque part of the `ETag` of bytes that are known by their digest.
pub(crate) fn tag(digest: &str) -> String {
    digest.chars().take(TAG_DIGITS).collect()
}

/// Takes away what the format ignores, so that it does not make two exports of one.
pub(crate) fn canonical(kind: FileKind, options: &OutputOptions) -> OutputOptions {
    let plain = OutputOptions::default();
    match kind.format {
        Format::Csv | Format::Tsv => OutputOptions { ipc_compression: plain.ipc_compression, ..options.clone() },
        Format::Arrow | Format::Flight => OutputOptions { ipc_compression: options.ipc_compression, ..plain },
        Format::Json | Format::Objects | Format::Ndjson | Format::Parquet | Format::Geojson | Format::Xlsx => plain,
        Format::Table => OutputOptions { null: options.null.clone(), ..plain },
    }
}

/// A file name for people: `building-permits-v3.csv`.
pub(crate) fn file_name(version: &VersionRef, kind: FileKind) -> String {
    format!("{}-v{}.{}", version.dataset, version.version, kind.extension())
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_model::name::DatasetName;

    fn kind(extension: &str) -> FileKind {
        FileKind::from_extension(extension).unwrap()
    }

    #[test]
    fn whatever_changes_the_bytes_changes_the_key() {
        let options = OutputOptions::default();
        let key = |sql: &str, files: &[&str], extension: &str, options: &OutputOptions| {
            ExportKey::new(sql, files, kind(extension), options)
        };
        let base = key("a", &["1", "2"], "csv", &options);
        assert_eq!(base, key("a", &["1", "2"], "csv", &options));
        assert_eq!((base.as_str().len(), base.tag().len()), (64, 32));
        for other in [
            key("b", &["1", "2"], "csv", &options),
            key("a", &["12"], "csv", &options),
            key("a", &["1", "2"], "csv.gz", &options),
            key("a", &["1", "2"], "csv.zst", &options),
            key("a", &["1", "2"], "tsv", &options),
            key("a", &["1", "2"], "csv", &OutputOptions { bom: true, ..options.clone() }),
            key("a", &["1", "2"], "csv", &OutputOptions { header: false, ..options.clone() }),
            key("a", &["1", "2"], "csv", &OutputOptions { null: "NA".into(), ..options.clone() }),
            key("a", &["1", "2"], "csv", &OutputOptions { excel_safe: true, ..options.clone() }),
        ] {
            assert_ne!(base, other);
            assert_ne!(base.tag(), other.tag());
        }
    }

    #[test]
    fn what_a_format_ignores_does_not() {
        let odd = OutputOptions { bom: true, null: "NA".into(), header: false, ..OutputOptions::default() };
        for extension in ["parquet", "ndjson", "json", "geojson", "arrow", "xlsx"] {
            let of = |options: &OutputOptions| ExportKey::new("a", &[], kind(extension), options);
            assert_eq!(of(&odd), of(&OutputOptions::default()), "{extension}");
        }
    }

    #[test]
    fn files_are_named_for_people() {
        let version = VersionRef { dataset: DatasetName::parse("building-permits").unwrap(), version: 3 };
        assert_eq!(file_name(&version, kind("csv.gz")), "building-permits-v3.csv.gz");
    }
}
