//! A refresh that is in trouble anywhere: what is public is whole, doing it again completes it, and people are told of it.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use portico_publish::{Cycle, Declaration, Origin, Places, Publisher, ReadOptions, Sources, Tolerance};
use portico_store::Store;

use super::faults::{Stage, Trouble, before, clean, step, street_trees, visible};
use super::{LATER_MS, Road, operator, publisher, trees};
use crate::world::NOW_MS;

pub(super) fn with_place(store: Store, scratch: &Path) -> Publisher {
    let places = Places { directories: [("place".to_owned(), scratch.join("place"))].into(), ..Places::default() };
    publisher(store, scratch).with_sources(Sources { places, ..Sources::default() })
}

/// Every night at three, from a file in the place.
pub(super) fn declaration() -> Declaration {
    Declaration {
        from: Origin::Directory { directory: "place".to_owned(), file: "*.csv".to_owned(), union: false },
        reading: ReadOptions::default(),
        cycle: Some(Cycle { cron: "0 3 * * *".to_owned(), time_zone: "UTC".to_owned(), jitter_s: 0 }),
        tolerance: Tolerance::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_in_trouble_anywhere_is_completed_by_the_next() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::create_dir(scratch.path().join("place")).unwrap();
    let one = trees(scratch.path(), "1", 30, 1);
    let two = trees(&scratch.path().join("place"), "two.csv", 40, 2);
    let long_ago = UNIX_EPOCH + Duration::from_millis(u64::try_from(NOW_MS - 60_000).unwrap());
    std::fs::File::options().write(true).open(&two).unwrap().set_modified(long_ago).unwrap();
    let declaration = declaration();
    let before = before(async |store| {
        let calm = with_place(store, scratch.path());
        Road::new(&calm, "street-trees", &one).go(NOW_MS).await.unwrap();
        let source = calm.declare_source(&operator(), &street_trees(), &declaration, NOW_MS).await.unwrap();
        calm.approve_source(&operator(), &street_trees(), &source.record.digest, NOW_MS).await.unwrap();
    })
    .await;
    let step = step();
    for (index, trouble) in [Trouble::Fails, Trouble::LosesItsAnswer, Trouble::IsTheLast].into_iter().enumerate() {
        for nth in (i64::try_from(index % step).unwrap()..).step_by(step) {
            let stage = Stage::new(trouble, &before).await;
            let calm = with_place(stage.calm.clone(), scratch.path());
            let troubled = with_place(stage.troubled.clone(), scratch.path());
            // The stage is a restored portal, in which sources rest.
            calm.pause_source(&operator(), &street_trees(), false, NOW_MS).await.unwrap();
            calm.run_source(&operator(), &street_trees(), NOW_MS).await.unwrap();
            let (happened, done) = stage.run(nth, troubled.refresh_due(NOW_MS)).await;
            let case = format!("{trouble:?}, operation {nth}");
            let (current, versions) = visible(&stage.calm, &case).await;
            assert!(current == 2 && versions == 2 || current == 1 && versions == 1, "{case}: {current} of {versions}");
            if let Some(Ok(Some(told))) = done
                && told.run.outcome == "released"
            {
                assert_eq!(current, 2, "{case}");
            }
            // Whoever comes later, when nobody can be at it any more.
            let mut now_ms = LATER_MS;
            while let Some(again) = calm.refresh_due(now_ms).await.unwrap() {
                assert_ne!(again.run.outcome, "failed", "{case}: {:?}", again.run.reasons);
                now_ms += 1;
            }
            assert_eq!(visible(&stage.calm, &case).await, (2, 2), "{case}");
            let source = calm.source(&operator(), &street_trees(), now_ms).await.unwrap();
            let released = source.runs.iter().filter(|run| run.outcome == "released").count();
            assert_eq!(released, 1, "{case}: {:?}", source.runs);
            assert_eq!(source.refresh.failures, 0, "{case}");
            clean(&stage.calm, scratch.path(), &case).await;
            if !happened {
                assert!(nth > 20, "a refresh has more operations than {nth}");
                println!("{trouble:?}: {nth} operations in steps of {step}");
                break;
            }
        }
    }
}
