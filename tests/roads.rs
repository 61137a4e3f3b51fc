//! Both roads, end to end: what goes in comes out, and nothing else does.

use http::StatusCode;

use crate::world::World;

const TREES: &[u8] = b"tree_id,species,planted,height_m,street\n\
    0001,Oak,2001-05-04,12.50,Elm\n0002,Ash,1999-01-31,9.25,Oak\n0003,Oak,2010-11-30,4.00,\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_comes_out_typed_over_sql() {
    let world = World::new().await;
    assert_eq!(world.publish("street-trees", "trees.csv", TREES).await.version, 1);
    let reply = world
        .sql("select species, count(*) as n, sum(height_m) as m from street_trees group by 1 order by 1", "json")
        .await;
    let document = reply.json();
    assert_eq!(document["columns"][2]["name"], "m");
    assert_eq!(document["rows"], serde_json::json!([["Ash", 1, "9.25"], ["Oak", 2, "16.50"]]));
    assert_eq!(document["versions"], serde_json::json!({ "street_trees": 1 }));
    assert_eq!(world.rows("select tree_id from street_trees where planted < date '2000-01-01'").await, "0002\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_version_comes_out_in_stored_order() {
    let world = World::new().await;
    world.publish("street-trees", "trees.csv", TREES).await;
    let reply = world.get("/datasets/street-trees.csv").await;
    assert_eq!(reply.status, StatusCode::OK);
    let text = "tree_id,species,planted,height_m,street\n0002,Ash,1999-01-31,9.25,Oak\n0001,Oak,2001-05-04,12.50,Elm\n\
        0003,Oak,2010-11-30,4.00,\n";
    assert_eq!(reply.text(), text);
    assert_eq!(reply.header("x-portico-version"), "1");
    let part = world.get_with("/datasets/street-trees.csv", &[("range", "bytes=-6")]).await;
    assert_eq!((part.status, part.text().as_str()), (StatusCode::PARTIAL_CONTENT, "4.00,\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn older_versions_stay_readable() {
    let world = World::new().await;
    world.publish("street-trees", "trees.csv", TREES).await;
    world.publish("street-trees", "trees.csv", b"tree_id,species\n1,Elm\n").await;
    assert_eq!(world.rows("select species from street_trees").await, "Elm\n");
    assert_eq!(world.rows("select count(*) from \"street_trees@1\"").await, "3\n");
    assert_eq!(world.rows("select count(*) from street_trees for version as of 1").await, "3\n");
    assert_eq!(world.sql("select * from \"street_trees@3\"", "csv").await.problem(), "not_found");
    let old = world.get("/datasets/street-trees/versions/1.csv").await;
    assert!(old.header("cache-control").contains("immutable"), "{}", old.header("cache-control"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_column_never_gets_out() {
    let world = World::new().await;
    let file = b"name,ssn\nA,219-09-9999\nB,457-55-5462\n";
    let blocked = world.screen("staff", "staff.csv", file, "").await;
    assert!(blocked.findings.iter().any(|finding| finding.blocks() && finding.column.as_deref() == Some("ssn")));
    let digest = blocked.digest.clone().unwrap();
    world.publisher.approve(&world.operator, &blocked.id, &digest, 0).await.unwrap_err();
    assert_eq!(world.sql("select * from staff", "csv").await.problem(), "not_found");
    assert_eq!(world.get("/datasets/staff.csv").await.status, StatusCode::NOT_FOUND);

    let dictionary = "[[field]]\nname = \"ssn\"\ntreatment = \"drop\"\nreason = \"restricted\"\n";
    let screened = world.screen("staff", "staff.csv", file, dictionary).await;
    world.release(&screened).await;
    for path in [
        "/datasets/staff.csv",
        "/datasets/staff.json",
        "/api/datasets/staff",
        "/api/datasets/staff/versions/1",
        "/datasets/staff",
    ] {
        let text = world.get(path).await.text();
        assert!(!text.contains("219-09"), "{path}");
    }
    assert_eq!(world.sql("select ssn from staff", "csv").await.problem(), "unknown_column");
    let listed = world.rows("select column_name from information_schema.columns where table_name = 'staff'").await;
    assert_eq!(listed, "name\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_was_left_out_does_not_come_back_unsaid() {
    let world = World::new().await;
    let file = b"name,Owner Code\nA,x1\nB,x2\n";
    let told = |treatment: &str| {
        format!("[[field]]\nname = \"Owner Code\"\ntreatment = \"{treatment}\"\nreason = \"asked\"\n")
    };
    world.release(&world.screen("owners", "owners.csv", file, &told("drop")).await).await;
    // The decision stands across a version without the column, however the file spells its name.
    world.publish("owners", "owners.csv", b"name\nA\n").await;
    for again in [&file[..], b"name,OWNER_CODE\nA,x1\n"] {
        let back = world.screen("owners", "owners.csv", again, "").await;
        let blocking: Vec<_> = back.findings.iter().filter(|finding| finding.blocks()).collect();
        assert_eq!(blocking.len(), 1, "{:?}", back.findings);
        assert_eq!(blocking[0].rule, "column_returned");
        assert_eq!(blocking[0].column.as_deref(), Some("owner_code"));
        let digest = back.digest.clone().unwrap();
        world.publisher.approve(&world.operator, &back.id, &digest, 0).await.unwrap_err();
    }
    world.release(&world.screen("owners", "owners.csv", file, &told("drop")).await).await;
    assert_eq!(world.sql("select owner_code from owners", "csv").await.problem(), "unknown_column");
    world.release(&world.screen("owners", "owners.csv", file, &told("public")).await).await;
    assert_eq!(world.rows("select owner_code from owners order by 1").await, "x1\nx2\n");
    // Public by decision, it needs none the next time.
    world.publish("owners", "owners.csv", file).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_screened_before_a_column_was_left_out_is_not_released_after() {
    let world = World::new().await;
    let file = b"name,owner_code\nA,x1\n";
    let early = world.screen("owners", "owners.csv", file, "").await;
    let digest = early.digest.clone().unwrap();
    world.publisher.approve(&world.operator, &early.id, &digest, crate::world::NOW_MS).await.unwrap();
    let dropped = "[[field]]\nname = \"owner_code\"\ntreatment = \"drop\"\nreason = \"restricted\"\n";
    world.release(&world.screen("owners", "owners.csv", file, dropped).await).await;
    world.publisher.release(&world.operator, &early.id, crate::world::NOW_MS).await.unwrap_err();
    assert_eq!(world.sql("select owner_code from owners", "csv").await.problem(), "unknown_column");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_hidden_and_staged_look_the_same() {
    let world = World::new().await;
    world.screen("staged-only", "a.csv", b"a\n1\n", "").await;
    let problem = |text: String, name: &str| {
        let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
        document["instance"] = serde_json::Value::Null;
        document.to_string().replace(&name.replace('-', "_"), "NAME").replace(name, "NAME")
    };
    for path in
        ["/datasets/NAME.csv", "/api/datasets/NAME", "/api/datasets/NAME/versions/1", "/datasets/NAME/versions/1.csv"]
    {
        let staged = world.get(&path.replace("NAME", "staged-only")).await;
        let unknown = world.get(&path.replace("NAME", "never-was")).await;
        assert_eq!(staged.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(problem(staged.text(), "staged-only"), problem(unknown.text(), "never-was"), "{path}");
    }
    let staged = world.sql("select * from staged_only", "csv").await;
    let unknown = world.sql("select * from never_was", "csv").await;
    assert_eq!(problem(staged.text(), "staged-only"), problem(unknown.text(), "never-was"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answers_tag_changes_only_with_the_version() {
    let world = World::new().await;
    world.publish("street-trees", "trees.csv", TREES).await;
    let path = "/datasets/street-trees.csv?where=species%20%3D%20%27Oak%27&order=height_m";
    let first = world.get(path).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    assert_eq!(world.get_with(path, &[("if-none-match", &tag)]).await.status, StatusCode::NOT_MODIFIED);
    assert_eq!(world.get(path).await.body, first.body);
    world.publish("street-trees", "trees.csv", b"tree_id,species,height_m\n1,Oak,2\n").await;
    let second = world.get_with(path, &[("if-none-match", &tag)]).await;
    assert_eq!(second.status, StatusCode::OK);
    assert_ne!(second.header("etag"), tag);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_leaves_by_url() {
    let world = World::new().await;
    let file = br#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"name":"Green"},
        "geometry":{"type":"Point","coordinates":[-78.9,36.0]}}]}"#;
    world.publish("parks", "parks.geojson", file).await;
    for extension in portico_model::format::FileKind::EXTENSIONS {
        let reply = world.get(&format!("/datasets/parks.{extension}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{extension}: {:?}", String::from_utf8_lossy(&reply.body));
        assert!(!reply.body.is_empty());
        assert!(reply.header("content-disposition").contains(&format!("parks-v1.{extension}")), "{extension}");
        let head = world
            .send(http::Request::head(format!("/datasets/parks.{extension}")).body(axum::body::Body::empty()).unwrap())
            .await;
        assert_eq!(head.header("content-length"), reply.body.len().to_string(), "{extension}");
    }
    assert_eq!(world.get("/datasets/parks.csv").await.text(), "name,geometry\nGreen,POINT (-78.9 36)\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_statements_answer_over_published_names_only() {
    let world = World::new().await;
    world.publish("street-trees", "trees.csv", TREES).await;
    world.screen("staged-only", "a.csv", b"a\n1\n", "").await;
    for sql in ["show tables", "select table_name from information_schema.tables"] {
        let text = world.sql(sql, "csv").await.text();
        assert!(text.contains("street_trees") && !text.contains("staged_only"), "{sql}: {text}");
    }
    for sql in ["describe street_trees", "show columns from street_trees"] {
        assert!(world.sql(sql, "csv").await.text().contains("height_m"), "{sql}");
    }
    let plan = world.sql("explain select count(*) from street_trees where planted > date '2005-01-01'", "csv").await;
    assert_eq!(plan.status, StatusCode::OK, "{}", plan.text());
    assert!(!plan.text().contains(".parquet") && !plan.text().contains("/tmp"), "{}", plan.text());
    for sql in ["show all", "explain analyze select 1", "describe staged_only", "set x = 1"] {
        assert!(world.sql(sql, "csv").await.status.is_client_error(), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_done_twice_is_one_version() {
    let world = World::new().await;
    let screened = world.screen("street-trees", "trees.csv", TREES, "").await;
    let first = world.release(&screened).await;
    let again = world.publisher.release(&world.operator, &screened.id, 0).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(world.store.catalog.versions(&first.dataset).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn error_texts_hold_no_value_of_the_data() {
    let world = World::new().await;
    world.publish("notes", "notes.csv", b"note\nCANARY-TEXT\nanother\n").await;
    for sql in [
        "select cast(note as int) from notes",
        "select 1 / (length(note) - length(note)) from notes",
        "select date_trunc(note, now()) from notes",
    ] {
        let reply = world.sql(sql, "json").await;
        assert!(!reply.text().contains("CANARY"), "{}", reply.text());
    }
}
