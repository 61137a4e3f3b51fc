//! The annual report: drafted from the portal's own records, frozen with its numbers and what they were taken from, open to
//! public comment for exactly thirty days.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use portico_intake::screen::Screener;
use portico_model::name::VersionRef;
use portico_model::policy::{Action, Principal};
use portico_store::{CommentRecord, CommentState, ReportRecord, ReportSection, StoreError};
use serde::Serialize;
use ulid::Ulid;

use crate::decisions::{permit_portal, text};
use crate::error::PublishError;
use crate::own::OwnDataset;
use crate::publisher::Publisher;

mod requests;
mod sections;

/// How long the public may comment.
pub const COMMENT_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// Characters of the recommendations: some pages.
const RECOMMENDATIONS_CHARS_MAX: usize = 40_000;
/// Characters of a comment: a page.
const COMMENT_CHARS_MAX: usize = 4_000;
/// Characters of the name that somebody signs with.
const NAME_CHARS_MAX: usize = 100;
/// Comments that are read at once, and that a report takes: a person may have to look at each.
const COMMENTS_MAX: i64 = 10_000;
/// Years that there are reports on.
const YEARS: std::ops::RangeInclusive<i64> = 2000..=2999;

const COMMENTS: OwnDataset = OwnDataset {
    name: "report-comments",
    title: "Comments on the annual reports",
    description: "What the public said of the portal's annual reports within the thirty days for comment, as far as it may be \
                  public.",
    update_frequency: "R/P1Y",
    columns: &[
        ("report_year", "The year that the report is on.", false),
        ("commented_on", "The day of the comment, by UTC.", false),
        ("signed_as", "The name that somebody signed with, if any.", true),
        ("comment", "What was said.", true),
    ],
};

/// A comment as it is published.
#[derive(Serialize)]
struct CommentRow {
    report_year: i64,
    commented_on: String,
    signed_as: Option<String>,
    comment: String,
}

impl Publisher {
    /// Takes a year's numbers from the records as they are now, in place of those of an earlier draft. `more` are sections of
    /// those who keep other records. What staff recommend stays, unless they say otherwise.
    ///
    /// # Errors
    /// [`PublishError::Denied`]; [`PublishError::BadText`]; the catalog's conflict when the report is published.
    pub async fn draft_report(
        &self,
        principal: &Principal,
        year: i64,
        (recommendations, more): (Option<&str>, Vec<ReportSection>),
        now_ms: i64,
    ) -> Result<ReportRecord, PublishError> {
        let grant = permit_portal(principal, Action::WriteReport, now_ms)?;
        check_year(year)?;
        let earlier = self.store.catalog.report(year).await?;
        let recommendations = match recommendations {
            Some(said) if said.chars().count() > RECOMMENDATIONS_CHARS_MAX => {
                let (what, chars_max) = ("the recommendations", RECOMMENDATIONS_CHARS_MAX);
                return Err(PublishError::BadText { what, chars_max });
            }
            Some(said) => said.trim().to_owned(),
            None => earlier.map(|earlier| earlier.recommendations).unwrap_or_default(),
        };
        let mut sections = self.report_sections(year, now_ms).await?;
        sections.extend(more);
        let report = ReportRecord {
            year,
            drafted_ms: now_ms,
            drafted_by: grant.principal().to_owned(),
            sections,
            recommendations,
            opens_ms: None,
            closes_ms: None,
            published_by: None,
        };
        self.store.catalog.put_report(&report, grant.principal(), now_ms).await?;
        Ok(report)
    }

    /// The reports, drafts too, newest first.
    ///
    /// # Errors
    /// [`PublishError::Denied`].
    pub async fn reports(&self, principal: &Principal, now_ms: i64) -> Result<Vec<ReportRecord>, PublishError> {
        permit_portal(principal, Action::WriteReport, now_ms)?;
        Ok(self.store.catalog.reports().await?)
    }

    /// Freezes a draft and opens it to comment, from now on for exactly thirty days. Published before, it stays as it was.
    ///
    /// # Errors
    /// [`PublishError::Denied`]; the catalog's own when there is no draft.
    pub async fn publish_report(
        &self,
        principal: &Principal,
        year: i64,
        now_ms: i64,
    ) -> Result<ReportRecord, PublishError> {
        let grant = permit_portal(principal, Action::PublishReport, now_ms)?;
        let draft =
            self.store.catalog.report(year).await?.ok_or(StoreError::NotFound { what: "report on that year" })?;
        if draft.opens_ms.is_some() {
            return Ok(draft);
        }
        let published = ReportRecord {
            opens_ms: Some(now_ms),
            closes_ms: Some(now_ms.saturating_add(COMMENT_MS)),
            published_by: Some(grant.principal().to_owned()),
            ..draft
        };
        self.store.catalog.put_report(&published, grant.principal(), now_ms).await?;
        Ok(published)
    }

    /// Takes a comment of the public on a published report. It is screened, and public once somebody has looked at it.
    ///
    /// # Errors
    /// [`PublishError::BadText`]; [`PublishError::CommentClosed`] outside of the thirty days; the catalog's own when there is
    /// no such report, or there are too many comments.
    pub async fn comment(
        &self,
        year: i64,
        (name, said): (&str, &str),
        now_ms: i64,
    ) -> Result<CommentRecord, PublishError> {
        let report = self.store.catalog.report(year).await?;
        let published = report.and_then(|report| Some((report.opens_ms?, report.closes_ms?)));
        let (opens_ms, closes_ms) = published.ok_or(StoreError::NotFound { what: "report on that year" })?;
        if now_ms < opens_ms || now_ms >= closes_ms {
            return Err(PublishError::CommentClosed);
        }
        let name = name.trim();
        if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            return Err(PublishError::BadText { what: "the name", chars_max: NAME_CHARS_MAX });
        }
        let said = text("the comment", said)?;
        let findings = self.screened_text(&said)?;
        let comment = CommentRecord {
            id: Ulid::from_parts(u64::try_from(now_ms).unwrap_or_default(), Ulid::new().random()).to_string(),
            year,
            at_ms: now_ms,
            name: name.to_owned(),
            text: said,
            findings,
            state: CommentState::Held,
            moderated_by: None,
            reason: None,
        };
        self.store.catalog.insert_comment(&comment, COMMENTS_MAX).await?;
        Ok(comment)
    }

    /// The comments on a report, oldest first.
    ///
    /// # Errors
    /// [`PublishError::Denied`].
    pub async fn comments(
        &self,
        principal: &Principal,
        year: i64,
        now_ms: i64,
    ) -> Result<Vec<CommentRecord>, PublishError> {
        permit_portal(principal, Action::WriteReport, now_ms)?;
        Ok(self.store.catalog.comments(year, None, COMMENTS_MAX).await?)
    }

    /// Makes a comment public, or says why it is not.
    ///
    /// # Errors
    /// [`PublishError::Denied`]; [`PublishError::BadText`] for a rejection without a reason; the catalog's own when there is
    /// no such comment.
    pub async fn moderate(
        &self,
        principal: &Principal,
        id: &str,
        rejected: Option<&str>,
        now_ms: i64,
    ) -> Result<CommentRecord, PublishError> {
        let grant = permit_portal(principal, Action::WriteReport, now_ms)?;
        let reason = rejected.map(|reason| text("the reason", reason)).transpose()?;
        let state = if reason.is_some() { CommentState::Rejected } else { CommentState::Accepted };
        let said = (state, reason.as_deref());
        Ok(self.store.catalog.moderate_comment(id, said, grant.principal(), now_ms).await?)
    }

    /// Releases the public comments on all reports whose thirty days are over as the dataset `report-comments`, if there are
    /// new ones.
    ///
    /// # Errors
    /// Those of the road in.
    pub async fn refresh_report_comments(&self, now_ms: i64) -> Result<Option<VersionRef>, PublishError> {
        let mut rows = Vec::new();
        for report in self.store.catalog.reports().await?.into_iter().rev() {
            if report.closes_ms.is_none_or(|closes_ms| now_ms < closes_ms) {
                continue;
            }
            for comment in self.store.catalog.comments(report.year, Some(CommentState::Accepted), COMMENTS_MAX).await? {
                rows.push(CommentRow {
                    report_year: comment.year,
                    commented_on: sections::day(comment.at_ms),
                    signed_as: Some(comment.name).filter(|name| !name.is_empty()),
                    comment: comment.text,
                });
            }
        }
        self.release_own(COMMENTS, &rows, now_ms).await
    }

    /// What the rules see in a text: a table of one cell.
    fn screened_text(&self, said: &str) -> Result<Vec<portico_model::finding::Finding>, PublishError> {
        let schema = Arc::new(Schema::new(vec![Field::new("comment", DataType::Utf8, false)]));
        let column: ArrayRef = Arc::new(StringArray::from(vec![said]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column])?;
        let mut screener = Screener::new(&schema, None, self.jail.rules());
        screener.push(&batch, 1);
        let mut findings = screener.finish();
        findings.retain(|finding| finding.column.is_some());
        Ok(findings)
    }
}

const _: () = assert!(COMMENT_CHARS_MAX == crate::decisions::TEXT_CHARS_MAX, "a comment is a page, as a reason is");

fn check_year(year: i64) -> Result<(), PublishError> {
    if YEARS.contains(&year) {
        return Ok(());
    }
    Err(StoreError::NotFound { what: "year of that number" }.into())
}
