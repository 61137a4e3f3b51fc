//! How long PostgreSQL and the network may keep this program waiting. Nothing is waited for without end: a server that
//! froze in the middle of a change, or a network that says nothing any more, would keep everybody waiting with it.
//!
//! The first four are told to the server, on every connection; it ends what oversteps them, and says so. The others are
//! kept here, since a network that is silent says nothing. Whatever is ended is [`StoreError::Unavailable`], as where a
//! connection broke. SQLite answers from a file and has `busy_timeout`.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use sqlx::any::{Any, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::pool::PoolConnection;
use sqlx::{AnyPool, Either, Execute, Executor, SqlStr};
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

use super::Catalog;
use super::connect::Kind;
use crate::error::StoreError;

/// The longest waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// For a row or table that another change has. Changes take milliseconds; this is as long as people wait for a page.
    pub(super) lock: Duration,
    /// For a change that does nothing: whoever began it has frozen, and every writer of every server waits for its row.
    pub(super) idle: Duration,
    /// For one statement. What may rightly take longer says so: [`UNBOUNDED`].
    pub(super) statement: Duration,
    /// For a client to acknowledge what it was sent: its change is undone when its network has gone.
    pub(super) acknowledged: Duration,
    /// For a connection, new or from the pool.
    pub(super) connection: Duration,
    /// For all of an answer: longer than the server takes to end a statement, which tells more.
    pub(super) answer: Duration,
    /// For the changes of this process that are before one's own: longer than a frozen one is left alone.
    pub(super) turn: Duration,
}

/// The first statement of a transaction that may rightly take long, such as reading all of the catalog.
pub(super) const UNBOUNDED: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";
/// The same for all that a connection does from then on: it is not given back to the pool.
pub(super) const UNBOUNDED_STATEMENTS: &str = "SET statement_timeout = 0";

impl Default for Waits {
    fn default() -> Self {
        Self {
            lock: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            statement: Duration::from_secs(30),
            acknowledged: Duration::from_secs(30),
            connection: Duration::from_secs(20),
            answer: Duration::from_secs(40),
            turn: Duration::from_secs(90),
        }
    }
}

impl Waits {
    /// What is run on every new connection to PostgreSQL.
    pub(super) fn settings(&self) -> String {
        let Self { lock, idle, statement, acknowledged, .. } = self;
        format!(
            "SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; SET statement_timeout = {}; \
             SET tcp_user_timeout = {}",
            lock.as_millis(),
            idle.as_millis(),
            statement.as_millis(),
            acknowledged.as_millis()
        )
    }
}

impl Catalog {
    /// One connection for one statement, whose answer is not waited for without end.
    pub(super) fn pool(&self) -> Bounded<'_> {
        let within = (self.inner.kind == Kind::Postgres).then_some(self.inner.waits.answer);
        Bounded { pool: &self.inner.pool, within }
    }

    /// The turn among the writers of this process.
    pub(super) async fn turn(&self) -> Result<OwnedMutexGuard<()>, StoreError> {
        let turn = timeout(self.inner.waits.turn, std::sync::Arc::clone(&self.inner.writing).lock_owned()).await;
        turn.map_err(|_| unanswered("the changes before it did not end").into())
    }
}

/// The pool, for statements outside of a change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounded<'p> {
    pool: &'p AnyPool,
    within: Option<Duration>,
}

impl Bounded<'_> {
    async fn lend(self) -> Result<Lent, sqlx::Error> {
        Ok(Lent { connection: self.pool.acquire().await?, dubious: self.within.is_some() })
    }

    async fn within<T>(self, answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
        match self.within {
            None => answer.await,
            Some(within) => timeout(within, answer).await.unwrap_or_else(|_| Err(unanswered("it does not answer"))),
        }
    }
}

/// A connection until its answer is here. One that owes an answer is closed: nobody else is to wait for it, and where the
/// network is silent, the pool would.
struct Lent {
    connection: PoolConnection<Any>,
    dubious: bool,
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.dubious {
            self.connection.close_on_drop();
        }
    }
}

impl<'p> Executor<'p> for Bounded<'p> {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let answer = async move {
            let mut lent = self.lend().await?;
            let all: Vec<_> = self.within(lent.connection.fetch_many(query).try_collect()).await?;
            lent.dubious = false;
            Ok::<_, sqlx::Error>(stream::iter(all.into_iter().map(Ok)))
        };
        stream::once(answer).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(async move {
            let mut lent = self.lend().await?;
            let row = self.within(lent.connection.fetch_optional(query)).await?;
            lent.dubious = false;
            Ok(row)
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        Box::pin(async move {
            let mut lent = self.lend().await?;
            let prepared = self.within(lent.connection.prepare_with(sql, parameters)).await?;
            lent.dubious = false;
            Ok(prepared)
        })
    }
}

/// What the database would have said.
pub(super) fn unanswered(how: &str) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, how))
}

#[cfg(test)]
mod tests;
