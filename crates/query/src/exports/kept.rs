//! The exports that are kept in the storage: the oldest make room for new ones.
//!
//! The storage may be shared, so that its listing alone is right; but who asks for many small exports shall not make
//! every one of them list all others. What is known since the last listing is counted, and the storage is listed when
//! that is too much, and now and then for what other servers keep.

use portico_model::limits::QueryLimits;
use portico_store::{Storage, StoredObject};
use tokio::sync::Mutex;

/// What an export counts at least, in bytes: two small files take two blocks of a disk.
const EXPORT_BYTES_MIN: u64 = 8 * 1024;

/// Exports that are kept without a look at what others keep.
const UNSEEN_MAX: u64 = 256;

/// The part of a limit that is free once room was made, so that not the very next export has to make it again.
const ROOM: u64 = 8;

/// What this server knows to be kept.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Option<Known>>);

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    bytes: u64,
    exports: u64,
    /// Exports since the last listing.
    unseen: u64,
}

impl Known {
    fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes.max(EXPORT_BYTES_MIN));
        self.exports += 1;
    }

    fn remove(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes.max(EXPORT_BYTES_MIN));
        self.exports = self.exports.saturating_sub(1);
    }

    fn fits(&self, bytes_max: u64, exports_max: u64) -> bool {
        self.bytes <= bytes_max && self.exports <= exports_max
    }
}

impl Kept {
    /// Counts an export that was just put there, and removes the oldest until what is left fits; never that one.
    pub(super) async fn put(&self, storage: &Storage, limits: &QueryLimits, (key, bytes): (&str, u64)) {
        let mut known = self.0.lock().await;
        if let Some(known) = known.as_mut() {
            known.add(bytes);
            known.unseen += 1;
            if known.unseen < UNSEEN_MAX && known.fits(limits.spool_bytes, limits.spool_exports) {
                return;
            }
        }
        match storage.spool_list().await {
            Ok(spooled) => *known = Some(evict(storage, limits, spooled, key).await),
            Err(error) => tracing::warn!(%error, "the spooled exports could not be listed"),
        }
    }
}

/// Removes the oldest of these until what is left fits, and says what that is.
async fn evict(storage: &Storage, limits: &QueryLimits, mut spooled: Vec<StoredObject>, just_put: &str) -> Known {
    let mut known = Known::default();
    spooled.iter().for_each(|object| known.add(object.bytes));
    if known.fits(limits.spool_bytes, limits.spool_exports) {
        return known;
    }
    let room = |limit: u64| limit - limit / ROOM;
    let (bytes_max, exports_max) = (room(limits.spool_bytes), room(limits.spool_exports));
    spooled.sort_by(|one, other| one.modified_ms.cmp(&other.modified_ms).then_with(|| one.path.cmp(&other.path)));
    for object in spooled {
        if known.fits(bytes_max, exports_max) {
            break;
        }
        if object.path == just_put {
            continue;
        }
        match storage.spool_remove(&object.path).await {
            Ok(()) => {
                known.remove(object.bytes);
                metrics::counter!("portico_exports_evicted_total").increment(1);
            }
            Err(error) => tracing::warn!(%error, "a spooled export could not be removed"),
        }
    }
    known
}
