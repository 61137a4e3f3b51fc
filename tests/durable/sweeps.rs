//! What a sweep must never take, whatever it is told by a catalog that is not the storage's, or by its own stale list.

use std::collections::BTreeMap;
use std::path::Path;

use portico_publish::{PublishError, Swept};
use portico_store::{Catalog, Storage, Store, StoreError};

use super::{LATER_MS, Road, operator, publisher, trees, wrong};
use crate::world::NOW_MS;

async fn portal(directory: &Path, catalog: &str) -> Store {
    let storage = Storage::open(&format!("file://{}/storage", directory.display()), &BTreeMap::new()).unwrap();
    let catalog = Catalog::open(&format!("sqlite://{}/{catalog}.sqlite", directory.display())).await.unwrap();
    Store { storage, catalog }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_with_the_wrong_catalog_takes_no_released_table() {
    let scratch = tempfile::tempdir().unwrap();
    let store = portal(scratch.path(), "right").await;
    let files = [1, 2, 3].map(|mark| trees(scratch.path(), &mark.to_string(), 30, mark));
    Road::new(&publisher(store.clone(), scratch.path()), "street-trees", &files[0]).go(NOW_MS).await.unwrap();
    let right = publisher(store.clone(), scratch.path());
    let open = Road::new(&right, "street-trees", &files[1]).stage(NOW_MS).await.unwrap();
    right.screen(&operator(), &open, NOW_MS, |_| {}).await.unwrap();
    let staged = store.storage.list_staged().await.unwrap();
    assert!(!staged.is_empty());

    let lost = portal(scratch.path(), "empty").await;
    let wrong_one = publisher(lost.clone(), scratch.path());
    for dry_run in [true, false] {
        let refused = wrong_one.sweep(dry_run, LATER_MS).await;
        assert!(matches!(refused, Err(PublishError::Store(StoreError::Invalid { .. }))), "{refused:?}");
    }
    // Nor does it when it has become another portal's, with leftovers of its own.
    Road::new(&wrong_one, "bus-stops", &files[2]).go(NOW_MS).await.unwrap();
    let name = portico_model::name::DatasetName::parse("bus-stops").unwrap();
    let root = lost.catalog.dataset(&name).await.unwrap().unwrap().root;
    lost.storage.put_released(&root, "leftover", &files[1]).await.unwrap();
    let swept = wrong_one.sweep(false, LATER_MS).await.unwrap();
    assert_eq!(Swept { bytes: 0, ..swept }, Swept { files: 1, bytes: 0, busy: 0, unknown: 1 });
    for store in [&store, &lost] {
        assert_eq!(wrong(store).await, [""; 0]);
    }
    assert_eq!(store.storage.list_staged().await.unwrap(), staged);
}
