//! The road in as people go it at their browsers: the pages for staff, and their buttons.

use axum::body::Body;
use http::{Request, StatusCode};
use portico_model::policy::{Role, Scope};
use portico_publish::{Holder, LinkRequest};
use portico_serve::Peer;

use crate::world::{NOW_MS, Reply, World};

const TREES: &[u8] = b"tree_id,species,planted\n0001,Oak,2001-05-04\n0002,Ash <b>,1999-01-31\n";

/// Somebody at a browser.
struct Person<'a> {
    world: &'a World,
    cookie: String,
}

impl<'a> Person<'a> {
    async fn new(world: &'a World, name: &str, roles: &[Role]) -> Self {
        let holder = Holder { name: name.to_owned(), roles: roles.to_vec(), scope: Scope::All };
        let request = LinkRequest { holder, minutes: 15 };
        let (link, _) = world.publisher.create_link(&world.operator, request, NOW_MS).await.unwrap();
        let mut person = Self { world, cookie: String::new() };
        let answer = person.post("/staff/signin/link", &format!("link={}", link.reveal())).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        person.cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        person
    }

    async fn send(&self, request: http::request::Builder, body: &str) -> Reply {
        let request = request.header("host", "data.example").header("cookie", &self.cookie);
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(Peer { address: "203.0.113.5".parse().unwrap(), tls: true });
        self.world.send(request).await
    }

    async fn post(&self, path: &str, fields: &str) -> Reply {
        let request = Request::post(path).header("origin", "https://data.example");
        self.send(request.header("content-type", "application/x-www-form-urlencoded"), fields).await
    }

    async fn page(&self, path: &str) -> String {
        let page = self.send(Request::get(path), "").await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text());
        page.text()
    }

    /// The steps that the page of a revision offers.
    async fn steps(&self, id: &str) -> Vec<String> {
        let page = self.page(&format!("/staff/revisions/{id}")).await;
        let start = format!("action=\"/staff/revisions/{id}/");
        page.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    }

    /// Presses a button: sends the form with all that is hidden in it, and what the person writes.
    async fn press(&self, id: &str, step: &str, written: &str) -> Reply {
        let page = self.page(&format!("/staff/revisions/{id}")).await;
        let action = format!("/staff/revisions/{id}/{step}");
        let form = page.split(&format!("action=\"{action}\"")).nth(1).unwrap().split("</form>").next().unwrap();
        let hidden = form.split("type=\"hidden\" name=\"").skip(1).map(|rest| {
            let mut parts = rest.split('"');
            format!("{}={}", parts.next().unwrap(), parts.nth(1).unwrap())
        });
        let fields: Vec<_> = hidden.chain((!written.is_empty()).then(|| written.to_owned())).collect();
        self.post(&action, &fields.join("&")).await
    }

    async fn pressed(&self, id: &str, step: &str, written: &str) {
        let answer = self.press(id, step, written).await;
        let told = format!("{step}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{told}");
        assert_eq!(answer.header("location"), format!("/staff/revisions/{id}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_goes_from_the_file_to_the_public_by_buttons() {
    let world = World::new().await;
    let ana = Person::new(&world, "ana", &[Role::Steward]).await;
    let cy = Person::new(&world, "cy", &[Role::Cio]).await;
    let root = Person::new(&world, "root", &[Role::Admin]).await;
    let id = world.stage("street-trees", "trees.csv", TREES, "").await.id;
    let list = ana.page("/staff/revisions").await;
    assert!(list.contains(&format!("href=\"/staff/revisions/{id}\"")) && list.contains("staged"));
    // An administrator gives people their way in, and sees nothing of the data.
    assert!(root.page("/staff/revisions").await.contains("Nothing waits."));
    assert_eq!(root.send(Request::get(format!("/staff/revisions/{id}")), "").await.status, StatusCode::FORBIDDEN);

    assert_eq!(ana.steps(&id).await, ["screen", "discard"]);
    assert_eq!(cy.steps(&id).await, [] as [&str; 0]);
    ana.pressed(&id, "screen", "").await;
    let page = ana.page(&format!("/staff/revisions/{id}")).await;
    assert!(page.contains("<td>Ash &#60;b&#62;</td>") && page.contains("2 rows in all"), "{page}");
    assert!(!page.contains("Ash <b>"));
    assert_eq!(ana.steps(&id).await, ["screen", "submit", "discard"]);
    ana.pressed(&id, "submit", "").await;
    assert_eq!(ana.steps(&id).await, ["recommend", "return", "discard"]);
    assert_eq!(cy.steps(&id).await, ["return"]);
    // Nothing but what the page shows is approved, and nobody else's button works for one.
    let another = ana.post(&format!("/staff/revisions/{id}/recommend"), "csrf=x&digest=y").await;
    assert_eq!(another.problem(), "forbidden");
    ana.pressed(&id, "recommend", "remark=complete+since+2019").await;
    assert!(cy.page(&format!("/staff/revisions/{id}")).await.contains("Recommended by ana. complete since 2019"));
    cy.pressed(&id, "return", "reason=the+ash+is+dead").await;
    assert!(ana.page(&format!("/staff/revisions/{id}")).await.contains("Returned by cy: the ash is dead"));
    ana.pressed(&id, "submit", "").await;
    ana.pressed(&id, "recommend", "").await;
    assert_eq!(cy.steps(&id).await, ["return", "approve"]);
    cy.pressed(&id, "approve", "").await;
    assert_eq!((ana.steps(&id).await, cy.steps(&id).await), (vec!["discard".to_owned()], vec!["release".to_owned()]));
    assert_eq!(world.get("/datasets/street-trees.csv").await.status, StatusCode::NOT_FOUND);
    cy.pressed(&id, "release", "").await;
    assert!(world.get("/datasets/street-trees.csv").await.text().contains("0001,Oak,2001-05-04"));
    assert_eq!(cy.steps(&id).await, [] as [&str; 0]);
    assert!(cy.page("/staff/revisions").await.contains("Nothing waits."));

    let other = world.stage("benches", "benches.csv", b"a\n1\n", "").await.id;
    ana.pressed(&other, "discard", "").await;
    assert!(ana.page(&format!("/staff/revisions/{other}")).await.contains("<strong>discarded</strong>"));
    assert_eq!(ana.post(&format!("/staff/revisions/{other}/conquer"), "").await.problem(), "forbidden");
    world.store.catalog.verify_audit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_time_is_listed_and_not_approved_again() {
    let world = World::new().await;
    let ana = Person::new(&world, "ana", &[Role::Steward]).await;
    let cy = Person::new(&world, "cy", &[Role::Cio]).await;
    let screened = world.screen("street-trees", "trees.csv", TREES, "").await;
    let (id, digest) = (&screened.id, screened.digest.as_deref().unwrap());
    world.publisher.approve(&world.operator, id, digest, NOW_MS).await.unwrap();
    world.publisher.schedule(&world.operator, id, (NOW_MS + 60_000, None), NOW_MS).await.unwrap();
    assert!(cy.page("/staff/revisions").await.contains("scheduled"));
    assert_eq!((ana.steps(id).await, cy.steps(id).await), (vec!["discard".to_owned()], vec![]));
}
