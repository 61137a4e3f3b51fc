//! The inventory and what the public asks for: half of each is public, and nothing of the other half is.

use portico_model::data_request::RequestStatus;
use portico_model::dataset::MetadataPatch;
use portico_model::inventory::{InventoryEntry, InventoryStatus};
use portico_model::limits::RequestLimits;
use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::Principal;
use portico_publish::{Republished, RequestAnswer, Wish};

use super::{GONE, Office, PUBLIC_CELL, Secrets, WORK_MS};

impl Secrets {
    /// An address that nobody may read.
    fn mail(&self, whose: &str) -> String {
        format!("{}@town.example", self.text(&format!("mail{whose}")))
    }

    /// What somebody has asked for and nobody has read.
    pub(crate) fn wish(&self) -> Wish {
        Wish {
            title: self.text("titlewish"),
            details: self.text("detailswish"),
            department: self.text("departmentwish"),
            contact: self.mail("wish"),
        }
    }

    /// An entry of which every text is a token.
    fn entry(&self, name: &str, kind: &str) -> InventoryEntry {
        let text = |what: &str| self.text(&format!("{what}{kind}"));
        InventoryEntry {
            title: text("entrytitle"),
            description: text("entrydescription"),
            department: text("entrydepartment"),
            steward_name: text("entrysteward"),
            steward_email: self.mail(&format!("entry{kind}")),
            source_system: text("entrysystem"),
            classification: text("entryclass"),
            status: InventoryStatus::NotPublished,
            reason: text("entryreason"),
            citation: text("entrycitation"),
            ..InventoryEntry::named(DatasetName::parse(name).unwrap())
        }
    }
}

impl Office<'_> {
    async fn enter(&self, entry: &InventoryEntry) {
        self.world.publisher.set_inventory(&self.operator, entry, WORK_MS).await.unwrap();
    }

    /// Entries that are listed, in part or not.
    pub(super) async fn inventory(&self) {
        let s = self.secrets;
        self.enter(&s.entry(&s.text("nameheld"), "held")).await;
        // Of a public dataset, whose entry says more than the public may read.
        self.enter(&s.entry("places", "places")).await;
        let said = |title: &str| InventoryEntry {
            public_title: title.to_owned(),
            department: "Public Works".to_owned(),
            classification: "personnel".to_owned(),
            reason: "It names people.".to_owned(),
            citation: "A law".to_owned(),
            listed: true,
            ..s.entry(&s.text("nametitled"), "titled")
        };
        self.enter(&said(&format!("{PUBLIC_CELL} of people"))).await;
        let lamps = InventoryEntry {
            title: format!("{PUBLIC_CELL} lamps"),
            department: "Public Works".to_owned(),
            status: InventoryStatus::Planned,
            listed: true,
            ..InventoryEntry::named(DatasetName::parse("street-lamps").unwrap())
        };
        self.enter(&lamps).await;
    }

    /// Somebody says a word of datasets that are public still; and the inventory is published as it is.
    pub(super) async fn touch_and_publish(&self) {
        let publisher = &self.world.publisher;
        for (name, urgent) in GONE.into_iter().take(2).zip([3, 4]) {
            let name = DatasetName::parse(name).unwrap();
            let entry = publisher.inventory_entry(&self.operator, &name, WORK_MS).await.unwrap().unwrap();
            self.enter(&InventoryEntry { priority: urgent, ..entry }).await;
        }
        let csv = b"name,records_requests\nlicenses,2\n";
        assert!(publisher.import_inventory(&self.operator, csv, false, WORK_MS).await.unwrap().done);
        let steward = Some("records@city.example".to_owned());
        let said = MetadataPatch { steward_email: steward, ..MetadataPatch::default() };
        let staged = publisher.stage_inventory(&self.operator, &said, WORK_MS).await.unwrap();
        let screened = self.screen(&staged).await;
        let digest = screened.digest.clone().unwrap();
        publisher.approve(&self.operator, &screened.id, &digest, WORK_MS).await.unwrap();
        publisher.release(&self.operator, &screened.id, WORK_MS).await.unwrap();
    }

    /// The inventory keeps itself. What it said of datasets that are gone by now staff withdraw with them.
    pub(super) async fn publish_again(&self) {
        let publisher = &self.world.publisher;
        let again = publisher.refresh_inventory(WORK_MS).await.unwrap();
        let Republished::Released(version) = again else { panic!("{again:?}") };
        assert_eq!(version.to_string(), "inventory@2");
        self.withdraw(&VersionRef { version: 1, ..version }, true).await;
        assert_eq!(publisher.refresh_inventory(WORK_MS).await.unwrap(), Republished::Same);
    }

    async fn ask(&self, wish: Wish, at_ms: i64) -> String {
        let (publisher, limits) = (&self.world.publisher, RequestLimits::default());
        publisher.receive_request(&Principal::Anonymous, wish, &limits, at_ms).await.unwrap().id
    }

    async fn answer(&self, id: &str, said: RequestAnswer, at_ms: i64) {
        let limits = RequestLimits::default();
        self.world.publisher.answer_request(&self.operator, id, said, &limits, at_ms).await.unwrap();
    }

    /// What strangers ask for, read and unread, shown and not.
    pub(super) async fn requests(&self) {
        let s = self.secrets;
        self.ask(s.wish(), WORK_MS).await;
        let number = if s.flavour == 'a' { "219-09-5512" } else { "219-09-6623" };
        let personal = Wish {
            title: s.text("titlepersonal"),
            details: format!("{} {}", s.text("detailspersonal"), s.keep(number.to_owned())),
            ..Wish::default()
        };
        self.ask(personal, WORK_MS + 1).await;
        let declined = Wish { title: s.text("titledeclined"), contact: s.mail("declined"), ..Wish::default() };
        let id = self.ask(declined, WORK_MS + 2).await;
        let said = RequestAnswer {
            status: Some(RequestStatus::Declined),
            answer: Some(s.text("answerdeclined")),
            ..RequestAnswer::default()
        };
        self.answer(&id, said, WORK_MS + 3).await;
        let about = [
            (s.text("namestaged"), RequestStatus::Planned),
            (s.text("namequiet"), RequestStatus::UnderReview),
            (s.text("nameheld"), RequestStatus::Declined),
            (s.text("nametitled"), RequestStatus::Published),
            ("permits".to_owned(), RequestStatus::Published),
            ("places".to_owned(), RequestStatus::Published),
        ];
        for (nth, (dataset, status)) in (0..).zip(about) {
            let at_ms = WORK_MS + 10 + nth;
            let wish = Wish {
                title: s.text(&format!("title{nth}shown")),
                details: s.text(&format!("details{nth}shown")),
                contact: s.mail(&format!("shown{nth}")),
                ..Wish::default()
            };
            let id = self.ask(wish, at_ms).await;
            let said = RequestAnswer {
                status: Some(status),
                answer: Some("We look into it.".to_owned()),
                dataset: Some(dataset),
                shown: Some(true),
                title: Some(format!("{PUBLIC_CELL} benches {nth}")),
                details: Some("Where they stand.".to_owned()),
                department: None,
                delete_contact: false,
            };
            self.answer(&id, said, at_ms + 20).await;
        }
    }

    /// What one portal was asked for and the other was not.
    pub(super) async fn more_requests(&self) {
        let s = self.secrets;
        let wish = Wish { title: s.text("titlemore"), contact: s.mail("more"), ..Wish::default() };
        let id = self.ask(wish, WORK_MS + 5).await;
        let said = RequestAnswer { dataset: Some(s.text("nameheld")), ..RequestAnswer::default() };
        self.answer(&id, said, WORK_MS + 6).await;
        self.enter(&s.entry(&s.text("nameheldmore"), "heldmore")).await;
    }
}
