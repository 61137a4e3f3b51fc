//! Pages for people.

use http::{Method, StatusCode};
use portico_model::dataset::DatasetMetadata;
use portico_model::name::DatasetName;

use crate::site::SiteSettings;
use crate::testing::World;

/// Metadata as an attacker would write them.
fn hostile() -> DatasetMetadata {
    let script = "<script>alert(1)</script><img src=x onerror=alert(2)>\" onmouseover=\"alert(3)";
    DatasetMetadata {
        title: script.to_owned(),
        description: format!("{script}\n\njavascript:alert(4)"),
        department: script.to_owned(),
        steward_name: script.to_owned(),
        steward_email: "a@b\"><script>alert(5)</script>".to_owned(),
        license: "javascript:alert(6)".to_owned(),
        keywords: vec!["\"><script>alert(7)</script>".to_owned(), "plain".to_owned()],
        ..DatasetMetadata::named(DatasetName::parse("street-trees").unwrap())
    }
}

#[tokio::test]
async fn pages_show_the_dataset() {
    let world = World::new().await;
    let list = world.get("/").await;
    assert_eq!((list.status, list.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    assert!(list.text().contains("href=\"/datasets/street-trees\"") && list.text().contains("2,000 rows"));
    let page = world.get("/datasets/street-trees").await;
    for part in ["What grows there", "street-trees/versions/2.csv", "pd.read_csv", "25.0 %", "grpc://", "version 1"] {
        assert!(page.text().contains(part), "{part}");
    }
    assert!(!page.text().contains("kept as it was released"));
    let older = world.get("/datasets/street-trees/versions/1").await;
    assert!(older.text().contains("kept as it was released"));
    assert!(world.get("/docs/problems").await.text().contains("id=\"query_timeout\""));
}

#[tokio::test]
async fn nothing_in_the_data_becomes_markup() {
    let world = World::with(SiteSettings { title: "<i>Town</i>".into(), ..SiteSettings::default() }, hostile()).await;
    for uri in ["/", "/datasets/street-trees", "/?q=%22%3E%3Cscript%3E", "/?department=%3Cscript%3E&keyword=%22x"] {
        let page = world.get(uri).await;
        assert_eq!(page.status, StatusCode::OK, "{uri}");
        let text = page.text();
        assert!(
            !text.contains("<script") && !text.contains("<img src=x") && !text.contains("<i>Town"),
            "{uri}: {text}"
        );
        assert!(!text.contains("<b>ash") && !text.contains("\" onmouseover"), "{uri}");
        assert!(!text.contains("href=\"javascript:") && !text.contains("mailto:a@b"), "{uri}");
        assert!(page.header("content-security-policy").starts_with("default-src 'none'; style-src 'self'"), "{uri}");
        assert!(!page.header("content-security-policy").contains("unsafe"));
    }
}

#[tokio::test]
async fn a_host_header_changes_examples_only_and_only_when_it_is_one() {
    let world = World::new().await;
    let page = world.ask(Method::GET, "/datasets/street-trees", &[("host", "data.example:81")]).await;
    assert!(page.text().contains("http://data.example:81/datasets/street-trees.csv"));
    let odd = world.ask(Method::GET, "/datasets/street-trees", &[("host", "x\"><script>")]).await;
    assert!(odd.text().contains("http://localhost:8080/"));
    let settings = SiteSettings {
        title: "Town".into(),
        public_url: Some("https://data.town.example/".into()),
        ..SiteSettings::default()
    };
    let metadata = DatasetMetadata::named(DatasetName::parse("street-trees").unwrap());
    let world = World::with(settings, metadata).await;
    let page = world.ask(Method::GET, "/datasets/street-trees", &[("host", "evil.example")]).await;
    assert!(!page.text().contains("evil.example"));
    assert!(page.text().contains("grpc+tls://data.town.example:443"));
    let file = world.get("/datasets/street-trees.csv").await;
    assert_eq!(
        file.header("link"),
        "<https://data.town.example/datasets/street-trees/versions/2.csv>; rel=\"cite-as\""
    );
}

#[tokio::test]
async fn browsers_get_problems_as_pages() {
    let world = World::new().await;
    let browser = [("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")];
    let page = world.ask(Method::GET, "/datasets/nothing", &browser).await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::NOT_FOUND, "text/html; charset=utf-8"));
    assert!(page.text().contains(page.header("x-request-id")));
    assert_eq!(page.header("cache-control"), "no-store");
    let hostile = world.ask(Method::GET, "/sql?q=%3Cscript%3Ealert(1)%3C/script%3E", &browser).await;
    assert_eq!(hostile.status, StatusCode::BAD_REQUEST);
    assert!(!hostile.text().contains("<script"));
}

#[tokio::test]
async fn assets_are_kept_by_their_digest() {
    let world = World::new().await;
    let list = world.get("/").await;
    let rest = list.text().split_once("href=\"/assets/portico.css").unwrap().1;
    let url = format!("/assets/portico.css{}", rest.split('"').next().unwrap());
    let css = world.get(&url).await;
    assert_eq!(css.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(css.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(world.get("/assets/portico.css").await.header("cache-control"), "public, no-cache");
    assert_eq!(world.get("/assets/logo.svg").await.header("content-type"), "image/svg+xml");
    assert_eq!(world.get("/assets/other").await.status, StatusCode::NOT_FOUND);
}
