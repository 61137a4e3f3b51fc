//! Schedules and the releases that they lead to, in trouble anywhere: never early, never lost, completed by the next look.

use portico_model::revision::RevisionState;

use super::faults::{Stage, Trouble, before, clean, step, visible};
use super::{LATER_MS, Road, operator, publisher, trees, wrong};
use crate::world::NOW_MS;

const AT_MS: i64 = NOW_MS + 60_000;
/// After the try that the dead process had taken.
const AGAIN_MS: i64 = AT_MS + 3_600_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_in_trouble_anywhere_is_kept_once_it_was_acknowledged_and_released_once() {
    let scratch = tempfile::tempdir().unwrap();
    let (one, two) = (trees(scratch.path(), "1", 30, 1), trees(scratch.path(), "2", 40, 2));
    let mut id = String::new();
    let before = before(async |store| {
        let calm = publisher(store, scratch.path());
        Road::new(&calm, "street-trees", &one).go(NOW_MS).await.unwrap();
        id = Road::new(&calm, "street-trees", &two).stage(NOW_MS).await.unwrap();
        let screened = calm.screen(&operator(), &id, NOW_MS, |_| {}).await.unwrap();
        calm.approve(&operator(), &id, &screened.digest.unwrap(), NOW_MS).await.unwrap();
    })
    .await;
    let step = step();
    for (index, trouble) in [Trouble::Fails, Trouble::LosesItsAnswer, Trouble::IsTheLast].into_iter().enumerate() {
        for nth in (i64::try_from(index % step).unwrap()..).step_by(step) {
            let stage = Stage::new(trouble, &before).await;
            let calm = publisher(stage.calm.clone(), scratch.path());
            let troubled = publisher(stage.troubled.clone(), scratch.path());
            let case = format!("{trouble:?}, operation {nth}");
            let (happened, done) = stage
                .run(nth, async {
                    troubled.schedule(&operator(), &id, (AT_MS, None), NOW_MS).await?;
                    troubled.release_due(AT_MS - 1).await?;
                    assert_eq!(visible(&stage.calm, &case).await, (1, 1), "{case}: early");
                    troubled.release_due(AT_MS).await
                })
                .await;
            let seen = visible(&stage.calm, &case).await;
            assert!(matches!(seen, (1, 1) | (2, 2)), "{case}: {seen:?}");
            if let Some(Ok(due)) = done {
                assert!(due.released.is_empty() || seen == (2, 2), "{case}");
            }
            // Only what never came to be is scheduled again; all else the next look completes.
            let state = calm.revision(&operator(), &id, AGAIN_MS).await.unwrap().state;
            let due_ms = if state == RevisionState::Approved {
                calm.schedule(&operator(), &id, (AGAIN_MS + 1, None), AGAIN_MS).await.unwrap();
                AGAIN_MS + 1
            } else {
                AGAIN_MS
            };
            let due = calm.release_due(due_ms).await.unwrap();
            assert!(due.failed.is_empty(), "{case}: {:?}", due.failed);
            assert_eq!(visible(&stage.calm, &case).await, (2, 2), "{case}");
            assert_eq!(wrong(&stage.calm).await, [""; 0], "{case}");
            clean(&stage.calm, scratch.path(), &case).await;
            assert!(calm.release_due(LATER_MS).await.unwrap().released.is_empty(), "{case}");
            if !happened {
                assert!(nth > 12, "there are more operations than {nth}");
                println!("{trouble:?}: {nth} operations in steps of {step}");
                break;
            }
        }
    }
}
