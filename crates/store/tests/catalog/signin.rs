//! Sessions and links: known by their digests, ended once, used once, and no bit of them is believed that is not sealed.

use portico_model::policy::{Role, Scope};
use portico_store::{LinkRecord, SessionOrigin, SessionRecord, StoreError, TokenRecord};

use crate::sample::NOW;
use crate::worlds;

fn session(id: &str, name: &str) -> SessionRecord {
    SessionRecord {
        id: id.to_owned(),
        name: name.to_owned(),
        roles: vec![Role::Steward],
        scope: Scope::Only { departments: vec!["Parks".to_owned()], datasets: Vec::new() },
        origin: SessionOrigin::Provider("u-1".to_owned()),
        created_ms: NOW,
        expires_ms: NOW + 1_000,
        idle_ms: 100,
        used_ms: NOW,
        ended_ms: None,
    }
}

fn link(id: &str) -> LinkRecord {
    LinkRecord {
        id: id.to_owned(),
        name: "ana".to_owned(),
        roles: vec![Role::Cio],
        scope: Scope::All,
        created_ms: NOW,
        created_by: "root".to_owned(),
        expires_ms: NOW + 1_000,
        used_ms: None,
    }
}

#[tokio::test]
async fn a_session_is_found_by_its_digest_until_it_is_over() {
    for world in worlds().await {
        let catalog = &world.catalog;
        let (digest, other) = ("a".repeat(64), "b".repeat(64));
        catalog.insert_session(&session("01A", "ana"), &digest).await.unwrap();
        let taken = catalog.insert_session(&session("01B", "ana"), &digest).await;
        assert!(matches!(taken, Err(StoreError::Conflict { .. })), "{} {taken:?}", world.name);
        let found = world.another().await.session(&digest).await.unwrap().unwrap();
        assert_eq!(found, session("01A", "ana"));
        assert!(found.is_good(NOW + 99) && !found.is_good(NOW + 100));
        assert!(catalog.session(&other).await.unwrap().is_none());
        // Being used keeps it from lying unused, and from nothing else.
        catalog.touch_session("01A", NOW + 950).await.unwrap();
        catalog.touch_session("01A", NOW + 90).await.unwrap();
        let used = catalog.session(&digest).await.unwrap().unwrap();
        assert_eq!(used.used_ms, NOW + 950);
        assert!(used.is_good(NOW + 999) && !used.is_good(NOW + 1_000));

        assert_eq!(catalog.end_session("01A", "root", NOW + 7).await.unwrap().ended_ms, Some(NOW + 7));
        assert_eq!(catalog.end_session("01A", "root", NOW + 9).await.unwrap().ended_ms, Some(NOW + 7));
        assert!(!catalog.session(&digest).await.unwrap().unwrap().is_good(NOW));
        assert!(matches!(catalog.end_session("01Z", "root", NOW).await, Err(StoreError::NotFound { .. })));

        for (id, name, sha256) in [("01C", "ana", "c"), ("01D", "bo", "d"), ("01E", "ana", "e")] {
            catalog.insert_session(&session(id, name), &sha256.repeat(64)).await.unwrap();
        }
        let ended = catalog.end_sessions_of("ana", "ana", NOW + 20).await.unwrap();
        assert_eq!(ended.iter().map(|session| session.id.as_str()).collect::<Vec<_>>(), ["01C", "01E"]);
        assert!(catalog.end_sessions_of("ana", "ana", NOW + 20).await.unwrap().is_empty());
        assert!(catalog.session(&"d".repeat(64)).await.unwrap().unwrap().is_good(NOW + 20));
        let audit = catalog.audit(None, 0, 20).await.unwrap();
        let actions: Vec<&str> = audit.iter().map(|entry| entry.action.as_str()).collect();
        let (started, ended) = ("session.started", "session.ended");
        assert_eq!(actions, [started, ended, started, started, started, ended, ended], "{}", world.name);
        assert!(audit.iter().all(|entry| !entry.detail.contains(&digest)));
        // What is over for a month goes.
        let late = SessionRecord { created_ms: NOW + 31 * 24 * 3_600_000, ..session("01F", "bo") };
        catalog.insert_session(&late, &"f".repeat(64)).await.unwrap();
        assert_eq!(catalog.sessions().await.unwrap().len(), 1, "{}", world.name);
        catalog.verify_audit().await.unwrap();
    }
}

#[tokio::test]
async fn a_link_is_used_by_one_of_many() {
    for world in worlds().await {
        let catalog = &world.catalog;
        let digest = "a".repeat(64);
        catalog.insert_link(&link("01A"), &digest).await.unwrap();
        assert_eq!(catalog.link(&digest).await.unwrap().unwrap(), link("01A"));
        assert!(catalog.link(&"b".repeat(64)).await.unwrap().is_none());
        let begin = |id: &'static str| move |link: &LinkRecord| session(id, &link.name);
        let late = catalog.use_link(&digest, NOW + 1_000, (begin("01L"), &"l".repeat(64))).await.unwrap();
        assert!(late.is_none());
        let other = world.another().await;
        let uses = ["01M", "01N", "01O", "01P"].map(|id| {
            let catalog = if id < "01O" { catalog.clone() } else { other.clone() };
            let (digest, own) = (digest.clone(), id.repeat(16));
            async move { catalog.use_link(&digest, NOW + 5, (begin(id), &own)).await.unwrap() }
        });
        let begun: Vec<_> = futures::future::join_all(uses).await.into_iter().flatten().collect();
        assert_eq!(begun.len(), 1, "{}", world.name);
        assert_eq!(catalog.sessions().await.unwrap(), begun);
        assert_eq!(catalog.link(&digest).await.unwrap().unwrap().used_ms, Some(NOW + 5));
        let audit = catalog.audit(None, 0, 20).await.unwrap();
        let actions: Vec<&str> = audit.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["link.created", "session.started"], "{}", world.name);
    }
}

#[tokio::test]
async fn whose_sessions_are_ended_has_no_links_left() {
    for world in worlds().await {
        let catalog = &world.catalog;
        let for_bo = LinkRecord { name: "bo".to_owned(), ..link("01B") };
        let by_ana =
            LinkRecord { created_by: "ana".to_owned(), ..LinkRecord { id: "01C".to_owned(), ..for_bo.clone() } };
        for (link, digest) in [(&link("01A"), "a"), (&for_bo, "b"), (&by_ana, "c")] {
            catalog.insert_link(link, &digest.repeat(64)).await.unwrap();
        }
        assert!(catalog.end_sessions_of("ana", "root", NOW + 5).await.unwrap().is_empty());
        let mut used = Vec::new();
        for digest in ["a", "b", "c"] {
            used.push(catalog.link(&digest.repeat(64)).await.unwrap().unwrap().used_ms);
        }
        assert_eq!(used, [Some(NOW + 5), None, Some(NOW + 5)], "{}", world.name);
        let begin = |link: &LinkRecord| session("01S", &link.name);
        assert!(catalog.use_link(&"a".repeat(64), NOW + 6, (begin, &"s".repeat(64))).await.unwrap().is_none());
        catalog.end_sessions_of("ana", "root", NOW + 7).await.unwrap();
        let audit = catalog.audit(None, 0, 20).await.unwrap();
        let actions: Vec<&str> = audit.iter().map(|entry| entry.action.as_str()).skip(3).collect();
        assert_eq!(actions, ["link.revoked", "link.revoked"], "{}", world.name);
        assert!(audit.iter().skip(3).all(|entry| entry.principal == "root"));
        // Everybody's.
        for (id, name, sha256) in [("01E", "ana", "e"), ("01F", "bo", "f")] {
            catalog.insert_session(&session(id, name), &sha256.repeat(64)).await.unwrap();
        }
        assert_eq!(catalog.end_all_sessions("root", NOW + 8).await.unwrap().len(), 2, "{}", world.name);
        assert!(catalog.end_all_sessions("root", NOW + 9).await.unwrap().is_empty());
        assert_eq!(catalog.link(&"b".repeat(64)).await.unwrap().unwrap().used_ms, Some(NOW + 8));
        let audit = catalog.audit(None, 7, 20).await.unwrap();
        let actions: Vec<&str> = audit.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions.iter().filter(|action| **action == "session.ended").count(), 2, "{actions:?}");
    }
}

#[tokio::test]
async fn whose_token_is_revoked_has_no_links_left() {
    for world in worlds().await {
        let token = TokenRecord {
            id: "01T".to_owned(),
            name: "root".to_owned(),
            roles: vec![Role::Admin],
            scope: Scope::All,
            created_ms: NOW,
            created_by: "operator".to_owned(),
            expires_ms: NOW + 1_000,
            revoked_ms: None,
            last_used_ms: None,
        };
        world.catalog.insert_token(&token, &"t".repeat(64)).await.unwrap();
        let other = LinkRecord { created_by: "operator".to_owned(), ..link("01B") };
        world.catalog.insert_link(&link("01A"), &"a".repeat(64)).await.unwrap();
        world.catalog.insert_link(&other, &"b".repeat(64)).await.unwrap();
        world.catalog.revoke_token("01T", "operator", NOW + 5).await.unwrap();
        let (made, other) = (world.catalog.link(&"a".repeat(64)).await, world.catalog.link(&"b".repeat(64)).await);
        let used = (made.unwrap().unwrap().used_ms, other.unwrap().unwrap().used_ms);
        assert_eq!(used, (Some(NOW + 5), None), "{}", world.name);
    }
}

#[tokio::test]
async fn one_damaged_session_leaves_the_others() {
    for world in worlds().await.into_iter().filter(|world| world.name != "memory") {
        for (id, sha256) in [("01A", "a"), ("01B", "b"), ("01C", "c")] {
            world.catalog.insert_session(&session(id, "ana"), &sha256.repeat(64)).await.unwrap();
        }
        world.catalog.insert_link(&link("01A"), &"a".repeat(64)).await.unwrap();
        world.catalog.insert_link(&link("01B"), &"b".repeat(64)).await.unwrap();
        world.tamper("UPDATE session SET used_ms = used_ms + 1 WHERE id = '01B'").await;
        world.tamper("UPDATE link SET expires_ms = expires_ms + 1 WHERE id = '01A'").await;
        let other = world.another().await;
        let ids = |found: Vec<SessionRecord>| found.into_iter().map(|session| session.id).collect::<Vec<_>>();
        assert_eq!(ids(other.sessions().await.unwrap()), ["01C", "01A"], "{}", world.name);
        assert_eq!(ids(other.end_sessions_of("ana", "root", NOW + 5).await.unwrap()), ["01A", "01C"], "{}", world.name);
        assert_eq!(other.link(&"b".repeat(64)).await.unwrap().unwrap().used_ms, Some(NOW + 5));
        let damaged = other.session(&"b".repeat(64)).await;
        assert!(matches!(damaged, Err(StoreError::Corrupt { .. })), "{damaged:?}");
    }
}

#[tokio::test]
async fn what_was_tampered_with_lets_nobody_in() {
    for world in worlds().await.into_iter().filter(|world| world.name != "memory") {
        let digest = "a".repeat(64);
        world.catalog.insert_link(&link("01A"), &digest).await.unwrap();
        world.catalog.insert_session(&session("01A", "ana"), &digest).await.unwrap();
        world.catalog.end_session("01A", "root", NOW).await.unwrap();
        for sql in [
            "UPDATE session SET ended_ms = NULL",
            "UPDATE session SET name = 'eve'",
            "UPDATE session SET used_ms = used_ms + 1000000",
            "UPDATE session SET record = replace(record, 'steward', 'cio')",
        ] {
            world.tamper(sql).await;
            let found = world.another().await.session(&digest).await;
            assert!(matches!(found, Err(StoreError::Corrupt { .. })), "{} {sql} {found:?}", world.name);
        }
        world.tamper("UPDATE link SET expires_ms = expires_ms + 1000000").await;
        let found = world.another().await.link(&digest).await;
        assert!(matches!(found, Err(StoreError::Corrupt { .. })), "{} {found:?}", world.name);
    }
}
