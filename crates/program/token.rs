//! `portico token`: what members of staff show to a server.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use portico_model::name::DatasetName;
use portico_model::policy::{Role, Scope};
use portico_publish::{Holder, LinkRequest, TokenRequest};
use portico_store::TokenRecord;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::{Link, Reach, Token, TokenStep};
use crate::parts;
use crate::road::Road;

/// A token as the staff API tells it.
#[derive(Deserialize)]
struct Told {
    id: String,
    name: String,
    roles: Vec<Role>,
    scope: Scope,
    expires: String,
    revoked: Option<String>,
    last_used: Option<String>,
}

impl From<TokenRecord> for Told {
    fn from(token: TokenRecord) -> Self {
        Self {
            id: token.id,
            name: token.name,
            roles: token.roles,
            scope: token.scope,
            expires: day(token.expires_ms),
            revoked: token.revoked_ms.map(day),
            last_used: token.last_used_ms.map(day),
        }
    }
}

/// Makes, lists or ends tokens.
pub(crate) async fn run(token: Token) -> anyhow::Result<ExitCode> {
    match token.step {
        TokenStep::Create { name, roles, departments, datasets, everywhere, days, reach } => {
            let roles = roles.iter().map(|text| role(text)).collect::<anyhow::Result<Vec<_>>>()?;
            let scope = scope(departments, &datasets, everywhere)?;
            create(&reach, TokenRequest { name, roles, scope, days }).await?;
        }
        TokenStep::Link(link) => {
            let Link { name, roles, departments, datasets, everywhere, at, reach } = *link;
            let roles = roles.iter().map(|text| role(text)).collect::<anyhow::Result<Vec<_>>>()?;
            let scope = scope(departments, &datasets, everywhere)?;
            make_link(&reach, Holder { name, roles, scope }, at.as_deref()).await?;
        }
        TokenStep::List { reach } => list(&reach).await?,
        TokenStep::Revoke { id, reach } => revoke(&reach, &id).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(reach: &Reach, request: TokenRequest) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Made {
        text: String,
        #[serde(flatten)]
        token: Told,
    }

    let (text, token) = match Road::open_or_make(reach).await? {
        Road::Here(open) => {
            let days_max = open.config.limits.staff.token_days;
            let made = open.publisher.create_token(&parts::operator(), request, days_max, parts::now_ms()).await?;
            (made.0.reveal().to_owned(), made.1.into())
        }
        Road::There(remote) => {
            let TokenRequest { name, roles, scope, days } = request;
            let wanted = json!({ "name": name, "roles": roles, "scope": scope, "days": days });
            let made: Made = remote.say(Method::POST, &["tokens"], &wanted).await?;
            (made.text, made.token)
        }
    };
    // The text alone on standard output, for a file or a variable.
    eprintln!(
        "token {} of {} for {}, until {}; it is shown only now:",
        token.id,
        token.name,
        duties(&token),
        token.expires
    );
    println!("{text}");
    Ok(())
}

async fn make_link(reach: &Reach, holder: Holder, at: Option<&str>) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Made {
        path: String,
        expires: String,
    }

    let name = holder.name.clone();
    let (base, path, expires) = match Road::open_or_make(reach).await? {
        Road::Here(open) => {
            let (server, minutes) = (&open.config.server, open.config.limits.staff.link_minutes);
            let request = LinkRequest { holder, minutes };
            let (text, link) = open.publisher.create_link(&parts::operator(), request, parts::now_ms()).await?;
            let base = match server.public_url.as_str() {
                "" => format!("http://{}", server.listen),
                url => url.to_owned(),
            };
            (base, portico_serve::link_path(&text), moment(link.expires_ms))
        }
        Road::There(remote) => {
            let Holder { name, roles, scope } = holder;
            let wanted = json!({ "name": name, "roles": roles, "scope": scope });
            let made: Made = remote.say(Method::POST, &["links"], &wanted).await?;
            (reach.server.clone().unwrap_or_default(), made.path, made.expires)
        }
    };
    eprintln!("signs {name} in once, until {expires}:");
    println!("{}{path}", at.unwrap_or(&base).trim_end_matches('/'));
    Ok(())
}

async fn list(reach: &Reach) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct List {
        tokens: Vec<Told>,
    }

    let tokens: Vec<Told> = match Road::open(reach).await? {
        Road::Here(open) => {
            open.publisher.tokens(&parts::operator(), parts::now_ms()).await?.into_iter().map(Told::from).collect()
        }
        Road::There(remote) => remote.get::<List>(&["tokens"]).await?.tokens,
    };
    for token in tokens {
        let ends = match &token.revoked {
            Some(day) => format!("revoked {day}"),
            None => format!("until {}", token.expires),
        };
        let used = token.last_used.as_deref().unwrap_or("never");
        println!("{} {:24} {} · {ends} · used {used}", token.id, token.name, duties(&token));
    }
    Ok(())
}

async fn revoke(reach: &Reach, id: &str) -> anyhow::Result<()> {
    let token: Told = match Road::open(reach).await? {
        Road::Here(open) => open.publisher.revoke_token(&parts::operator(), id, parts::now_ms()).await?.into(),
        Road::There(remote) => remote.say(Method::DELETE, &["tokens", id], &Value::Null).await?,
    };
    println!("revoked {} of {}", token.id, token.name);
    Ok(())
}

fn role(text: &str) -> anyhow::Result<Role> {
    let names = || Role::ALL.map(Role::as_str).join(", ");
    Role::parse(text).with_context(|| format!("there is no role {text}: --role wants one of {}", names()))
}

fn scope(departments: Vec<String>, datasets: &[String], everywhere: bool) -> anyhow::Result<Scope> {
    if everywhere {
        return Ok(Scope::All);
    }
    if departments.is_empty() && datasets.is_empty() {
        bail!("what is the token for? --department NAME, --dataset NAME or --everywhere");
    }
    let datasets = datasets.iter().map(|name| DatasetName::parse(name)).collect::<Result<Vec<_>, _>>()?;
    Ok(Scope::Only { departments, datasets })
}

fn duties(token: &Told) -> String {
    spoken(&token.roles, &token.scope)
}

/// Roles and scope as a person reads them.
pub(crate) fn spoken(roles: &[Role], scope: &Scope) -> String {
    let roles = roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
    match scope {
        Scope::All => format!("{roles} everywhere"),
        Scope::Only { departments, datasets } => {
            let datasets = datasets.iter().map(ToString::to_string);
            let parts: Vec<String> = departments.iter().cloned().chain(datasets).collect();
            format!("{roles} of {}", parts.join(", "))
        }
    }
}

/// A time to the minute.
pub(crate) fn moment(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default().format("%Y-%m-%d %H:%M UTC").to_string()
}

fn day(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default().format("%Y-%m-%d").to_string()
}
