//! Places that data come from by themselves, what became of it, and who is told.

use std::time::{Duration, UNIX_EPOCH};

use portico_model::name::DatasetName;
use portico_model::policy::{Principal, Role, Scope};
use portico_publish::{Cycle, Declaration, NoticeSettings, Origin, Places, ReadOptions, Sources, Tolerance};
use serde_json::json;

use super::{Office, WORK_MS, column};

impl Office<'_> {
    fn person(&self, name: &str, role: Role) -> Principal {
        Principal::Staff { name: self.secrets.text(name), roles: vec![role], scope: Scope::All }
    }

    /// What the operator allows, in a place of its own.
    fn places_of_sources(&self) -> Sources {
        let s = self.secrets;
        let place = self.scratch.join(s.text("dropplace"));
        std::fs::create_dir_all(&place).unwrap();
        let dropped = place.join(format!("{}.csv", s.text("dropped")));
        let rows = column(&s.text("sourcecolumn"), &s.text("sourcecell"), 5);
        std::fs::write(&dropped, rows).unwrap();
        let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(WORK_MS - 3_600_000).unwrap());
        std::fs::File::options().write(true).open(&dropped).unwrap().set_modified(at).unwrap();
        let database = json!({
            "host": s.text("databasehost") + ".city.example",
            "database": s.text("databasedb"),
            "user": s.text("databaseuser"),
        });
        Sources {
            places: Places {
                directories: [(s.text("directory"), place)].into(),
                databases: [(s.text("database"), serde_json::from_value(database).unwrap())].into(),
                ..Places::default()
            },
            notices: NoticeSettings {
                // Nobody listens at either.
                mail_url: format!("smtp://{}:{}@127.0.0.1:1", s.text("mailuser"), s.text("mailpassword")),
                mail_from: format!("{}@city.example", s.text("mailfrom")),
                webhook_url: format!("https://127.0.0.1:1/{}", s.text("webhook")),
                webhook_secret: s.text("webhooksecret"),
                public_url: "https://data.example".to_owned(),
            },
            ..Sources::default()
        }
    }

    /// A source that is held, one that fails, and two that nobody has approved.
    pub(super) async fn sources(&self) {
        let s = self.secrets;
        let publisher = self.world.publisher.clone().with_sources(self.places_of_sources());
        let (steward, cio) = (self.person("sourcesteward", Role::Steward), self.person("sourcecio", Role::Cio));
        let sourced = s.text("namesourced");
        self.stage(&self.operator, self.secret_metadata(&sourced, "sourced"), ("s.csv", b"id\n1\n"), "").await;
        let file = |file: &str| Origin::Directory {
            directory: s.text("directory"),
            file: s.text(file) + "*.csv",
            union: false,
        };
        let origins = [
            ("trees".to_owned(), file("dropped"), Some("held")),
            (sourced, file("missing"), Some("failed")),
            (
                "places".to_owned(),
                Origin::Https {
                    url: format!("https://{}.example/{}?key={}", s.text("host"), s.text("path"), s.text("key")),
                },
                None,
            ),
            (
                s.text("namestaged"),
                Origin::Postgresql {
                    database: s.text("database"),
                    query: format!("SELECT {} FROM {}", s.text("querycolumn"), s.text("querytable")),
                },
                None,
            ),
        ];
        for (dataset, from, outcome) in origins {
            let dataset = DatasetName::parse(&dataset).unwrap();
            let declaration = Declaration {
                from,
                reading: ReadOptions::default(),
                cycle: Some(Cycle { cron: "7 3 * * *".to_owned(), time_zone: "UTC".to_owned(), jitter_s: 0 }),
                tolerance: Tolerance { late_hours: Some(1), ..Tolerance::default() },
            };
            let source = publisher.declare_source(&steward, &dataset, &declaration, WORK_MS).await.unwrap();
            let Some(outcome) = outcome else { continue };
            publisher.approve_source(&cio, &dataset, &source.record.digest, WORK_MS).await.unwrap();
            let run = publisher.refresh(&dataset, WORK_MS).await.unwrap().unwrap().run;
            assert_eq!(run.outcome, outcome, "{:?}", run.reasons);
            if let Some(held) = run.revision {
                publisher.look(&self.operator, &held, WORK_MS).await.unwrap();
                publisher.difference(&self.operator, &held, WORK_MS).await.unwrap();
            }
        }
        assert_eq!(publisher.send_notices(WORK_MS).await.unwrap(), 0, "nobody listens");
    }
}
