//! A portal in which all that must not be public is a token: it stands there and nowhere else.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

use axum::body::Body;
use http::{Request, StatusCode};
use portico_intake::dictionary::Dictionary;
use portico_intake::options::ReadOptions;
use portico_model::dataset::{ColumnDescription, DatasetMetadata};
use portico_model::limits::PageLimits;
use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::{Principal, Role, Scope};
use portico_publish::{PageName, Revision, StageRequest, TokenRequest};
use portico_store::{PageText, UseCount};

use crate::world::{NOW_MS, World};

mod inventory;
mod people;
mod sources;

/// When staff worked; the public asks at the world's own time.
const WORK_MS: i64 = NOW_MS - 60_000;
/// Numbers of rows that nothing else has: primes.
const COUNTS: [[usize; 9]; 2] = [
    [11_003, 11_027, 11_047, 11_057, 11_059, 11_069, 11_071, 11_083, 11_087],
    [13_001, 13_003, 13_007, 13_009, 13_033, 13_037, 13_043, 13_049, 13_063],
];
/// What stands in public cells, and has to be found wherever data are.
pub(crate) const PUBLIC_CELL: &str = "zzpubliccell";
/// The name of a public column.
pub(crate) const PUBLIC_COLUMN: &str = "zzpubliccolumn";
/// A title that the public reads.
pub(crate) const PUBLIC_TITLE: &str = "zzpublictitle";
/// Datasets with a current version.
pub(crate) const PUBLIC: [&str; 2] = ["trees", "places"];
/// Datasets of which everything was withdrawn, the last one in the second portal alone.
pub(crate) const GONE: [&str; 3] = ["permits", "licenses", "parking-fines"];

/// The tokens of one portal.
pub(crate) struct Secrets {
    flavour: char,
    counts: [usize; 9],
    texts: Mutex<BTreeSet<String>>,
    dead: Mutex<people::Dead>,
}

impl Secrets {
    /// Those of portal `a` or `b`.
    pub(crate) fn of(flavour: char) -> Self {
        let counts = COUNTS[usize::from(flavour == 'b')];
        Self { flavour, counts, texts: Mutex::default(), dead: Mutex::default() }
    }

    /// The token of something restricted.
    pub(crate) fn text(&self, what: &str) -> String {
        self.keep(format!("zq{}{what}", self.flavour))
    }

    fn keep(&self, text: String) -> String {
        self.texts.lock().unwrap().insert(text.clone());
        text
    }

    /// All that were planted.
    pub(crate) fn texts(&self) -> BTreeSet<String> {
        self.texts.lock().unwrap().clone()
    }

    pub(crate) fn counts(&self) -> [usize; 9] {
        self.counts
    }

    /// Names of datasets that nobody may hear of.
    pub(crate) fn hidden(&self) -> Vec<String> {
        let names = [
            "staged",
            "blocked",
            "inreview",
            "returned",
            "discarded",
            "quiet",
            "overhttp",
            "extrastaged",
            "held",
            "titled",
            "heldmore",
            "sourced",
        ];
        names.iter().map(|name| format!("zq{}name{name}", self.flavour)).collect()
    }

    /// Names of columns that nobody may hear of, one letter short: what is nearly right is where hints come from.
    pub(crate) fn near_columns(&self) -> Vec<String> {
        let names = ["droppedcolumn", "withdrawncolumn", "purgedcolumn", "plannedcolumn", "sourcecolumn"];
        names.iter().map(|name| format!("zq{}{}", self.flavour, name.strip_suffix('n').unwrap())).collect()
    }
}

/// Someone who works on the portal.
struct Office<'a> {
    world: &'a World,
    secrets: &'a Secrets,
    operator: Principal,
    scratch: PathBuf,
}

/// Builds it. `more` is a further staged dataset, and one that was released, withdrawn and purged.
pub(crate) async fn build(world: &World, secrets: &Secrets, more: bool) {
    let scratch = world.intake();
    let operator = Principal::operator(&secrets.text("operator"));
    let office = Office { world, secrets, operator, scratch };
    office.trees().await;
    office.places().await;
    office.inventory().await;
    office.gone().await;
    office.hidden().await;
    office.by_staff().await;
    office.over_http().await;
    office.requests().await;
    office.sources().await;
    office.people().await;
    office.edits().await;
    office.report().await;
    office.pages().await;
    if more {
        office.more().await;
        office.more_requests().await;
    }
}

/// A table of one text in each row.
fn column(name: &str, cell: &str, rows: usize) -> Vec<u8> {
    let mut text = format!("id,{name}\n");
    for row in 0..rows {
        writeln!(text, "{row},{cell}{}", row % 3).unwrap();
    }
    text.into_bytes()
}

impl Office<'_> {
    /// Something was written on a page by mistake, and taken back.
    async fn pages(&self) {
        let said = PageText { title: self.secrets.text("pagetitle"), text: self.secrets.text("pagetext") };
        for (version, said) in [(0, Some(said)), (1, None)] {
            let (publisher, limits) = (&self.world.publisher, PageLimits::default());
            let terms = (PageName::Terms, version);
            publisher.write_page(&self.operator, terms, said, &limits, WORK_MS).await.unwrap();
        }
    }

    fn metadata(&self, name: &str, title: &str) -> DatasetMetadata {
        DatasetMetadata {
            title: title.to_owned(),
            description: "What the city knows of it.".to_owned(),
            license: "CC0-1.0".to_owned(),
            department: "Public Works".to_owned(),
            steward_name: "Ana".to_owned(),
            steward_email: "ana@city.example".to_owned(),
            ..DatasetMetadata::named(DatasetName::parse(name).unwrap())
        }
    }

    /// Metadata that nobody may hear of any more. Which department it was stays said, in the annual report.
    fn gone_metadata(&self, name: &str, kind: &str) -> DatasetMetadata {
        DatasetMetadata { department: "Public Works".to_owned(), ..self.secret_metadata(name, kind) }
    }

    /// Metadata that nobody may hear of.
    fn secret_metadata(&self, name: &str, kind: &str) -> DatasetMetadata {
        let text = |what: &str| self.secrets.text(&format!("{what}{kind}"));
        DatasetMetadata {
            description: text("description"),
            department: text("department"),
            keywords: vec![text("keyword")],
            ..self.metadata(name, &text("title"))
        }
    }

    async fn stage(
        &self,
        by: &Principal,
        metadata: DatasetMetadata,
        file: (&str, &[u8]),
        dictionary: &str,
    ) -> Revision {
        let path = self.scratch.join("canary-upload");
        std::fs::write(&path, file.1).unwrap();
        let dictionary = (!dictionary.is_empty()).then(|| Dictionary::from_toml(dictionary).unwrap());
        let options = ReadOptions { dictionary, ..ReadOptions::named(file.0) };
        let request = StageRequest { metadata, file: path.clone(), options };
        let staged = self.world.publisher.stage(by, request, WORK_MS).await.unwrap();
        std::fs::remove_file(path).unwrap();
        staged
    }

    async fn screen(&self, staged: &Revision) -> Revision {
        self.world.publisher.screen(&self.operator, &staged.id, WORK_MS, |_| {}).await.unwrap()
    }

    async fn approve(&self, metadata: DatasetMetadata, file: (&str, &[u8]), dictionary: &str) -> Revision {
        let screened = self.screen(&self.stage(&self.operator, metadata, file, dictionary).await).await;
        let digest = screened.digest.clone().unwrap();
        let approved = self.world.publisher.approve(&self.operator, &screened.id, &digest, WORK_MS).await;
        approved.unwrap_or_else(|error| panic!("{error}: {:?}", screened.findings))
    }

    async fn release(&self, metadata: DatasetMetadata, file: (&str, &[u8]), dictionary: &str) -> VersionRef {
        let approved = self.approve(metadata, file, dictionary).await;
        self.world.publisher.release(&self.operator, &approved.id, WORK_MS).await.unwrap()
    }

    async fn withdraw(&self, version: &VersionRef, purge: bool) {
        let publisher = &self.world.publisher;
        publisher.withdraw(&self.operator, version, "It named people.", WORK_MS).await.unwrap();
        if purge {
            let confirm = version.to_string();
            let reason = self.secrets.text("purgereason");
            publisher.purge(&self.operator, version, (&reason, &confirm), WORK_MS).await.unwrap();
        }
    }

    /// A public dataset with a withdrawn version, a purged one, and a current one that went through every remedy.
    async fn trees(&self) {
        let s = self.secrets;
        let dataset = DatasetName::parse("trees").unwrap();
        let metadata = self.metadata("trees", PUBLIC_TITLE);
        let first = format!("id,{PUBLIC_COLUMN}\n1,{PUBLIC_CELL}\n");
        self.release(metadata.clone(), ("trees.csv", first.as_bytes()), "").await;
        for (what, count, purge) in [("withdrawn", 0, false), ("purged", 1, true)] {
            let said = self.gone_metadata("trees", what);
            let rows = column(&s.text(&format!("{what}column")), &s.text(&format!("{what}cell")), s.counts[count]);
            let version = self.release(said, (&format!("{}.csv", s.text(&format!("{what}file"))), &rows), "").await;
            if !purge {
                self.look_at(&version, &s.text("withdrawncolumn")).await;
            }
            self.withdraw(&version, purge).await;
        }
        // Pseudonyms are the same when their key is, and who they stand for.
        let catalog = &self.world.store.catalog;
        catalog.make_dataset_key(&dataset, &"5a".repeat(32), "somebody", WORK_MS).await.unwrap();
        let columns = vec![ColumnDescription {
            name: s.text("droppedcolumn"),
            title: s.text("droppedtitle"),
            description: s.text("droppeddescription"),
            unit: s.text("droppedunit"),
            codes: [(s.text("droppedcode"), s.text("droppedmeaning"))].into(),
            ..ColumnDescription::default()
        }];
        let metadata = DatasetMetadata { columns, ..metadata };
        let file_name = format!("{}.{}", s.text("treesfile"), s.text("ext"));
        self.release(metadata, (&file_name, &self.remedied()), &self.dictionary()).await;
    }

    /// Forty rows for the public, and many that are left out.
    fn remedied(&self) -> Vec<u8> {
        let s = self.secrets;
        let (dropped, born) = (s.text("droppedcolumn"), if s.flavour == 'a' { "1984-03-17" } else { "1984-09-23" });
        s.keep(born.to_owned());
        let mut text = format!("id,{PUBLIC_COLUMN},zip,owner,notes,badge,born,status,remark,{dropped}\n");
        let (cell, badge, mail) = (s.text("droppedcell"), s.text("badge"), s.text("mail"));
        for row in 0..40 {
            let zip = if row == 7 { s.text("smallzip") } else { format!("2770{}", row % 2) };
            let owner = s.keep(format!("zqowner{}", row % 5));
            writeln!(
                text,
                "{row},{PUBLIC_CELL}{},{zip},{owner},met {mail}@town.example today,{badge}{row},{born},open,fine,{cell}{row}",
                row % 4
            )
            .unwrap();
        }
        let (sealed, cell) = (s.text("sealed"), s.text("sealedcell"));
        for row in 0..s.counts[2] {
            writeln!(text, "{row},{cell},27700,zqowner1,{cell},{badge},{born},{sealed},{cell},{cell}").unwrap();
        }
        text.into_bytes()
    }

    fn dictionary(&self) -> String {
        let s = self.secrets;
        let (sealed, dropped, reason) = (s.text("sealed"), s.text("droppedcolumn"), s.text("dropreason"));
        let (words, public, class) = (s.text("droppedwords"), s.text("publicreason"), s.text("classification"));
        format!(
            "drop_rows = ['status={sealed}']\nquasi_identifiers = ['zip']\nk = 3\nsmall_classes = 'suppress'\n\
             [[field]]\nname = 'zip'\ntype = 'text'\n\
             [[field]]\nname = 'owner'\nremedy = 'pseudonym'\n\
             [[field]]\nname = 'notes'\nremedy = 'redact'\n\
             [[field]]\nname = 'badge'\nremedy = 'empty'\n\
             [[field]]\nname = 'born'\ntype = 'date'\nremedy = 'year'\n\
             [[field]]\nname = 'remark'\ntreatment = 'public'\nreason = '{public}'\n\
             [[field]]\nname = '{dropped}'\ndescription = '{words}'\ntreatment = 'drop'\nclassification = '{class}'\nreason = '{reason}'\n"
        )
    }

    /// What is public all through, with a next version under embargo that the calendar may announce.
    async fn places(&self) {
        let s = self.secrets;
        let mut file = "{\"type\":\"FeatureCollection\",\"features\":[".to_owned();
        for place in 0..3 {
            let comma = if place == 0 { "" } else { "," };
            write!(
                file,
                "{comma}{{\"type\":\"Feature\",\"properties\":{{\"{PUBLIC_COLUMN}\":\"{PUBLIC_CELL}\",\"rank\":{place}}},\
                 \"geometry\":{{\"type\":\"Point\",\"coordinates\":[-78.{place},36.0]}}}}"
            )
            .unwrap();
        }
        file.push_str("]}");
        let metadata = DatasetMetadata { update_frequency: "R/P1M".into(), ..self.metadata("places", PUBLIC_TITLE) };
        self.release(metadata, ("places.geojson", file.as_bytes()), "").await;
        let said = self.secret_metadata("places", "planned");
        let rows = column(&s.text("plannedcolumn"), &s.text("plannedcell"), s.counts[3]);
        let planned = self.approve(said, (&format!("{}.csv", s.text("plannedfile")), &rows), "").await;
        self.world.publisher.look(&self.operator, &planned.id, WORK_MS).await.unwrap();
        self.world.publisher.difference(&self.operator, &planned.id, WORK_MS).await.unwrap();
        let at_ms = NOW_MS + 3_600_000;
        self.world.publisher.schedule(&self.operator, &planned.id, (at_ms, None), WORK_MS).await.unwrap();
    }

    /// Datasets that the public had, asked, and has no more; the portal has told of that use, too.
    async fn gone(&self) {
        let s = self.secrets;
        let publisher = self.world.publisher.clone().with_own_steward("records@city.example");
        let mut versions = Vec::new();
        for (name, what, count, purge) in [("permits", "gone", 4, false), ("licenses", "erased", 5, true)] {
            let rows = column(&s.text(&format!("{what}column")), &s.text(&format!("{what}cell")), s.counts[count]);
            let version = self.release(self.gone_metadata(name, what), ("f.csv", &rows), "").await;
            self.look_at(&version, &s.text(&format!("{what}column"))).await;
            self.looked_at(&version, &s.text(&format!("{what}column"))).await;
            versions.push((version, purge));
        }
        let first = VersionRef { dataset: DatasetName::parse("trees").unwrap(), version: 1 };
        self.looked_at(&first, PUBLIC_COLUMN).await;
        assert_eq!(publisher.refresh_usage(WORK_MS).await.unwrap().unwrap().to_string(), "usage@1");
        self.touch_and_publish().await;
        for (version, purge) in versions {
            self.withdraw(&version, purge).await;
        }
        assert_eq!(publisher.refresh_usage(WORK_MS).await.unwrap().unwrap().to_string(), "usage@2");
        self.publish_again().await;
    }

    /// The public used it while it was public.
    async fn look_at(&self, version: &VersionRef, column: &str) {
        let reply = self.world.get(&format!("/datasets/{}.csv?limit=3", version.dataset)).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        self.world.rows(&format!("SELECT {column} FROM {} LIMIT 1", version.dataset.sql_name())).await;
        self.world.questions.flush_uses(WORK_MS).await.unwrap();
    }

    /// And in a month that is over.
    async fn looked_at(&self, version: &VersionRef, column: &str) {
        let count = UseCount {
            month: "2025-11".to_owned(),
            dataset: version.dataset.clone(),
            version: version.version,
            protocol: "sql".to_owned(),
            format: "csv".to_owned(),
            column: column.to_owned(),
            uses: 12,
        };
        self.world.store.catalog.add_uses(&version.to_string(), &[count], WORK_MS).await.unwrap();
    }

    /// Datasets that nobody has heard of, wherever on the road they are.
    async fn hidden(&self) {
        let s = self.secrets;
        let publisher = &self.world.publisher;
        let named = |what: &str| s.text(&format!("name{what}"));
        let rows = |what: &str, count: usize| {
            column(&s.text(&format!("{what}column")), &s.text(&format!("{what}cell")), count)
        };
        let staged = self.secret_metadata(&named("staged"), "staged");
        self.stage(&self.operator, staged, (&s.text("stagedfile"), &rows("staged", s.counts[6])), "").await;

        let blocked = self.secret_metadata(&named("blocked"), "blocked");
        let ssn = s.keep(if s.flavour == 'a' { "219-09-9871" } else { "219-09-4632" }.to_owned());
        let file = format!("id,{}\n1,{ssn}\n2,{ssn}\n", s.text("blockedcolumn"));
        let blocked = self.stage(&self.operator, blocked, ("b.csv", file.as_bytes()), "").await;
        assert!(self.screen(&blocked).await.findings.iter().any(|finding| finding.blocks()));

        let discarded = self.secret_metadata(&named("discarded"), "discarded");
        let file = rows("discarded", 3);
        let discarded = self.screen(&self.stage(&self.operator, discarded, ("d.csv", &file), "").await).await;
        publisher.discard(&self.operator, &discarded.id, WORK_MS).await.unwrap();

        let quiet = self.secret_metadata(&named("quiet"), "quiet");
        let id = self.approve(quiet, ("q.csv", &rows("quiet", s.counts[7])), "").await.id;
        publisher.schedule(&self.operator, &id, (NOW_MS + 7_200_000, Some(false)), WORK_MS).await.unwrap();
    }

    /// Reviews, with what staff said to each other.
    async fn by_staff(&self) {
        let s = self.secrets;
        let publisher = &self.world.publisher;
        let person = |role: Role| Principal::Staff {
            name: s.text(&format!("person{}", role.as_str().replace('-', ""))),
            roles: vec![role],
            scope: Scope::All,
        };
        let (contributor, steward, cio) = (person(Role::Contributor), person(Role::Steward), person(Role::Cio));
        for what in ["inreview", "returned"] {
            let metadata = self.secret_metadata(&s.text(&format!("name{what}")), what);
            let file = column(&s.text(&format!("{what}column")), &s.text(&format!("{what}cell")), 5);
            let id = self.stage(&contributor, metadata, ("r.csv", &file), "").await.id;
            let screened = publisher.screen(&contributor, &id, WORK_MS, |_| {}).await.unwrap();
            publisher.submit(&contributor, &id, WORK_MS).await.unwrap();
            let said = (screened.digest.as_deref().unwrap(), &*s.text(&format!("remark{what}")));
            publisher.recommend(&steward, &id, said, WORK_MS).await.unwrap();
            if what == "returned" {
                publisher.give_back(&cio, &id, &s.text("returnreason"), WORK_MS).await.unwrap();
            }
        }
    }

    /// One that came over the network, with a token that is a secret itself.
    async fn over_http(&self) {
        let s = self.secrets;
        for role in [Role::Steward, Role::Admin] {
            let name = s.text(&format!("holder{}", role.as_str()));
            let request = TokenRequest { name, roles: vec![role], scope: Scope::All, days: 30 };
            let made = self.world.publisher.create_token(&self.operator, request, 30, WORK_MS).await.unwrap();
            let token = s.keep(made.0.reveal().to_owned());
            let text = |what: &str| s.text(&format!("{what}overhttp"));
            let (name, file, title, column, cell) =
                (text("name"), text("file"), text("title"), text("column"), text("cell"));
            let uri =
                format!("/api/staff/datasets/{name}/revisions?file_name={file}.csv&title={title}&department=Parks");
            let request = Request::post(uri)
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", "application/octet-stream");
            let file = format!("id,{column}\n1,{cell}\n");
            let reply = self.world.send(request.body(Body::from(file)).unwrap()).await;
            assert_eq!(reply.status == StatusCode::CREATED, role == Role::Steward, "{}", reply.text());
            if role != Role::Steward {
                continue;
            }
            let id = reply.json()["id"].as_str().unwrap().to_owned();
            for (step, expected) in [("screen", 200), ("approve", 415), ("release", 403)] {
                let request = Request::post(format!("/api/staff/revisions/{id}/{step}"))
                    .header("authorization", format!("Bearer {token}"));
                let reply = self.world.send(request.body(Body::empty()).unwrap()).await;
                assert_eq!(reply.status.as_u16(), expected, "{step}: {}", reply.text());
            }
        }
    }

    /// The annual report, with comments that nobody is to read.
    async fn report(&self) {
        let s = self.secrets;
        let publisher = &self.world.publisher;
        publisher.draft_report(&self.operator, 2026, Some("Publish more."), WORK_MS).await.unwrap();
        publisher.publish_report(&self.operator, 2026, WORK_MS).await.unwrap();
        publisher.draft_report(&self.operator, 2025, Some(&s.text("draftwords")), WORK_MS).await.unwrap();
        for what in ["held", "rejected", "accepted"] {
            let (name, said) = match what {
                "accepted" => ("A reader".to_owned(), "More trees, please.".to_owned()),
                _ => (s.text(&format!("commentname{what}")), s.text(&format!("comment{what}"))),
            };
            let comment = publisher.comment(2026, (&name, &said), WORK_MS).await.unwrap();
            let reason = (what == "rejected").then(|| s.text("rejectreason"));
            if what != "held" {
                publisher.moderate(&self.operator, &comment.id, reason.as_deref(), WORK_MS).await.unwrap();
            }
        }
    }

    /// What one portal has and the other has not.
    async fn more(&self) {
        let s = self.secrets;
        let rows = column(&s.text("extracolumn"), &s.text("extracell"), 211);
        let staged = self.secret_metadata(&s.text("nameextrastaged"), "extrastaged");
        self.stage(&self.operator, staged, ("x.csv", &rows), "").await;
        let version = self.release(self.gone_metadata(GONE[2], "extra"), ("x.csv", &rows), "").await;
        self.withdraw(&version, true).await;
    }
}
