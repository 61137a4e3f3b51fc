//! What a server does for the records beside answering: purges that were interrupted go on, what was used is counted, the
//! published inventory is kept up to date, and the datasets of the portal's own records are released anew.

use std::time::Duration;

use portico_publish::{Publisher, Republished};
use portico_query::questions::Questions;
use tokio::task::JoinHandle;

use crate::parts;

/// How often counts of use go to the catalog, and the inventory is compared with what is public: what a killed server has
/// counted since is lost.
const EVERY: Duration = Duration::from_secs(60);

/// Minutes between two looks at whether the portal's own datasets have anything new.
const DATASETS_EVERY: u64 = 60;

/// The work under way.
pub(crate) struct Keeping {
    task: JoinHandle<()>,
    questions: Questions,
}

/// Begins.
pub(crate) fn keep(publisher: Publisher, questions: Questions) -> Keeping {
    let counted = questions.clone();
    let task = tokio::spawn(async move {
        for minute in 0_u64.. {
            if let Err(error) = publisher.finish_purges(parts::now_ms()).await {
                tracing::warn!(%error, "a purge that was confirmed is not finished yet");
            }
            match publisher.refresh_inventory(parts::now_ms()).await {
                Ok(Republished::Released(version)) => tracing::info!(%version, "the inventory is released anew"),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the published inventory is not brought up to date"),
            }
            if minute.is_multiple_of(DATASETS_EVERY) {
                refresh(&publisher).await;
            }
            tokio::time::sleep(EVERY).await;
            flush(&counted).await;
        }
    });
    Keeping { task, questions }
}

impl Keeping {
    /// Ends it; what was counted is kept.
    pub(crate) async fn end(self) {
        self.task.abort();
        // An error is the end that was asked for.
        let _ = self.task.await;
        flush(&self.questions).await;
    }
}

/// Another server may do the same at this moment: one of the two is told of a conflict.
async fn refresh(publisher: &Publisher) {
    for (what, done) in [
        ("usage", publisher.refresh_usage(parts::now_ms()).await),
        ("report-comments", publisher.refresh_report_comments(parts::now_ms()).await),
    ] {
        match done {
            Ok(None) => {}
            Ok(Some(version)) => tracing::info!(%version, "a dataset of the portal's own records is released"),
            Err(error) => tracing::warn!(%error, what, "a dataset of the portal's own records is not released"),
        }
    }
}

async fn flush(questions: &Questions) {
    if let Err(error) = questions.flush_uses(parts::now_ms()).await {
        tracing::warn!(%error, "what was used is counted, and not in the catalog yet");
    }
}
