//! Both roads, end to end: what goes in comes out, and nothing else does.

use axum::body::Body;
use http::{Request, StatusCode};

use crate::world::{NOW_MS, World};

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
async fn columns_are_called_as_they_were_written() {
    let world = World::new().await;
    world.publish("street-trees", "trees.csv", TREES).await;
    let reply =
        world.sql("select COUNT(*), max(height_m) + 1, 1, 1, species from street_trees group by 5", "csv").await;
    assert_eq!(reply.text().lines().next().unwrap(), "count(*),max(height_m) + 1,1,1_2,species");
    let pairs = "select a.tree_id, b.tree_id from street_trees a join street_trees b on a.tree_id = b.tree_id limit 1";
    let reply = world.sql(pairs, "objects").await;
    assert_eq!(reply.text().trim(), "[\n{\"tree_id\":\"0002\",\"tree_id_2\":\"0002\"}\n]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_says_where_the_unknown_column_stands() {
    let world = World::new().await;
    world.publish("street-trees", "trees.csv", TREES).await;
    let reply = world.sql("select species,\n  hight_m from street_trees", "csv").await;
    let problem = reply.json();
    assert_eq!(problem["code"], "unknown_column");
    assert_eq!(problem["position"], serde_json::json!({ "line": 2, "column": 3 }));
    assert!(problem.get("about").is_none());
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
async fn a_column_that_is_classified_as_restricted_blocks_until_somebody_decides() {
    let world = World::new().await;
    let file = b"position,note\nClerk,late twice\nPlanner,\n";
    let field = "[[field]]\nname = \"note\"\nclassification = \"personnel\"\n";
    let blocked = world.screen("staff", "staff.csv", file, field).await;
    let finding = blocked.findings.iter().find(|finding| finding.rule == "restricted_column").unwrap();
    assert!(finding.blocks() && finding.message.contains("160A-168"), "{}", finding.message);
    let decided = format!("{field}treatment = \"drop\"\nreason = \"personnel file\"\n");
    world.release(&world.screen("staff", "staff.csv", file, &decided).await).await;
    let listed = world.rows("select column_name from information_schema.columns where table_name = 'staff'").await;
    assert_eq!(listed, "position\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_another_state_screen_in_the_readers_process() {
    let world = World::new().await;
    let rules = "title = 'Elsewhere'\n[[rule]]\nid = 'badge'\ntitle = 'badge numbers'\nclause = 'Elsewhere Code 12'\n\
        action = 'block'\npattern = '[0-9]{6}'\nnear = ['badge']\n";
    let rules = portico_intake::screen::RuleSet::from_toml(rules).unwrap();
    let staged = world.stage("notes", "notes.csv", b"note,ssn\nbadge 123456,219-09-9999\n", "").await;
    let publisher = world.publisher.clone().with_rules(rules);
    let screened = publisher.screen(&world.operator, &staged.id, 0, |_| {}).await.unwrap();
    let rules: Vec<&str> = screened.findings.iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(rules, ["badge", "screened_by"]);
    let again = world.publisher.screen(&world.operator, &staged.id, 0, |_| {}).await.unwrap();
    assert!(again.findings.iter().any(|finding| finding.rule == "us_ssn" && finding.blocks()));
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
async fn a_release_without_a_steward_is_refused() {
    let world = World::new().await;
    let staged = world.stage("street-trees", "trees.csv", TREES, "").await;
    let metadata = portico_model::dataset::DatasetMetadata { steward_email: " ".to_owned(), ..staged.metadata };
    let amendment = portico_publish::Amendment { metadata: Some(metadata), ..Default::default() };
    world.publisher.amend(&world.operator, &staged.id, amendment, NOW_MS).await.unwrap();
    let screened = world.publisher.screen(&world.operator, &staged.id, NOW_MS, |_| {}).await.unwrap();
    let digest = screened.digest.unwrap();
    let refused = world.publisher.approve(&world.operator, &staged.id, &digest, NOW_MS).await.unwrap_err();
    assert!(matches!(refused, portico_publish::PublishError::Incomplete(_)), "{refused}");
    assert_eq!(world.get("/datasets/street-trees.csv").await.status, StatusCode::NOT_FOUND);
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

#[tokio::test(flavor = "multi_thread")]
async fn values_in_a_url_are_exact_and_text_stays_text() {
    let world = World::new().await;
    world.publish("street-trees", "trees.csv", TREES).await;
    world.publish("large", "l.csv", b"n\n9223372036854775807\n9223372036854775808\n9223372036854775809\n").await;
    let count = async |query: &str| {
        let reply = world.get(&format!("/sql?format=csv&q=select+count(*)+from+{query}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{query}: {}", reply.text());
        reply.text().lines().nth(1).unwrap().to_owned()
    };
    assert_eq!(count("large+where+n=$1&p1=9223372036854775809").await, "1");
    assert_eq!(count("large+where+n=$1&p1=9223372036854775810").await, "0");
    assert_eq!(count("street_trees+where+height_m=$1&p1=12.50").await, "1");
    assert_eq!(count("street_trees+where+height_m%3E$1&p1=9").await, "2");
    assert_eq!(count("street_trees+where+species=$1&p1=5").await, "0");
    assert_eq!(count("street_trees+where+tree_id=$1&p1=0001").await, "1");
    assert_eq!(count("street_trees+where+tree_id=$1&p1=1").await, "0");
    assert_eq!(count("street_trees+where+planted%3E$1&p1=2000-01-01").await, "2");
    assert_eq!(count("street_trees+where+street+is+not+distinct+from+$1&p1=null").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_export_tells_its_rows_and_takes_names_as_sql_does() {
    let world = World::new().await;
    world.publish("street-trees", "trees.csv", TREES).await;
    let reply = world.get("/datasets/street-trees.csv?where=Species='Oak'&select=Tree_ID,%22height_m%22").await;
    assert_eq!((reply.status, reply.text().as_str()), (StatusCode::OK, "tree_id,height_m\n0001,12.50\n0003,4.00\n"));
    assert_eq!((reply.header("x-portico-rows"), reply.header("content-length")), ("2", "38"));
    let twice = world.get("/datasets/street-trees.csv?select=tree_id,TREE_ID").await;
    assert_eq!(twice.problem(), "invalid_request");
    assert_eq!(world.get("/datasets/street-trees.csv?select=tree").await.problem(), "unknown_column");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explained_query_has_a_tag_of_its_own() {
    let world = World::new().await;
    world.publish("street-trees", "trees.csv", TREES).await;
    let query = world.sql("select species from street_trees", "csv").await;
    let explained = world.sql("explain select species from street_trees", "csv").await;
    assert_ne!(query.header("etag"), explained.header("etag"));
    // Nobody knows the length of an answer that was not made: none is claimed.
    let head = Request::head("/sql?q=select+species+from+street_trees&format=csv").body(Body::empty()).unwrap();
    let head = world.send(head).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (StatusCode::OK, "", 0));
    assert_eq!(head.header("etag"), query.header("etag"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nan_and_columns_without_bounds_are_counted_and_found() {
    let world = World::new().await;
    let values: arrow::array::ArrayRef =
        std::sync::Arc::new(arrow::array::Float64Array::from(vec![Some(f64::NAN), Some(0.5), None, Some(1.0)]));
    let batch = arrow::array::RecordBatch::try_from_iter([("f", values)]).unwrap();
    let mut file = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    world.publish("odd", "odd.parquet", &file).await;
    assert_eq!(world.rows("select count(*) from odd where f > 1").await, "1\n");
    assert_eq!(world.rows("select count(*) from odd where f = 'nan'::double").await, "1\n");
    assert_eq!(world.rows("select count(f), count(*) from odd").await, "3,4\n");

    let places = br#"{"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"name": "a"}, "geometry": {"type": "Point", "coordinates": [1, 2]}},
        {"type": "Feature", "properties": {"name": "b"}, "geometry": null}]}"#;
    world.publish("places", "places.geojson", places).await;
    assert_eq!(world.rows("select count(geometry), count(*) from places").await, "1,2\n");
    assert_eq!(world.rows("select name from places where geometry is null").await, "b\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_on_one_side_of_an_outer_join_stays_on_that_side() {
    let world = World::new().await;
    let file = |rows: u32, letter: &str| {
        let line = |row: u32| format!("{row},{},{}\n", row % 7, letter.repeat((row % 5) as usize));
        format!("id,b,x\n{}", (0..rows).map(line).collect::<String>()).into_bytes()
    };
    world.publish("middle", "m.csv", &file(40, "m")).await;
    world.publish("large", "l.csv", &file(400, "l")).await;
    let rest = "from middle t0 full join large t1 on t1.b = t0.id where length(t0.x) < t1.b and t1.b is not null";
    let counted = world.rows(&format!("select count(*) {rest}")).await;
    let listed = world.rows(&format!("select t1.x {rest}")).await;
    assert_eq!(format!("{}\n", listed.lines().count()), counted);
}

#[tokio::test(flavor = "multi_thread")]
async fn timestamps_reach_to_the_year_9999() {
    let world = World::new().await;
    world.publish("cases", "c.csv", b"id,closed_at\na,2024-01-31T10:00:00\nb,\n").await;
    let open =
        "select id from cases where coalesce(closed_at, timestamp '9999-12-31 23:59:59') > timestamp '2026-01-01'";
    assert_eq!(world.rows(open).await, "b\n");
    assert_eq!(
        world.rows("select '9999-12-31'::timestamp, cast('1066-10-14' as timestamp)").await.trim(),
        "9999-12-31T00:00:00,1066-10-14T00:00:00"
    );
}
