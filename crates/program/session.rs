//! `portico session`: who is signed in at a browser.

use std::process::ExitCode;

use portico_model::policy::{Role, Scope};
use portico_store::SessionRecord;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::args::{Reach, Session, SessionStep};
use crate::parts;
use crate::road::Road;
use crate::token::{moment, spoken};

/// A session as the staff API tells it.
#[derive(Deserialize)]
struct Told {
    id: String,
    name: String,
    roles: Vec<Role>,
    scope: Scope,
    expires: String,
    ended: Option<String>,
    good: bool,
}

#[derive(Deserialize)]
struct List {
    sessions: Vec<Told>,
}

impl From<SessionRecord> for Told {
    fn from(session: SessionRecord) -> Self {
        Self {
            good: session.is_good(parts::now_ms()),
            id: session.id,
            name: session.name,
            roles: session.roles,
            scope: session.scope,
            expires: moment(session.expires_ms),
            ended: session.ended_ms.map(moment),
        }
    }
}

/// Lists or ends sessions.
pub(crate) async fn run(session: Session) -> anyhow::Result<ExitCode> {
    match session.step {
        SessionStep::List { reach } => {
            for session in list(&reach).await? {
                let ends = match (&session.ended, session.good) {
                    (Some(ended), _) => format!("ended {ended}"),
                    (None, true) => format!("until {}", session.expires),
                    (None, false) => "over".to_owned(),
                };
                println!("{} {:24} {} · {ends}", session.id, session.name, spoken(&session.roles, &session.scope));
            }
        }
        SessionStep::Revoke { id, of, all: _, reach } => {
            for session in revoke(&reach, id.as_deref(), of.as_deref()).await? {
                println!("ended {} of {}", session.id, session.name);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(reach: &Reach) -> anyhow::Result<Vec<Told>> {
    match Road::open(reach).await? {
        Road::Here(open) => {
            let found = open.publisher.sessions(&parts::operator(), parts::now_ms()).await?;
            Ok(found.into_iter().map(Told::from).collect())
        }
        Road::There(remote) => Ok(remote.get::<List>(&["sessions"]).await?.sessions),
    }
}

/// Ends the session of an id, or all of a person, or of everybody.
async fn revoke(reach: &Reach, id: Option<&str>, of: Option<&str>) -> anyhow::Result<Vec<Told>> {
    let (operator, now_ms) = (parts::operator(), parts::now_ms());
    match Road::open(reach).await? {
        Road::Here(open) => {
            let ended = match (id, of) {
                (Some(id), _) => vec![open.publisher.end_session(&operator, id, now_ms).await?],
                (None, Some(of)) => open.publisher.end_sessions_of(&operator, of, now_ms).await?,
                (None, None) => open.publisher.end_all_sessions(&operator, now_ms).await?,
            };
            Ok(ended.into_iter().map(Told::from).collect())
        }
        Road::There(remote) => {
            let whose = match (id, of) {
                (Some(id), _) => {
                    return Ok(vec![remote.say(Method::DELETE, &["sessions", id], &Value::Null).await?]);
                }
                (None, Some(of)) => ("name", of),
                (None, None) => ("all", "true"),
            };
            Ok(remote.delete::<List>(&["sessions"], &[whose]).await?.sessions)
        }
    }
}
