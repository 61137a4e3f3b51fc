//! What the configuration means: the parts of a portal, built and joined.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use portico_publish::{Fetcher, NoticeSettings, Places, Publisher, Sources};
use portico_query::questions::Questions;
use portico_query::workers::{Launcher, Workers};
use portico_store::{Catalog, Place, Storage, Store};

use crate::config::Config;
pub(crate) use crate::scratch::Scratch;

/// Storage and catalog, open. An empty catalog on a storage where files were released is not theirs: nothing is done with it.
pub(crate) async fn open_store(config: &Config) -> anyhow::Result<Store> {
    // Before the file of a catalog is made where the disk of the true one is not mounted.
    if is_missing(config) {
        refuse_releases(config).await?;
    }
    let store = open_store_to_fill(config).await?;
    let lacking =
        store.lacks_its_catalog().await.context("it cannot be seen whether the catalog is the storage's own")?;
    anyhow::ensure!(!lacking, LACKS_ITS_CATALOG);
    Ok(store)
}

/// Refuses a storage that holds released files, where there is no catalog.
async fn refuse_releases(config: &Config) -> anyhow::Result<()> {
    // Opening a directory makes it, and who only looks makes none.
    let url = url::Url::parse(&config.storage.url).ok().filter(|url| url.scheme() == "file");
    if url.and_then(|url| url.to_file_path().ok()).is_some_and(|directory| !directory.exists()) {
        return Ok(());
    }
    let holds = open_storage(config)?.holds_releases().await.context("the storage cannot be listed")?;
    anyhow::ensure!(!holds, LACKS_ITS_CATALOG);
    Ok(())
}

/// Said of a storage without its catalog.
const LACKS_ITS_CATALOG: &str = "the storage holds released files, and the catalog is missing or empty: it is not the catalog \
                                 of this portal. See that its disk is mounted and that [catalog] url names the right \
                                 database; if it is lost, `portico restore` brings it back from a backup";

/// Storage and catalog, where it is what a restore fills.
pub(crate) async fn open_store_to_fill(config: &Config) -> anyhow::Result<Store> {
    Ok(Store { storage: open_storage(config)?, catalog: open_catalog(config).await? })
}

fn open_storage(config: &Config) -> anyhow::Result<Storage> {
    let storage = Storage::open(&config.storage.url, &config.storage.options);
    storage.with_context(|| format!("the storage {} cannot be opened", config.storage.url))
}

async fn open_catalog(config: &Config) -> anyhow::Result<Catalog> {
    Catalog::open(&config.catalog.url).await.context("the catalog cannot be opened")
}

/// Storage and catalog of a portal that is there: a command that only looks makes none.
pub(crate) async fn open_existing_store(config: &Config) -> anyhow::Result<Store> {
    if let Some(file) = catalog_file(config).filter(|file| !file.exists()) {
        refuse_releases(config).await?;
        let place = file.parent().unwrap_or(&file).display();
        anyhow::bail!("there is no portal in {place}: `portico publish` or `portico demo` makes one");
    }
    open_store(config).await
}

/// Whether the portal would have to be made first.
pub(crate) fn is_missing(config: &Config) -> bool {
    catalog_file(config).is_some_and(|file| !file.exists())
}

/// A store that is gone with the process.
pub(crate) async fn memory_store() -> anyhow::Result<Store> {
    let storage = Storage::open("memory:///", &std::collections::BTreeMap::new())?;
    Ok(Store { storage, catalog: Catalog::open("sqlite::memory:").await? })
}

/// The catalog's file, where it is one.
fn catalog_file(config: &Config) -> Option<PathBuf> {
    let path = config.catalog.url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or(path);
    (!path.is_empty() && !path.starts_with(':')).then(|| PathBuf::from(path))
}

/// How long a worker may take to start.
const WORKER_START: Duration = Duration::from_secs(30);

/// The road out, with its worker processes.
pub(crate) async fn open_questions(config: &Config, store: &Store, scratch: &Scratch) -> anyhow::Result<Questions> {
    let program = program()?;
    let log_level = crate::config::environment("PORTICO_LOG").unwrap_or_else(|| "warn".to_owned());
    let launcher = Launcher::Process {
        program,
        scratch: scratch.directory("workers")?,
        released: released_directory(store)?,
        log_level: Some(log_level),
    };
    let workers = Workers::start(launcher, &config.limits.query);
    anyhow::ensure!(workers.wait_ready(WORKER_START).await, "no worker process started: its log is on standard error");
    Ok(Questions::new(store.clone(), workers, config.limits.clone(), scratch.directory("spool")?))
}

/// Where the released files lie, if that is a directory of this machine. It is made before the first release: workers
/// are confined to it, and what does not exist cannot be named to the kernel.
fn released_directory(store: &Store) -> anyhow::Result<Option<PathBuf>> {
    let Some(directory) = store.storage.released_directory() else { return Ok(None) };
    let directory = std::path::absolute(directory)?;
    if !directory.is_dir() {
        let made = || {
            std::fs::create_dir_all(&directory)?;
            // Releases rely on the name being on disk, and sync only what they make themselves.
            directory.parent().map_or(Ok(()), |parent| std::fs::File::open(parent)?.sync_all())
        };
        made().with_context(|| format!("cannot create {}", directory.display()))?;
    }
    Ok(Some(directory))
}

/// The road in, with its readers.
pub(crate) fn open_publisher(config: &Config, store: &Store, scratch: &Scratch) -> anyhow::Result<Publisher> {
    let scratch = scratch.directory("intake")?;
    let publisher = Publisher::new(store.clone(), config.limits.intake.clone(), program()?, scratch);
    let publisher = publisher.with_separate_duties(config.publishing.separation_of_duties);
    let publisher = publisher.requiring(&config.publishing.require).with_defaults(config.publishing.defaults.clone());
    let publisher = publisher.with_schedule_limits(config.limits.schedule.clone());
    let zone = &config.publishing.time_zone;
    let publisher = publisher
        .with_time_zone(zone)
        .with_context(|| format!("publishing.time_zone: there is no {zone:?}; one is called as America/New_York"))?;
    let publisher = publisher.with_own_steward(&config.publishing.own_steward);
    Ok(publisher.with_rules(config.screening.read()?).with_sources(sources(config)?))
}

/// The one way to what is elsewhere.
pub(crate) fn fetcher(config: &Config) -> Fetcher {
    Fetcher::new(config.sources.fetch.clone(), config.limits.sources.clone())
}

fn sources(config: &Config) -> anyhow::Result<Sources> {
    let notices = NoticeSettings {
        mail_url: config.notices.mail_url.clone(),
        mail_from: config.notices.mail_from.clone(),
        webhook_url: config.notices.webhook_url.clone(),
        webhook_secret: config.notices.webhook_secret.clone(),
        public_url: config.server.public_url.clone(),
    };
    let mut objects = std::collections::BTreeMap::new();
    for (name, place) in &config.sources.objects {
        let opened = Place::open(&place.url, &place.options);
        objects.insert(name.clone(), opened.with_context(|| format!("sources.objects.{name} cannot be opened"))?);
    }
    let mut databases = config.sources.databases.clone();
    for (name, database) in &mut databases {
        if let Some(file) = &database.password_file {
            let read = std::fs::read_to_string(file);
            let password = read.with_context(|| format!("sources.databases.{name}: password_file cannot be read"))?;
            password.trim_end_matches(['\r', '\n']).clone_into(&mut database.password);
        }
    }
    let places = Places { directories: config.sources.directories.clone(), objects, databases };
    Ok(Sources { fetcher: fetcher(config), places, notices, limits: config.limits.sources.clone() })
}

/// This program's own file: workers and readers are processes of it.
fn program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("the program does not know its own file, so it cannot start workers and readers")
}

/// Milliseconds since the epoch: the one clock of the program.
#[allow(clippy::disallowed_methods, reason = "the program is the one that asks the clock")]
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The clock as the server takes it.
pub(crate) fn clock() -> Arc<dyn Fn() -> i64 + Send + Sync> {
    Arc::new(now_ms)
}

/// The name in the audit log of whoever sits at the command line.
pub(crate) fn operator() -> portico_model::policy::Principal {
    let user = crate::config::environment("USER").filter(|user| !user.is_empty());
    portico_model::policy::Principal::operator(&user.unwrap_or_else(|| "operator".to_owned()))
}
