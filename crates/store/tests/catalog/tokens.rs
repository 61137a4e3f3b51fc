//! Tokens: known by their digests, ended once, and no bit of them is believed that is not sealed.

use portico_model::policy::{Role, Scope};
use portico_store::{StoreError, TokenRecord};

use crate::sample::NOW;
use crate::worlds;

fn token(id: &str) -> TokenRecord {
    TokenRecord {
        id: id.to_owned(),
        name: "ana".to_owned(),
        roles: vec![Role::Steward],
        scope: Scope::Only { departments: vec!["Parks".to_owned()], datasets: Vec::new() },
        created_ms: NOW,
        created_by: "root".to_owned(),
        expires_ms: NOW + 1_000,
        revoked_ms: None,
        last_used_ms: None,
    }
}

#[tokio::test]
async fn a_token_is_found_by_its_digest_until_it_is_revoked() {
    for world in worlds().await {
        let catalog = &world.catalog;
        let (digest, other) = ("a".repeat(64), "b".repeat(64));
        catalog.insert_token(&token("01A"), &digest).await.unwrap();
        for (id, sha256) in [("01A", &other), ("01B", &digest)] {
            let taken = catalog.insert_token(&token(id), sha256).await;
            assert!(matches!(taken, Err(StoreError::Conflict { .. })), "{} {taken:?}", world.name);
        }
        let found = world.another().await.token(&digest).await.unwrap().unwrap();
        assert_eq!(found, token("01A"));
        assert!(found.is_good(NOW) && found.is_good(NOW + 999) && !found.is_good(NOW + 1_000));
        assert!(catalog.token(&other).await.unwrap().is_none());
        catalog.touch_token("01A", NOW + 5).await.unwrap();
        catalog.touch_token("01A", NOW + 3).await.unwrap();
        assert_eq!(catalog.token(&digest).await.unwrap().unwrap().last_used_ms, Some(NOW + 5));

        assert_eq!(catalog.revoke_token("01A", "root", NOW + 7).await.unwrap().revoked_ms, Some(NOW + 7));
        assert_eq!(catalog.revoke_token("01A", "root", NOW + 9).await.unwrap().revoked_ms, Some(NOW + 7));
        assert!(!catalog.token(&digest).await.unwrap().unwrap().is_good(NOW));
        let unknown = catalog.revoke_token("01Z", "root", NOW).await;
        assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
        assert_eq!(catalog.tokens().await.unwrap().len(), 1);
        let audit = catalog.audit(None, 0, 10).await.unwrap();
        let actions: Vec<&str> = audit.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["token.created", "token.revoked"], "{}", world.name);
        assert!(audit.iter().all(|entry| !entry.detail.contains(&digest)));
        catalog.verify_audit().await.unwrap();
    }
}

#[tokio::test]
async fn a_token_that_was_tampered_with_is_no_token() {
    for world in worlds().await.into_iter().filter(|world| world.name != "memory") {
        let digest = "a".repeat(64);
        world.catalog.insert_token(&token("01A"), &digest).await.unwrap();
        world.catalog.revoke_token("01A", "root", NOW).await.unwrap();
        for sql in ["UPDATE token SET revoked_ms = NULL", "UPDATE token SET record = replace(record, 'steward', 'cio')"]
        {
            world.tamper(sql).await;
            let found = world.another().await.token(&digest).await;
            assert!(matches!(found, Err(StoreError::Corrupt { .. })), "{} {sql} {found:?}", world.name);
        }
    }
}
