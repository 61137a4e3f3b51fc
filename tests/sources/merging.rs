//! Files that go on from the current version, and queries of databases.

use portico_intake::dictionary::Dictionary;
use portico_model::finding::Finding;
use portico_publish::{Mode, StageRequest};
use portico_store::Database;

use super::*;

fn incremental(mode: Mode, key: &[&str]) -> Declaration {
    let key = key.iter().map(|name| (*name).to_owned()).collect();
    let tolerance = Tolerance { more_rows_percent: 1_000, ..Tolerance::default() };
    Declaration { reading: ReadOptions { mode, key, ..ReadOptions::default() }, tolerance, ..daily() }
}

fn settle(path: &Path) {
    let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(NOW_MS - HOUR_MS).unwrap());
    std::fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
}

impl Office {
    fn drop_named(&self, name: &str, text: &str) {
        let path = self.place.path().join(name);
        std::fs::write(&path, text).unwrap();
        settle(&path);
    }

    async fn standing(&self, declaration: &Declaration) {
        let source = self.declare(declaration).await;
        self.approve(&source).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_appended_one_after_the_other_and_each_once() {
    let office = Office::new().await;
    office.drop_named("trees-1.csv", &some_trees(100..105));
    office.drop_named("trees-2.csv", &some_trees(105..107));
    office.standing(&incremental(Mode::Append, &["tree_id"])).await;
    for (version, rows) in [(2, "105\n"), (3, "107\n")] {
        let run = office.refresh(NOW_MS).await;
        assert_eq!((run.outcome.as_str(), run.version), ("released", Some(version)), "{:?}", run.reasons);
        assert_eq!(office.rows().await, rows);
    }
    assert_eq!(office.refresh(NOW_MS).await.outcome, "unchanged");
    assert!(office.publisher.refresh_due(NOW_MS).await.unwrap().is_none());
    // The public version is whole, in order: what was there, then what came.
    let sum = office.world.rows("select count(distinct tree_id), min(tree_id), max(tree_id) from street_trees").await;
    assert_eq!(sum, "107,00000,00106\n");
    // Said otherwise, but read from the same place: no file is read twice.
    let mut other = incremental(Mode::Append, &["tree_id"]);
    other.tolerance.late_hours = Some(5);
    office.standing(&other).await;
    assert_eq!(office.refresh(NOW_MS).await.outcome, "unchanged");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_there_already_are_not_appended_and_what_comes_next_waits() {
    let office = Office::new().await;
    office.drop_named("trees-1.csv", &some_trees(95..105));
    office.drop_named("trees-2.csv", &some_trees(105..107));
    office.standing(&incremental(Mode::Append, &["tree_id"])).await;
    let run = office.refresh(NOW_MS).await;
    assert_eq!(run.outcome, "held");
    let id = run.revision.unwrap();
    let revision = office.publisher.revision(&steward(), &id, NOW_MS).await.unwrap();
    let taken = revision.findings.iter().find(|finding| finding.rule == "merge_key_taken").unwrap();
    assert_eq!((taken.count, taken.column.as_deref()), (5, Some("tree_id")));
    let run = office.refresh(NOW_MS + DAY_MS).await;
    assert_eq!((run.outcome.as_str(), run.revision), ("waiting", None));
    assert_eq!(office.rows().await, "100\n");
    office.publisher.discard(&steward(), &id, NOW_MS).await.unwrap();
    let run = office.refresh(NOW_MS + 2 * DAY_MS).await;
    assert_eq!((run.outcome.as_str(), run.version), ("released", Some(2)), "{:?}", run.reasons);
    assert_eq!(office.rows().await, "102\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_the_file_take_the_place_of_those_with_the_same_key() {
    let office = Office::new().await;
    office.drop_named(
        "trees-1.csv",
        &some_trees(90..110).replace(",Oak", ",Larch").replace(",Ash", ",Larch").replace(",Elm", ",Larch"),
    );
    office.standing(&incremental(Mode::Upsert, &["tree_id"])).await;
    let run = office.refresh(NOW_MS).await;
    assert_eq!((run.outcome.as_str(), run.version), ("released", Some(2)), "{:?}", run.reasons);
    let counted =
        "select species = 'Larch', count(*), min(tree_id), max(tree_id) from street_trees group by 1 order by 1";
    assert_eq!(office.world.rows(counted).await, "false,90,00000,00089\ntrue,20,00090,00109\n");
    let revision = office.publisher.revision(&steward(), &run.revision.unwrap(), NOW_MS).await.unwrap();
    let merged = revision.findings.iter().find(|finding| finding.rule == "merged").unwrap();
    assert!(merged.message.contains("20 rows: 10 take the place") && merged.message.contains("90 stay"), "{merged:?}");
    // A key twice is nobody's to decide by itself.
    office.drop_named("trees-2.csv", &(some_trees(0..3) + "00001,Ash\n"));
    let run = office.refresh(NOW_MS).await;
    assert_eq!(run.outcome, "held");
    let revision = office.publisher.revision(&steward(), &run.revision.unwrap(), NOW_MS).await.unwrap();
    let twice = revision.findings.iter().find(|finding| finding.rule == "merge_key_repeated").unwrap();
    assert_eq!((twice.count, twice.rows.as_slice()), (1, &[4][..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_go_on_from_a_version_are_released_while_it_is_current() {
    let office = Office::new().await;
    let world = &office.world;
    let file = office.place.path().join("more.csv");
    std::fs::write(&file, some_trees(10_000..10_003)).unwrap();
    let metadata = world.store.catalog.dataset(&dataset()).await.unwrap().unwrap().metadata;
    let options = ReadOptions { mode: Mode::Append, ..ReadOptions::named("more.csv") };
    let request = portico_publish::StageRequest { metadata, file, options };
    let operator = Principal::operator("ops");
    let stage = async || {
        let staged = office.publisher.stage(&operator, request.clone(), NOW_MS).await.unwrap();
        let screened = office.publisher.screen(&operator, &staged.id, NOW_MS, |_| {}).await.unwrap();
        let digest = screened.digest.unwrap();
        office.publisher.approve(&operator, &staged.id, &digest, NOW_MS).await.unwrap();
        staged.id
    };
    let id = stage().await;
    world.publish("street-trees", "trees.csv", trees(50).as_bytes()).await;
    let refused = office.publisher.release(&operator, &id, NOW_MS).await.unwrap_err();
    assert_eq!(refused.kind(), ProblemKind::Conflict);
    assert_eq!(office.rows().await, "50\n");
    office.publisher.discard(&operator, &id, NOW_MS).await.unwrap();
    let id = stage().await;
    office.publisher.release(&operator, &id, NOW_MS).await.unwrap();
    assert_eq!(office.rows().await, "53\n");
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::disallowed_methods, reason = "a test asks where the real server is")]
async fn a_query_is_released_like_a_file() {
    let Ok(url) = std::env::var("PORTICO_TEST_POSTGRES") else {
        println!("skipped: PORTICO_TEST_POSTGRES names no PostgreSQL server");
        return;
    };
    let url = url::Url::parse(&url).unwrap();
    let database: Database = serde_json::from_value(serde_json::json!({
        "host": url.host_str().unwrap(),
        "port": url.port().unwrap_or(5432),
        "database": url.path().trim_start_matches('/'),
        "user": url.username(),
        "tls": false,
    }))
    .unwrap();
    let database = Database { password: url.password().unwrap_or_default().to_owned(), ..database };
    let settings = FetchSettings { hosts: vec![database.host.clone()], ..FetchSettings::default() };
    let fetcher = Fetcher::new(settings, Default::default());
    let mut office = Office::with(fetcher.clone(), NoticeSettings::default()).await;
    let mut sources = sources(office.place.path(), fetcher, NoticeSettings::default());
    sources.places.databases.insert("city".to_owned(), database);
    office.publisher = office.publisher.clone().with_sources(sources);
    let query = "select lpad(n::text, 5, '0') as tree_id, 'Oak' as species from generate_series(0, 109) n order by n";
    let from = Origin::Postgresql { database: "city".to_owned(), query: query.to_owned() };
    office.standing(&Declaration { from, ..daily() }).await;
    let run = office.refresh(NOW_MS).await;
    assert_eq!((run.outcome.as_str(), run.version), ("released", Some(2)), "{:?}", run.reasons);
    assert_eq!(office.rows().await, "110\n");
    assert_eq!(office.refresh(NOW_MS + DAY_MS).await.outcome, "unchanged");
    let elsewhere = Origin::Postgresql { database: "another".to_owned(), query: query.to_owned() };
    let declared = Declaration { from: elsewhere, ..daily() };
    let refused = office.publisher.declare_source(&steward(), &dataset(), &declared, NOW_MS).await;
    assert_eq!(refused.unwrap_err().kind(), ProblemKind::InvalidRequest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_not_appended_twice_where_no_key_tells() {
    let office = Office::new().await;
    let bring = async |text: &str| {
        let path = office.place.path().join("brought.csv");
        std::fs::write(&path, text).unwrap();
        let operator = &office.world.operator;
        let metadata = office.publisher.dataset(operator, &dataset(), NOW_MS).await.unwrap().metadata;
        let options = ReadOptions { mode: Mode::Append, ..ReadOptions::named("brought.csv") };
        let request = StageRequest { metadata, file: path, options };
        let (dry, _) = office.publisher.preview(operator, request.clone(), NOW_MS, |_| {}).await.unwrap();
        let staged = office.publisher.stage(operator, request, NOW_MS).await.unwrap();
        let screened = office.publisher.screen(operator, &staged.id, NOW_MS, |_| {}).await.unwrap();
        let told = |findings: &[Finding]| findings.iter().filter(|one| one.rule == "file_appended_before").count();
        assert_eq!(told(&dry), told(&screened.findings));
        (told(&screened.findings), screened)
    };
    // The file that the current version was made of, which nobody has appended yet.
    let (told, first) = bring(&trees(100)).await;
    assert_eq!((told, first.state), (1, RevisionState::Blocked));
    let (told, more) = bring(&some_trees(100..105)).await;
    assert_eq!(told, 0);
    office.world.release(&more).await;
    let (_, most) = bring(&some_trees(105..107)).await;
    office.world.release(&most).await;
    assert_eq!(office.rows().await, "107\n");
    for again in [trees(100), some_trees(100..105), some_trees(105..107)] {
        let (told, revision) = bring(&again).await;
        assert_eq!((told, revision.state), (1, RevisionState::Blocked));
    }
    // Once a file has replaced all rows, those before it count no more.
    office.world.publish("street-trees", "trees.csv", trees(50).as_bytes()).await;
    assert_eq!(bring(&some_trees(100..105)).await.0, 0);
    assert_eq!(bring(&trees(50)).await.0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_current_version_suppressed_is_not_gone_on_from() {
    let world = World::new().await;
    let rows = |count: u64| {
        let mut text = "ward,kind\n".to_owned();
        (0..count).for_each(|row| text.push_str(&format!("{},a\n", row % 2)));
        text
    };
    let rules = "quasi_identifiers = ['ward']\nk = 3\nsmall_classes = 'suppress'\n";
    let first = world.screen("people", "people.csv", rows(20).as_bytes(), rules).await;
    world.release(&first).await;
    // Declared public, and with it no rules any more: but some were made of the rows that are there.
    let public = "[[field]]\nname = 'ward'\ntreatment = 'public'\nreason = 'a ward is large'\n";
    let path = world.scratch().join("more");
    std::fs::write(&path, rows(4)).unwrap();
    let dictionary = Some(Dictionary::from_toml(public).unwrap());
    let options = ReadOptions { dictionary, mode: Mode::Append, ..ReadOptions::named("more.csv") };
    let metadata = world
        .publisher
        .dataset(&world.operator, &DatasetName::parse("people").unwrap(), NOW_MS)
        .await
        .unwrap()
        .metadata;
    let request = StageRequest { metadata, file: path, options };
    let (findings, _) = world.publisher.preview(&world.operator, request, NOW_MS, |_| {}).await.unwrap();
    let told: Vec<_> = findings.iter().filter(|finding| finding.rule == "merge_suppressed").collect();
    assert!(told.len() == 1 && told[0].blocks(), "{findings:?}");
}
