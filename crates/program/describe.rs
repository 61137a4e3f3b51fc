//! `portico dataset describe`, `approve-edit`, `decline-edit`: metadata without new data.

use portico_model::dataset::{Completeness, DatasetMetadata};
use portico_model::name::DatasetName;
use portico_publish::Edited;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::{EditStep, Metadata};
use crate::parts;
use crate::publish;
use crate::road::Road;

/// Does one step.
pub(crate) async fn run(step: EditStep) -> anyhow::Result<()> {
    match step {
        EditStep::Describe { name, metadata, reach } => describe(&Road::open(&reach).await?, &name, &metadata).await,
        EditStep::ApproveEdit { name, digest, reach } => approve(&Road::open(&reach).await?, &name, &digest).await,
        EditStep::DeclineEdit { name, reason, reach } => decline(&Road::open(&reach).await?, &name, &reason).await,
    }
}

/// Says otherwise what is known of a dataset; prints whether it is so, or waits.
async fn describe(road: &Road, name: &str, metadata: &Metadata) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Told {
        edit: Option<Edit>,
    }
    #[derive(Deserialize)]
    struct Edit {
        state: String,
        digest: String,
    }

    let said = publish::said(metadata)?;
    let waits = match road {
        Road::Here(open) => {
            let name = DatasetName::parse(name)?;
            match open.publisher.edit(&parts::operator(), &name, &said, parts::now_ms()).await? {
                Edited::Said(_) => None,
                Edited::Proposed(edit) => Some(edit.digest),
            }
        }
        Road::There(remote) => {
            let told: Told = remote.say(Method::PUT, &["datasets", name, "metadata"], &json!(said)).await?;
            told.edit.filter(|edit| edit.state == "proposed").map(|edit| edit.digest)
        }
    };
    match waits {
        None => println!("{name} is described"),
        Some(digest) => println!("{name} is public: the edit waits for somebody to approve it\ndigest {digest}"),
    }
    Ok(())
}

/// Makes an edit public.
async fn approve(road: &Road, name: &str, digest: &str) -> anyhow::Result<()> {
    match road {
        Road::Here(open) => {
            let name = DatasetName::parse(name)?;
            open.publisher.approve_edit(&parts::operator(), &name, digest, parts::now_ms()).await?;
        }
        Road::There(remote) => {
            let path = ["datasets", name, "metadata", "approve"];
            remote.say::<Value>(Method::POST, &path, &json!({ "digest": digest })).await?;
        }
    }
    println!("{name} is described");
    Ok(())
}

/// Gives an edit back.
async fn decline(road: &Road, name: &str, reason: &str) -> anyhow::Result<()> {
    match road {
        Road::Here(open) => {
            let name = DatasetName::parse(name)?;
            open.publisher.decline_edit(&parts::operator(), &name, reason, parts::now_ms()).await?;
        }
        Road::There(remote) => {
            let path = ["datasets", name, "metadata", "decline"];
            remote.say::<Value>(Method::POST, &path, &json!({ "reason": reason })).await?;
        }
    }
    println!("the edit of {name} is declined");
    Ok(())
}

/// How much of what could be said is said.
pub(crate) fn print_completeness(metadata: &DatasetMetadata, columns: &[&str]) {
    let Completeness { score, missing } = metadata.completeness(columns);
    println!("  metadata    {score} of 100");
    if !missing.is_empty() {
        println!("  to be said  {}", missing.join(", "));
    }
}
