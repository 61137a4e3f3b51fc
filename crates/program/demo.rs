//! `portico demo`: the sample city, published through the real road in, then served.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use portico_intake::dictionary::{Dictionary, Treatment};
use portico_intake::options::ReadOptions;
use portico_model::dataset::DatasetMetadata;
use portico_model::finding::Finding;
use portico_model::name::DatasetName;
use portico_model::policy::{Role, Scope};
use portico_publish::{Holder, LinkRequest, Publisher, StageRequest};

use crate::args::Demo;
use crate::city::{self, City, Sample};
use crate::config::Config;
use crate::parts::{self, Scratch};
use crate::publish::{Outcome, road_in};
use crate::serve;

/// Publishes what is not published yet, prints how to try it, and serves it.
pub(crate) async fn run(demo: Demo) -> anyhow::Result<ExitCode> {
    if let Some(directory) = &demo.write_samples {
        city::make_all(directory)?;
        println!("wrote the sample city's files to {}", directory.display());
        return Ok(ExitCode::SUCCESS);
    }
    let temporary = tempfile::Builder::new().prefix("portico-demo-").tempdir()?;
    let data = demo.data.clone().unwrap_or_else(|| temporary.path().join("portal"));
    let city = City::load()?;
    let mut config = Config::load(None, Some(&data))?;
    config.server.listen = demo.listen;
    config.server.title = format!("{} Open Data", city.name);

    let listener = serve::bind(&config)?;
    let store = parts::open_store(&config).await?;
    let scratch = Scratch::open(&config)?;
    let publisher = parts::open_publisher(&config, &store, &scratch)?;
    for sample in &city.dataset {
        publish(&publisher, &store, sample, demo.rows, &scratch).await.with_context(|| sample.name.clone())?;
    }
    let links = sign_in_links(&publisher, config.limits.staff.link_minutes).await?;
    let minutes = config.limits.staff.link_minutes;
    serve::serve_store(&config, store, listener, |address| greet(address, &links, (minutes, &data))).await
}

/// Every version of one dataset; those that an earlier run released are left as they are.
async fn publish(
    publisher: &Publisher,
    store: &portico_store::Store,
    sample: &Sample,
    rows: Option<u64>,
    scratch: &Scratch,
) -> anyhow::Result<()> {
    let name = DatasetName::parse(&sample.name)?;
    let released = store.catalog.versions(&name).await?.len();
    let directory = scratch.directory("samples")?;
    let dictionary = std::fs::read_to_string(city::unpack(&sample.dictionary, &directory)?)?;
    let dictionary = Dictionary::parse(&sample.dictionary, &dictionary)?;
    for file in sample.files.iter().skip(released) {
        let path = match rows {
            Some(rows) if sample.name == "service-requests" => city::make_requests(rows, &directory)?,
            _ => city::unpack(file, &directory)?,
        };
        let request = |dictionary: Dictionary| {
            let metadata = metadata(sample, name.clone());
            let options = ReadOptions { dictionary: Some(dictionary), ..ReadOptions::named(file) };
            StageRequest { metadata, file: path.clone(), options }
        };
        // As a department would first send it: with the column that nobody noticed.
        let mut unnoticed = dictionary.clone();
        unnoticed.fields.retain(|field| !matches!(field.treatment, Treatment::Drop { .. }));
        if unnoticed != dictionary
            && let Outcome::Blocked(revision) = road_in(publisher, request(unnoticed)).await?
        {
            say_blocked(&sample.name, &revision.findings);
            publisher.discard(&parts::operator(), &revision.id, parts::now_ms()).await?;
        }
        match road_in(publisher, request(dictionary.clone())).await? {
            Outcome::Released(version, findings) => println!("released {version} ({} findings)", findings.len()),
            Outcome::Blocked(revision) => {
                say_blocked(&sample.name, &revision.findings);
                anyhow::bail!("the sample city's own file is blocked");
            }
        }
    }
    Ok(())
}

fn metadata(sample: &Sample, name: DatasetName) -> DatasetMetadata {
    let mut metadata = DatasetMetadata {
        title: sample.title.clone(),
        description: sample.description.clone(),
        department: sample.department.clone(),
        steward_name: sample.steward_name.clone(),
        steward_email: sample.steward_email.clone(),
        license: sample.license.clone(),
        keywords: sample.keywords.clone(),
        update_frequency: sample.update_frequency.clone(),
        ..DatasetMetadata::named(name)
    };
    sample.metadata.apply(&mut metadata);
    metadata
}

fn say_blocked(name: &str, findings: &[Finding]) {
    for finding in findings.iter().filter(|finding| finding.blocks()) {
        let column = finding.column.as_deref().unwrap_or("the file");
        println!("blocked {name}: {} in {column} ({} values)", finding.rule, finding.count);
    }
}

/// A link for each role, with the role's name: so that whoever tries the demo sees what each may do.
async fn sign_in_links(publisher: &Publisher, minutes: u64) -> anyhow::Result<Vec<(Role, String)>> {
    let mut links = Vec::new();
    for role in Role::ALL {
        let holder = Holder { name: role.as_str().to_owned(), roles: vec![role], scope: Scope::All };
        let request = LinkRequest { holder, minutes };
        let (text, _) = publisher.create_link(&parts::operator(), request, parts::now_ms()).await?;
        links.push((role, portico_serve::link_path(&text)));
    }
    Ok(links)
}

fn greet(address: &str, links: &[(Role, String)], (minutes, data): (u64, &Path)) {
    let host = address.split("://").nth(1).unwrap_or(address);
    println!(
        "
The portal   {address}/
curl         curl '{address}/sql?q=select%20count(*)%20from%20parks'
CSV          {address}/datasets/building-permits.csv
SQL          curl {address}/sql?format=csv -H 'Content-Type: application/sql' \\
               -d 'select district, count(*) from service_requests group by district'
Python       pandas.read_parquet('{address}/datasets/bus-stops.parquet')
Flight SQL   adbc_driver_flightsql.dbapi.connect('grpc://{host}')

Sign in, once and within {minutes} minutes, as"
    );
    for (role, path) in links {
        println!("{:12} {address}{path}", role.as_str());
    }
    println!(
        "More         portico token link NAME --role ROLE --everywhere --at {address} --data {}

Stop with Ctrl-C.
",
        data.display()
    );
}
