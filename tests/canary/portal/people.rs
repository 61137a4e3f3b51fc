//! Who is signed in and how, and what they propose to say.

use portico_model::dataset::MetadataPatch;
use portico_model::name::DatasetName;
use portico_model::policy::{Principal, Role, Scope};
use portico_publish::{Edited, Holder, LinkRequest, SessionLife};
use sha2::{Digest as _, Sha256};

use super::{Office, Secrets, WORK_MS};

const LIFE: SessionLife = SessionLife { hours: 8, idle_minutes: 60 };

/// Texts that let somebody in once, and do so no more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dead {
    pub(crate) links: Vec<String>,
    pub(crate) sessions: Vec<String>,
}

impl Secrets {
    /// A text that lets somebody in, and its digest, which the catalog has.
    fn keep_text(&self, text: &str) -> String {
        let digest: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        self.keep(digest);
        self.keep(text.to_owned())
    }

    /// Links and sessions that are good no more.
    pub(crate) fn dead(&self) -> Dead {
        self.dead.lock().unwrap().clone()
    }
}

impl Office<'_> {
    fn holder(&self, name: &str) -> Holder {
        let departments = vec![self.secrets.text(&format!("scope{name}"))];
        let scope = Scope::Only { departments, datasets: Vec::new() };
        Holder { name: self.secrets.text(&format!("signed{name}")), roles: vec![Role::Steward], scope }
    }

    /// People who are signed in, were, or could be.
    pub(super) async fn people(&self) {
        let (s, publisher) = (self.secrets, &self.world.publisher);
        let mut dead = Dead::default();
        for (what, minutes, used) in [("good", 60, false), ("used", 60, true), ("expired", 0, false)] {
            let request = LinkRequest { holder: self.holder(&format!("link{what}")), minutes };
            let (text, _) = publisher.create_link(&self.operator, request, WORK_MS).await.unwrap();
            let shown = s.keep_text(text.reveal());
            if used {
                let (session, _) = publisher.use_link(&text, LIFE, WORK_MS).await.unwrap().unwrap();
                s.keep_text(session.reveal());
            }
            if what != "good" {
                dead.links.push(shown);
            }
        }
        for what in ["here", "ended"] {
            let subject = s.text(&format!("subject{what}"));
            let begun = publisher.begin_session(self.holder(&format!("session{what}")), subject, LIFE, WORK_MS);
            let (text, record) = begun.await.unwrap();
            let shown = s.keep_text(text.reveal());
            s.keep(text.form_token());
            if what == "ended" {
                publisher.end_session(&self.operator, &record.id, WORK_MS).await.unwrap();
                dead.sessions.push(shown);
            }
        }
        *s.dead.lock().unwrap() = dead;
    }

    /// What somebody would have the public read, and nobody has consented to.
    pub(super) async fn edits(&self) {
        let (s, publisher) = (self.secrets, &self.world.publisher);
        let by = |name: &str| Principal::Staff { name: s.text(name), roles: vec![Role::Steward], scope: Scope::All };
        for (dataset, what) in [("trees", "proposed"), ("places", "declined")] {
            let text = |field: &str| Some(s.text(&format!("{field}edit{what}")));
            let said = MetadataPatch {
                title: text("title"),
                description: text("description"),
                collection_method: text("method"),
                limitations: text("limits"),
                steward_name: text("steward"),
                ..MetadataPatch::default()
            };
            let dataset = DatasetName::parse(dataset).unwrap();
            let edited = publisher.edit(&by(&format!("editor{what}")), &dataset, &said, WORK_MS).await.unwrap();
            let Edited::Proposed(edit) = edited else { panic!("{edited:?}") };
            s.keep(edit.digest.clone());
            if what == "declined" {
                let reason = s.text("editreason");
                publisher.decline_edit(&self.operator, &dataset, &reason, WORK_MS).await.unwrap();
            }
        }
    }
}
