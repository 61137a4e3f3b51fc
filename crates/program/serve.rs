//! `portico serve`: an existing portal, until told to stop.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use portico_serve::{ConnectionSettings, Site, SiteSettings, Staff, TrustedProxies};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::args::Serve;
use crate::calendar;
use crate::config::Config;
use crate::identity;
use crate::parts::{self, Scratch};
use crate::records;

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(serve: Serve) -> anyhow::Result<ExitCode> {
    let mut config = Config::load(serve.portal.config.as_deref(), serve.portal.data.as_deref())?;
    if let Some(listen) = serve.listen {
        config.server.listen = listen;
    }
    let store = parts::open_store(&config).await?;
    let listener = bind(&config)?;
    serve_store(&config, store, listener, |_| {}).await
}

/// Binds first, so that an address in use is said before anything is built.
pub(crate) fn bind(config: &Config) -> anyhow::Result<TcpListener> {
    let listen = config.server.listen;
    portico_serve::listen(listen, &config.limits.http)
        .with_context(|| format!("cannot listen on {listen}: choose another with --listen"))
}

/// Serves a store on a listener; `greet` is told the address just before the ready line.
pub(crate) async fn serve_store(
    config: &Config,
    store: portico_store::Store,
    listener: TcpListener,
    greet: impl FnOnce(&str),
) -> anyhow::Result<ExitCode> {
    if let Err(error) = store.storage.self_test().await {
        // Reading needs no conditional create: a portal that cannot publish may still answer.
        tracing::error!(%error, "releases would not be safe on this storage: publishing refuses it");
    }
    let metrics = recorder(config)?;
    let scratch = Scratch::open(config)?;
    let questions = parts::open_questions(config, &store, &scratch).await?;
    let trusted_proxies = TrustedProxies::parse(&config.server.trusted_proxies)
        .map_err(|text| anyhow::anyhow!("server.trusted_proxies: {text:?} is no network"))?;
    let settings = SiteSettings {
        trusted_proxies: trusted_proxies.clone(),
        title: config.server.title.clone(),
        public_url: Some(config.server.public_url.clone()).filter(|url| !url.is_empty()),
    };
    let publisher = parts::open_publisher(config, &store, &scratch)?;
    let keeping = records::keep(publisher.clone(), questions.clone());
    let mut staff = Staff::new(publisher.clone(), &config.limits.staff);
    if let Some(provider) = identity::provider(config)? {
        staff = staff.with_provider(provider);
    }
    let limits = config.limits.clone();
    let site = Arc::new(Site { store, questions, staff, limits, settings, clock: parts::clock() });
    let connections = ConnectionSettings { limits: config.limits.http.clone(), tls: tls(config)?, trusted_proxies };
    let scheme = if connections.tls.is_some() { "https" } else { "http" };
    let address = format!("{scheme}://{}", listener.local_addr()?);

    let stop = Stop::new()?;
    let router = portico_serve::router(site);
    let mut servers = tokio::task::JoinSet::new();
    if let Some((address, handle)) = metrics {
        let listener = portico_serve::listen(address, &config.limits.http)
            .with_context(|| format!("cannot listen on {address}"))?;
        let (settings, stopped) = (ConnectionSettings { tls: None, ..connections.clone() }, stop.stopped());
        servers.spawn(serve_metrics(listener, handle, settings, stopped));
    }
    if let Some(address) = config.server.grpc_listen {
        let listener = portico_serve::listen(address, &config.limits.http)
            .with_context(|| format!("cannot listen on {address}"))?;
        let (settings, stopped, router) = (connections.clone(), stop.stopped(), router.clone());
        servers.spawn(async move { portico_serve::run(listener, router, settings, stopped).await });
    }
    let (sourced, runs, stopped) = (publisher.clone(), config.limits.sources.runs, stop.stopped());
    servers.spawn(async move {
        crate::source::keep_fresh(sourced, runs, stopped).await;
        Ok(())
    });
    greet(&address);
    println!("portico ready {address}");
    tracing::info!(%address, "ready");
    let (releasing, stopped) = (calendar::keep(publisher), stop.stopped());
    // Dropped at the end of a step or in the middle of one: the next server completes it.
    let clock = tokio::spawn(async move {
        tokio::select! {
            () = releasing => {}
            () = stopped => {}
        }
    });
    portico_serve::run(listener, router, connections, stop.stopped()).await?;
    clock.await?;
    while let Some(ended) = servers.join_next().await {
        ended??;
    }
    keeping.end().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Where the figures can be read, with the handle to them; where they cannot, none are kept.
fn recorder(config: &Config) -> anyhow::Result<Option<(SocketAddr, PrometheusHandle)>> {
    let Some(address) = config.server.metrics_listen else { return Ok(None) };
    Ok(Some((address, PrometheusBuilder::new().install_recorder()?)))
}

/// Serves the figures, and keeps them small however seldom they are read.
async fn serve_metrics(
    listener: TcpListener,
    handle: PrometheusHandle,
    settings: ConnectionSettings,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = portico_serve::metrics_router(handle.clone());
    tokio::select! {
        served = portico_serve::run(listener, router, settings, stopped) => served,
        () = portico_serve::keep_metrics(handle) => Ok(()),
    }
}

fn tls(config: &Config) -> anyhow::Result<Option<TlsAcceptor>> {
    let (Some(certificate), Some(key)) = (&config.server.tls_certificate, &config.server.tls_key) else {
        return Ok(None);
    };
    let read = |path: &std::path::Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let (certificate, key) = (read(certificate)?, read(key)?);
    let tls = portico_serve::tls_acceptor(&certificate, &key).context("the certificate or its key cannot be used")?;
    Ok(Some(tls))
}

/// Tells every listener at once that SIGTERM or SIGINT has come.
struct Stop {
    heard: tokio::sync::watch::Receiver<bool>,
}

impl Stop {
    fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (tell, heard) = tokio::sync::watch::channel(false);
        tokio::task::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tell.send_replace(true);
            // The receivers outlive the first signal; a second one ends the process at once.
            tokio::select! {
                _ = terminate.recv() => std::process::exit(1),
                _ = interrupt.recv() => std::process::exit(1),
            }
        });
        Ok(Self { heard })
    }

    fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut heard = self.heard.clone();
        async move {
            // An error means that the signal task is gone, which only the end of the runtime does.
            let _stopped = heard.wait_for(|stop| *stop).await;
        }
    }
}
