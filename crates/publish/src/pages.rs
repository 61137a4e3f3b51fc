//! The portal's own pages: principles, terms of use, licences, handbook. A new portal has a text for each; the team writes
//! others in their place, which are public at once, and nothing of what a page said is lost.

use portico_model::limits::PageLimits;
use portico_model::policy::{Action, Principal};
use portico_store::{PageRecord, PageText};

use crate::decisions::permit_portal;
use crate::error::PublishError;
use crate::publisher::Publisher;

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageName {
    /// The principles of open data.
    Principles,
    /// The terms of use, with the disclaimer of warranty.
    Terms,
    /// What the licences of datasets mean.
    Licences,
    /// How a dataset gets published.
    Handbook,
}

impl PageName {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Principles, Self::Terms, Self::Licences, Self::Handbook];

    /// The page of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|page| page.as_str() == name)
    }

    /// The name, which is its path without the slash, too.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Principles => "principles",
            Self::Terms => "terms",
            Self::Licences => "licences",
            Self::Handbook => "handbook",
        }
    }

    /// What a new portal says there.
    fn default_text(self) -> PageText {
        let (title, text) = match self {
            Self::Principles => ("Principles of open data", include_str!("../pages/principles.md")),
            Self::Terms => ("Terms of use", include_str!("../pages/terms.md")),
            Self::Licences => ("Licences", include_str!("../pages/licences.md")),
            Self::Handbook => ("Handbook", include_str!("../pages/handbook.md")),
        };
        PageText { title: title.to_owned(), text: text.to_owned() }
    }
}

/// What a page says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Which.
    pub name: PageName,
    /// Its heading and its Markdown.
    pub said: PageText,
    /// How it came to say that.
    pub version: PageVersion,
}

/// Who had a page say something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageVersion {
    /// Counts from 1; 0 is the text of a new portal.
    pub number: i64,
    /// The heading at that time.
    pub title: String,
    /// Whether it is the text of a new portal.
    pub is_default: bool,
    /// When, in milliseconds since the epoch; none for number 0.
    pub at_ms: Option<i64>,
    /// By whom; nobody for number 0.
    pub by: Option<String>,
}

impl Page {
    fn of(name: PageName, record: Option<PageRecord>) -> Self {
        let is_default = record.as_ref().is_none_or(|record| record.said.is_none());
        let (number, at_ms, by) = match &record {
            Some(record) => (record.number, Some(record.at_ms), Some(record.by.clone())),
            None => (0, None, None),
        };
        let said = record.and_then(|record| record.said).unwrap_or_else(|| name.default_text());
        let version = PageVersion { number, title: said.title.clone(), is_default, at_ms, by };
        Self { name, said, version }
    }
}

impl Publisher {
    /// What a page says to everybody.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn page(&self, name: PageName) -> Result<Page, PublishError> {
        Ok(Page::of(name, self.store.catalog.page(name.as_str()).await?))
    }

    /// What all pages say.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn pages(&self) -> Result<Vec<Page>, PublishError> {
        let mut pages = Vec::new();
        for name in PageName::ALL {
            pages.push(self.page(name).await?);
        }
        Ok(pages)
    }

    /// All that a page has said as far as it is kept, newest first, with the text that it had at first. Whoever took something
    /// off a page may have had a reason: this is for those who write it.
    ///
    /// # Errors
    /// [`PublishError::Denied`]; those of the catalog.
    pub async fn page_history(
        &self,
        principal: &Principal,
        name: PageName,
        now_ms: i64,
    ) -> Result<Vec<Page>, PublishError> {
        permit_portal(principal, Action::EditPages, now_ms)?;
        let kept = self.store.catalog.page_history(Some(name.as_str())).await?;
        Ok(kept.into_iter().map(Some).chain([None]).map(|record| Page::of(name, record)).collect())
    }

    /// Has a page say something else from now on, in place of the version that its writer has read; without a text, what a
    /// new portal says. It is public at once. The same again is fine.
    ///
    /// # Errors
    /// [`PublishError::Denied`]; [`PublishError::BadPage`]; the catalog's conflict when somebody else was faster.
    pub async fn write_page(
        &self,
        principal: &Principal,
        (name, version): (PageName, i64),
        said: Option<PageText>,
        limits: &PageLimits,
        now_ms: i64,
    ) -> Result<Page, PublishError> {
        let grant = permit_portal(principal, Action::EditPages, now_ms)?;
        let said = said.map(|said| checked(&said, limits)).transpose()?;
        let current = self.page(name).await?;
        if said.is_none() && current.version.is_default {
            return Ok(current);
        }
        let kept = i64::try_from(limits.page_versions).unwrap_or(i64::MAX);
        let who = (grant.principal(), now_ms);
        let record = self.store.catalog.put_page(name.as_str(), (said, version), kept, who).await?;
        Ok(Page::of(name, Some(record)))
    }
}

/// A text as it is kept: lines end as on Unix, whatever a browser makes of them.
fn checked(said: &PageText, limits: &PageLimits) -> Result<PageText, PublishError> {
    let title = said.title.trim().to_owned();
    let text = said.text.replace("\r\n", "\n").trim().to_owned();
    let mut wrong = Vec::new();
    let chars = u64::try_from(title.chars().count()).unwrap_or(u64::MAX);
    if title.is_empty() || chars > limits.heading_chars || title.chars().any(char::is_control) {
        wrong.push(format!("the title has to be a line of 1 to {} characters", limits.heading_chars));
    }
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    if text.is_empty() || bytes > limits.page_bytes {
        wrong.push(format!("the text has to have 1 to {} bytes", limits.page_bytes));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        wrong.push("the text has to be plain text: it holds control characters".to_owned());
    }
    if wrong.is_empty() { Ok(PageText { title, text }) } else { Err(PublishError::BadPage(wrong)) }
}
