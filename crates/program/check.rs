//! `portico check`: what is configured, and whether it works.

use std::process::ExitCode;

use anyhow::Context as _;
use portico_model::order::Measure;
use portico_serve::Provider;

use crate::args::Check;
use crate::config::Config;
use crate::identity;
use crate::parts;

/// Prints the effective configuration, then tries each part and says what is wrong with it.
pub(crate) async fn run(check: Check) -> anyhow::Result<ExitCode> {
    let config = Config::load(check.portal.config.as_deref(), check.portal.data.as_deref())?;
    println!("{}", config.shown()?);
    let mut good = true;
    let mut say = |what: &str, outcome: anyhow::Result<String>| match outcome {
        Ok(text) => println!("ok    {what}: {text}"),
        Err(error) => {
            good = false;
            println!("WRONG {what}: {error:#}");
        }
    };
    let rules = config.screening.read();
    say("screening", rules.map(|rules| format!("{} rules of {}", rules.rules().len(), rules.title())));
    if let Some(provider) = identity::provider(&config).transpose() {
        say("identity", try_provider(provider).await);
    }
    say("storage", try_storage(&config).await);
    match parts::open_store(&config).await {
        Ok(store) => {
            say("catalog", try_catalog(&store).await);
            match try_worker(&config, &store).await {
                Ok((text, measures)) => {
                    say("workers", Ok(text));
                    for measure in measures {
                        println!("      {measure}");
                    }
                }
                Err(error) => say("workers", Err(error)),
            }
        }
        Err(error) => say("catalog", Err(error)),
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn try_provider(provider: anyhow::Result<Provider>) -> anyhow::Result<String> {
    provider?.ask(parts::now_ms()).await.map_err(|problem| anyhow::anyhow!("{problem}"))?;
    Ok("the provider says where people sign in".to_owned())
}

async fn try_storage(config: &Config) -> anyhow::Result<String> {
    let storage = portico_store::Storage::open(&config.storage.url, &config.storage.options)?;
    storage.self_test().await.context("releases are refused on this storage")?;
    Ok("reads, writes, and refuses to overwrite".to_owned())
}

async fn try_catalog(store: &portico_store::Store) -> anyhow::Result<String> {
    let filter = portico_store::DatasetFilter { include_unreleased: true, limit: 1, ..Default::default() };
    let (_, datasets) = store.catalog.datasets(&filter).await?;
    Ok(format!("{datasets} datasets"))
}

/// What can be said of the workers, and what confines them.
async fn try_worker(config: &Config, store: &portico_store::Store) -> anyhow::Result<(String, Vec<Measure>)> {
    let mut config = config.clone();
    config.limits.query.workers = 1;
    config.limits.query.spare_workers = 0;
    let scratch = parts::Scratch::open(&config)?;
    let questions = parts::open_questions(&config, store, &scratch).await?;
    let query = &config.limits.query;
    let text = format!("one starts and answers; {} MiB of memory each", query.worker_memory_bytes / (1024 * 1024));
    Ok((text, questions.workers().measures().to_vec()))
}
