//! `portico publish`: the whole road in, in one command, for whoever holds all the roles.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use portico_intake::dictionary::{Dictionary, Field, Treatment};
use portico_intake::options::ReadOptions;
use portico_intake::screen::RuleSet;
use portico_model::dataset::{DatasetMetadata, MetadataPatch};
use portico_model::finding::{Finding, Severity};
use portico_model::name::{DatasetName, VersionRef};
use portico_model::profile::TableProfile;
use portico_publish::{
    Conditions, Fetcher, MetadataDefaults, Progress, PublishError, Publisher, Revision, StageRequest,
};
use portico_store::Store;

use crate::args::{Metadata, Propose, Publish, Reading};
use crate::config::Config;
use crate::parts::{self, Scratch};

/// Released is 0; blocked by findings, or by what is missing, is 2; errors are 1 by way of `main`.
pub(crate) const BLOCKED: u8 = 2;

/// Stages, screens, prints the findings, and releases if nothing blocks.
pub(crate) async fn run(publish: Publish) -> anyhow::Result<ExitCode> {
    let propose = &publish.propose;
    let mut config = Config::load(publish.portal.config.as_deref(), publish.portal.data.as_deref())?;
    if let Some(rules) = &publish.rules {
        config.screening.rules.clone_from(rules);
    }
    // Rules that cannot be read are said before a portal is made and a file is staged.
    let rules = config.screening.read()?;
    let scratch = Scratch::open(&config)?;
    let file = fetch(&propose.source, &scratch, &parts::fetcher(&config)).await?;
    if publish.dry_run || publish.write_dictionary.is_some() {
        return look(&config, &publish, &scratch, file).await;
    }
    // What is missing is said before a portal is made and a file is read.
    let missing = parts::is_missing(&config);
    let mut store = if missing { parts::memory_store().await? } else { parts::open_store(&config).await? };
    let request = request(propose, (&store, &config.publishing.defaults), file).await?;
    let lacking = request.metadata.lacking(&config.publishing.require, None);
    if !lacking.is_empty() {
        return Err(PublishError::Incomplete(lacking).into());
    }
    if missing {
        store = parts::open_store(&config).await?;
    }
    store.storage.self_test().await.context("a release would not be safe on this storage")?;
    let publisher = parts::open_publisher(&config, &store, &scratch)?;
    match road_in(&publisher, request).await? {
        Outcome::Released(version, findings) => {
            print_findings(&findings);
            println!("released {version}");
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Blocked(revision) => {
            print_findings(&revision.findings);
            print_blocked(&revision, &rules);
            Ok(ExitCode::from(BLOCKED))
        }
    }
}

/// How the road in ended.
pub(crate) enum Outcome {
    /// Public, with what was seen on the way.
    Released(VersionRef, Vec<Finding>),
    /// Stopped by findings; the revision stays for somebody to decide.
    Blocked(Box<Revision>),
}

/// All the steps, by the operator who holds all the roles.
pub(crate) async fn road_in(publisher: &Publisher, request: StageRequest) -> anyhow::Result<Outcome> {
    let operator = parts::operator();
    let bytes = std::fs::metadata(&request.file).map(|file| file.len()).unwrap_or(0);
    let staged = publisher.stage(&operator, request, parts::now_ms()).await?;
    let bar = Bar::start(bytes);
    let screened = publisher.screen(&operator, &staged.id, parts::now_ms(), bar.reporter()).await?;
    bar.finish();
    if screened.findings.iter().any(Finding::blocks) {
        return Ok(Outcome::Blocked(Box::new(screened)));
    }
    let digest = screened.digest.clone().unwrap_or_default();
    let approved = publisher.approve(&operator, &screened.id, &digest, parts::now_ms()).await;
    if let Err(error @ PublishError::Incomplete(_)) = approved {
        // It comes again with what is missing, as another revision.
        publisher.discard(&operator, &screened.id, parts::now_ms()).await?;
        return Err(error.into());
    }
    approved?;
    let version = publisher.release(&operator, &screened.id, parts::now_ms()).await?;
    Ok(Outcome::Released(version, screened.findings))
}

/// Looks at the file as the real command would, and keeps nothing. Without a portal there is none afterwards either.
async fn look(config: &Config, publish: &Publish, scratch: &Scratch, file: PathBuf) -> anyhow::Result<ExitCode> {
    let store =
        if parts::is_missing(config) { parts::memory_store().await? } else { parts::open_store(config).await? };
    let request = request(&publish.propose, (&store, &config.publishing.defaults), file).await?;
    let metadata = request.metadata.clone();
    let publisher = parts::open_publisher(config, &store, scratch)?;
    let bar = Bar::start(std::fs::metadata(&request.file).map(|file| file.len()).unwrap_or(0));
    let seen = publisher.preview(&parts::operator(), request, parts::now_ms(), bar.reporter()).await;
    bar.finish();
    let (findings, profile) = seen?;
    if let Some(path) = &publish.write_dictionary {
        return draft(path, &profile, &metadata);
    }
    print_findings(&findings);
    print_profile(&profile);
    if findings.iter().any(Finding::blocks) {
        println!("this would be blocked. {}", advice(&findings, &config.screening.read()?));
        return Ok(ExitCode::from(BLOCKED));
    }
    let columns: Vec<&str> = profile.columns.iter().map(|column| column.name.as_str()).collect();
    let lacking = metadata.lacking(&config.publishing.require, Some(&columns));
    if !lacking.is_empty() {
        println!("nothing in the file blocks; to be released it needs, too:");
        lacking.iter().for_each(|lack| println!("  {}", lack.text()));
        return Ok(ExitCode::SUCCESS);
    }
    let score = metadata.completeness(&columns);
    println!("nothing blocks: without --dry-run this would be released; metadata {} of 100", score.score);
    Ok(ExitCode::SUCCESS)
}

/// A dictionary to be filled in: the columns, what was said of them, and nothing of their values.
fn draft(path: &Path, profile: &TableProfile, metadata: &DatasetMetadata) -> anyhow::Result<ExitCode> {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let mut text =
        "# Data dictionary: what each column means is for somebody to say who knows (docs/dictionary.md).\n".to_owned();
    for column in &profile.columns {
        let said = metadata.column(&column.name).cloned().unwrap_or_default();
        text.push_str(&format!(
            "\n# {}; {} different values, {} missing\n[[field]]\nname = {}\ntitle = {}\ndescription = {}\nunit = {}\n",
            column.data_type,
            column.distinct,
            column.nulls,
            quoted(&column.name),
            quoted(&said.title),
            quoted(&said.description),
            quoted(&said.unit)
        ));
    }
    let shown = path.display();
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.with_context(|| format!("cannot write {shown} (a file that is there is not overwritten)"))?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    println!("wrote {shown}: say in it what the columns mean, then publish with --schema {shown}");
    Ok(ExitCode::SUCCESS)
}

/// What the command line says of the dataset, on top of what the catalog knows already.
pub(crate) async fn request(
    propose: &Propose,
    (store, defaults): (&Store, &MetadataDefaults),
    file: PathBuf,
) -> anyhow::Result<StageRequest> {
    let name = DatasetName::parse(&propose.dataset).with_context(|| format!("--dataset {}", propose.dataset))?;
    let said = said(&propose.metadata)?;
    let known = store.catalog.dataset(&name).await?.map(|record| record.metadata);
    let mut metadata = known.unwrap_or_else(|| DatasetMetadata::named(name));
    said.apply(&mut metadata);
    let mut options = reading(&propose.reading)?;
    // The name a person sees, not the place where a download was kept.
    options.file_name = propose.source.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(StageRequest { metadata: portico_publish::proposed(metadata, &options, defaults)?, file, options })
}

/// What the command line says of a dataset: the file of `--metadata`, and the flags before it.
pub(crate) fn said(said: &Metadata) -> anyhow::Result<MetadataPatch> {
    let mut patch = match &said.metadata {
        None => MetadataPatch::default(),
        Some(path) => {
            let shown = path.display();
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
            let is_json = text.trim_start_matches('\u{feff}').trim_start().starts_with('{');
            let read = if is_json {
                serde_json::from_str(&text).map_err(anyhow::Error::from)
            } else {
                toml::from_str(&text).map_err(anyhow::Error::from)
            };
            read.with_context(|| format!("{shown} does not hold metadata (docs/metadata.md)"))?
        }
    };
    let flags = [
        (&mut patch.title, &said.title),
        (&mut patch.description, &said.description),
        (&mut patch.department, &said.department),
        (&mut patch.steward_name, &said.steward_name),
        (&mut patch.steward_email, &said.steward_email),
        (&mut patch.license, &said.license),
    ];
    for (field, flag) in flags {
        if flag.is_some() {
            field.clone_from(flag);
        }
    }
    if !said.keywords.is_empty() {
        patch.keywords = Some(said.keywords.clone());
    }
    Ok(patch)
}

pub(crate) fn reading(said: &Reading) -> anyhow::Result<ReadOptions> {
    amended(ReadOptions::default(), said)
}

/// How a file is to be read from now on; what is not said stays as it is.
pub(crate) fn amended(before: ReadOptions, said: &Reading) -> anyhow::Result<ReadOptions> {
    let (mode, key) = said.merging.say(&before);
    let mut dictionary = match &said.schema {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            Some(
                Dictionary::parse(name, &text)
                    .with_context(|| format!("{} is not a data dictionary", path.display()))?,
            )
        }
        None => before.dictionary,
    };
    for column in &said.drop {
        let treatment = Treatment::Drop { reason: "dropped at publishing".to_owned() };
        treat(dictionary.get_or_insert_default(), column, treatment);
    }
    let mut named_columns = before.named_columns;
    named_columns.extend(said.drop.iter().cloned());
    for said in &said.public {
        let Some((column, reason)) = said.split_once('=').filter(|(_, reason)| !reason.trim().is_empty()) else {
            bail!("--public wants COLUMN=REASON, since the reason is part of the record");
        };
        treat(dictionary.get_or_insert_default(), column, Treatment::Public { reason: reason.to_owned() });
        named_columns.push(column.to_owned());
    }
    if !said.remedies.is_empty() {
        named_columns.extend(said.remedies.say(dictionary.get_or_insert_default())?);
    }
    let delimiter = match said.delimiter {
        None => before.delimiter,
        Some(character) => Some(u8::try_from(character).context("--delimiter wants one ASCII character")?),
    };
    Ok(ReadOptions {
        delimiter,
        file_name: before.file_name,
        encoding: said.encoding.clone().or(before.encoding),
        header: said.no_header.then_some(false).or(before.header),
        sheet: said.sheet.clone().or(before.sheet),
        null_values: if said.null_values.is_empty() { before.null_values } else { said.null_values.clone() },
        dictionary,
        named_columns,
        mode,
        key,
    })
}

/// A field of the dictionary that has the column's name, or else means it, gets the treatment. Dropping adds a field
/// where the name is not the very same, so that it holds whichever of the fields a column is taken for.
fn treat(dictionary: &mut Dictionary, column: &str, treatment: Treatment) {
    let drops = matches!(treatment, Treatment::Drop { .. });
    let named = match dictionary.fields.iter().position(|field| field.name.trim() == column.trim()) {
        None if !drops => {
            let meant = dictionary.field(column).map(|field| field.name.clone());
            dictionary.fields.iter().position(|field| Some(&field.name) == meant.as_ref())
        }
        same => same,
    };
    match named.and_then(|place| dictionary.fields.get_mut(place)) {
        Some(field) => {
            // Who declares a column public, or drops it, has decided anew.
            field.remedy = None;
            field.treatment = treatment;
        }
        None => dictionary.fields.push(Field { treatment, ..Field::named(column) }),
    }
}

/// A local file as it is; a URL is downloaded first, within the rules of `sources.fetch`.
pub(crate) async fn fetch(source: &str, scratch: &Scratch, fetcher: &Fetcher) -> anyhow::Result<PathBuf> {
    if !source.starts_with("http://") && !source.starts_with("https://") {
        let path = Path::new(source);
        return path.canonicalize().with_context(|| format!("cannot read {source}"));
    }
    let path = scratch.directory("fetched")?.join("source");
    fetcher.fetch(source, &Conditions::default(), &path).await.context("cannot fetch the file")?;
    Ok(path)
}

/// Findings, worst first, as a person reads them.
pub(crate) fn print_findings(findings: &[Finding]) {
    for finding in findings {
        let severity = match finding.severity {
            Severity::Info => "info    ",
            Severity::Warning => "warning ",
            Severity::Blocking => "BLOCKING",
        };
        let place = finding.column.as_deref().unwrap_or("the file");
        let rows = finding.rows.iter().take(5).map(u64::to_string).collect::<Vec<_>>().join(", ");
        let rows = if rows.is_empty() {
            String::new()
        } else {
            format!(" (rows {rows}{})", if finding.rows.len() > 5 { ", …" } else { "" })
        };
        println!("{severity} {} · {place}: {}{rows}", finding.rule, finding.message);
    }
}

fn print_blocked(revision: &Revision, rules: &RuleSet) {
    println!("blocked: revision {} stays in staging. {}", revision.id, advice(&revision.findings, rules));
}

/// What to do about findings that block: columns are a steward's to decide on, all else is the file's.
fn advice(findings: &[Finding], rules: &RuleSet) -> &'static str {
    let decidable = |rule: &str| {
        matches!(rule, "column_returned" | "restricted_column" | "remedy_missing") || rules.rule(rule).is_some()
    };
    let mut blocking = findings.iter().filter(|finding| finding.blocks());
    match (blocking.clone().any(|finding| decidable(&finding.rule)), blocking.any(|finding| !decidable(&finding.rule)))
    {
        (true, false) => {
            "Drop the columns (--drop COLUMN), apply a remedy (--redact, --pseudonym, --generalise, --round, --empty), or declare \
             them public with a reason (--public COLUMN=REASON), and publish again."
        }
        (true, true) => {
            "Drop the columns that hold personal data (--drop COLUMN), apply a remedy (--redact, --pseudonym, --generalise, \
             --round, --empty), or declare them public with a reason (--public COLUMN=REASON); the other findings say what to correct. Then publish again."
        }
        (false, _) => "The findings say what to correct; do that and publish again.",
    }
}

fn print_profile(profile: &TableProfile) {
    println!("\n{} rows, {} of them repeat another", profile.rows, profile.duplicate_rows);
    for column in &profile.columns {
        let range = match (&column.min, &column.max) {
            (Some(min), Some(max)) => format!("{min} … {max}"),
            _ => String::new(),
        };
        println!(
            "  {:32} {:16} {:>9} null {:>9} distinct  {range}",
            column.name, column.data_type, column.nulls, column.distinct
        );
    }
    println!();
}

/// A progress bar on a terminal; nothing elsewhere.
struct Bar {
    bar: ProgressBar,
}

impl Bar {
    fn start(bytes: u64) -> Self {
        let bar = ProgressBar::new(bytes);
        if let Ok(style) = ProgressStyle::with_template("{msg:10} [{wide_bar}] {percent}% {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message("reading");
        Self { bar }
    }

    fn reporter(&self) -> impl FnMut(Progress) + Send + 'static {
        let bar = self.bar.clone();
        move |progress| match progress {
            Progress::Reading(bytes) => bar.set_position(bytes.min(bar.length().unwrap_or(bytes))),
            Progress::Writing(rows, all) => {
                bar.set_message("writing");
                bar.set_length(all);
                bar.set_position(rows);
            }
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
