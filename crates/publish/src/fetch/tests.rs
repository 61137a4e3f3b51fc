//! A listener inside that nobody may reach, a listener that may be reached, and all the ways to say one and get the other.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::*;

/// A listener that counts who connects, and answers each request by its path.
struct Listener {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    async fn at(address: SocketAddr, answers: &[(&str, String)]) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answers: BTreeMap<String, String> =
            answers.iter().map(|(path, answer)| ((*path).to_owned(), answer.clone())).collect();
        let (counted, heard) = (Arc::clone(&connections), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (answers, heard) = (answers.clone(), Arc::clone(&heard));
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.unwrap_or(0) > 0 {}
                    let request = String::from_utf8_lossy(&request).into_owned();
                    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                    heard.lock().unwrap().push(request);
                    let nothing = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned();
                    let answer = answers.get(&path).unwrap_or(&nothing);
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { address, connections, requests }
    }

    async fn new(answers: &[(&str, String)]) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), answers).await
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn ok(head: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{head}connection: close\r\n\r\n{body}", body.len())
}

fn to(place: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

/// A fetcher for which every name is at `address`; `inside` may be inside.
fn fetcher(ports: &[u16], inside: &[&str], address: IpAddr) -> (Fetcher, Arc<AtomicUsize>) {
    let settings = FetchSettings {
        allow_http: true,
        ports: ports.to_vec(),
        hosts: inside.iter().map(|&host| host.to_owned()).collect(),
    };
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let fetcher = Fetcher::new(settings, SourceLimits { connect_ms: 2_000, ..SourceLimits::default() });
    let fetcher = fetcher.with_lookup(move |_, port| {
        counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { Ok(vec![SocketAddr::from((address, port))]) })
    });
    (fetcher, asked)
}

async fn fetch(fetcher: &Fetcher, url: &str) -> Result<Fetched, FetchError> {
    let scratch = tempfile::tempdir().unwrap();
    fetcher.fetch(url, &Conditions::default(), &scratch.path().join("file")).await
}

/// Ways to write an address that is inside, a name that is, or what is no host at all.
const INSIDE: [&str; 66] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0177.0.0.01",
    "127.0.0.1.",
    "127.255.255.254",
    "0",
    "0.0.0.0",
    "0x0",
    "00.00.00.00",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost.localdomain",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "１２７.０.０.１",
    "127。0。0。1",
    "%31%32%37.0.0.1",
    "loc%61lhost",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "metadata.google.internal",
    "inside.example",
    "127.0.0.1.nip.io",
    "1.1.1.1",
    "[2606:4700::1111]",
    "user@inside.example",
    "user:password@inside.example",
    "good.example@127.0.0.1",
    "good.example%40127.0.0.1",
    "127.0.0.1#@good.example",
    "127.0.0.1%23@good.example",
    "good.example\\@127.0.0.1",
    "127.0.0.1\t",
    "",
];

#[tokio::test]
async fn no_form_of_an_address_leads_inside() {
    let sink = Listener::new(&[]).await;
    let port = sink.address.port();
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let (fetcher, _) = fetcher(&[80, 443, port], &[], loopback);
    for host in INSIDE {
        for scheme in ["http", "https"] {
            let refused = fetch(&fetcher, &format!("{scheme}://{host}:{port}/x")).await;
            let refused = refused.expect_err(host);
            assert!(matches!(refused, FetchError::Address(_) | FetchError::Internal), "{scheme}://{host}: {refused:?}");
        }
    }
    for url in [
        "file:///etc/passwd".to_owned(),
        format!("gopher://127.0.0.1:{port}/_x"),
        format!("ftp://127.0.0.1:{port}/x"),
        "unix:/run/x".to_owned(),
        "data:text/csv,a".to_owned(),
        format!("jar:http://127.0.0.1:{port}/x!/y"),
        format!("//127.0.0.1:{port}/x"),
        format!("http:127.0.0.1:{port}"),
        "http://inside.example:22/".to_owned(),
        "http://inside.example:0/".to_owned(),
        String::new(),
    ] {
        let refused = fetch(&fetcher, &url).await.expect_err(&url);
        assert!(matches!(refused, FetchError::Address(_) | FetchError::Internal), "{url}: {refused:?}");
    }
    assert_eq!(sink.connections(), 0);
}

#[tokio::test]
async fn a_name_that_has_one_inner_address_among_others_is_refused() {
    let sink = Listener::new(&[]).await;
    let port = sink.address.port();
    let (fetcher, _) = fetcher(&[port], &[], IpAddr::from([127, 0, 0, 1]));
    let fetcher = fetcher.with_lookup(move |_, port| {
        let both = [IpAddr::from([1, 1, 1, 1]), IpAddr::from([127, 0, 0, 1])];
        Box::pin(async move { Ok(both.map(|address| SocketAddr::from((address, port))).to_vec()) })
    });
    let refused = fetch(&fetcher, &format!("http://both.example:{port}/")).await;
    assert!(matches!(refused, Err(FetchError::Internal)), "{refused:?}");
    assert_eq!(sink.connections(), 0);
}

#[tokio::test]
async fn the_connection_goes_where_the_check_looked() {
    let good = Listener::new(&[("/x", ok("", "a\n1\n"))]).await;
    let port = good.address.port();
    // The same port on another inner address: where the name says it is, the second time that it is asked.
    let sink = Listener::at(SocketAddr::from(([127, 0, 0, 2], port)), &[]).await;
    let (fetcher, _) = fetcher(&[port], &["turning.example"], IpAddr::from([127, 0, 0, 1]));
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let fetcher = fetcher.with_lookup(move |_, port| {
        let last = if counted.fetch_add(1, Ordering::SeqCst) == 0 { 1 } else { 2 };
        Box::pin(async move { Ok(vec![SocketAddr::from(([127, 0, 0, last], port))]) })
    });
    let fetched = fetch(&fetcher, &format!("http://turning.example:{port}/x")).await.unwrap();
    assert!(matches!(fetched, Fetched::File { .. }));
    assert_eq!((asked.load(Ordering::SeqCst), good.connections(), sink.connections()), (1, 1, 0));
}

#[tokio::test]
async fn every_redirection_is_checked_like_the_first_address() {
    let sink = Listener::new(&[]).await;
    let inner = sink.address.port();
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let places = [
        format!("http://127.0.0.1:{inner}/"),
        format!("http://[::1]:{inner}/"),
        format!("http://2130706433:{inner}/"),
        format!("http://inside.example:{inner}/"),
        format!("//inside.example:{inner}/"),
        "file:///etc/passwd".to_owned(),
        "http://user:password@front.example/".to_owned(),
    ];
    let mut answers: Vec<(String, String)> =
        places.iter().enumerate().map(|(index, place)| (format!("/{index}"), to(place))).collect();
    answers.push(("/round".to_owned(), to("/round")));
    for step in 0..=5 {
        answers.push((format!("/step{step}"), to(&format!("/step{}", step + 1))));
    }
    answers.push(("/step6".to_owned(), ok("", "x")));
    let answers: Vec<(&str, String)> = answers.iter().map(|(path, answer)| (path.as_str(), answer.clone())).collect();
    let front = Listener::new(&answers).await;
    let port = front.address.port();
    let (fetcher, _) = fetcher(&[port, inner], &["front.example"], loopback);
    let at = |path: &str| format!("http://front.example:{port}/{path}");
    for index in 0..places.len() {
        let refused = fetch(&fetcher, &at(&index.to_string())).await;
        assert!(matches!(refused, Err(FetchError::Address(_) | FetchError::Internal)), "{index}: {refused:?}");
    }
    assert!(matches!(fetch(&fetcher, &at("round")).await, Err(FetchError::Redirects(5))));
    assert!(matches!(fetch(&fetcher, &at("step0")).await, Err(FetchError::Redirects(5))));
    assert!(matches!(fetch(&fetcher, &at("step1")).await, Ok(Fetched::File { .. })));
    assert_eq!(sink.connections(), 0);
}

#[tokio::test]
async fn a_server_of_others_does_not_choose_among_named_hosts() {
    let (fetcher, _) = fetcher(&[443], &["gis.example", "maps.example"], IpAddr::from([127, 0, 0, 1]));
    let led = |from: &str, to: &str| {
        let answer = http::Response::builder().status(302).header("location", to).body("").unwrap();
        fetcher.redirected(&Url::parse(from).unwrap(), &Response::from(answer))
    };
    let refused = led("https://vendor.example/x.csv", "https://gis.example/admin");
    assert!(matches!(refused, Err(FetchError::Internal)), "{refused:?}");
    assert!(led("https://vendor.example/x.csv", "https://files.example/x.csv").is_ok());
    assert!(led("https://gis.example/x", "https://gis.example/y").is_ok());
    assert!(led("https://gis.example/x", "https://maps.example/y").is_ok());
}

#[tokio::test]
async fn what_is_too_large_compressed_or_cut_is_refused_and_says_nothing_of_itself() {
    let long = "x".repeat(2_000);
    let answers = [
        ("/long", ok("", &long)),
        ("/longer", format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{long}")),
        ("/packed", ok("content-encoding: gzip\r\n", "secret")),
        ("/cut", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\nsecret".to_owned()),
        ("/teapot", "HTTP/1.1 418 secret\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecret".to_owned()),
    ];
    let server = Listener::new(&answers).await;
    let port = server.address.port();
    let (mut fetcher, _) = fetcher(&[port], &["files.example"], IpAddr::from([127, 0, 0, 1]));
    fetcher.limits.fetch_bytes = 1_000;
    let mut said = Vec::new();
    for path in ["long", "longer", "packed", "cut", "teapot", "gone"] {
        let error = fetch(&fetcher, &format!("http://files.example:{port}/{path}")).await.unwrap_err();
        assert!(!error.to_string().contains("secret") && !error.to_string().contains("files.example"), "{error}");
        said.push(format!("{error:?}").split(['(', ' ']).next().unwrap().to_owned());
    }
    assert_eq!(said, ["TooLarge", "TooLarge", "Address", "Unreachable", "Status", "Status"]);
}

#[tokio::test]
async fn what_is_unchanged_is_not_sent_again() {
    let unchanged = "HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n".to_owned();
    let head = "etag: \"v1\"\r\nlast-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n";
    let server = Listener::new(&[("/new", ok(head, "a\n1\n")), ("/old", unchanged)]).await;
    let port = server.address.port();
    let (fetcher, _) = fetcher(&[port], &["files.example"], IpAddr::from([127, 0, 0, 1]));
    let Fetched::File { sha256, conditions } =
        fetch(&fetcher, &format!("http://files.example:{port}/new")).await.unwrap()
    else {
        panic!()
    };
    assert_eq!((sha256.len(), conditions.etag.as_deref()), (64, Some("\"v1\"")));
    let scratch = tempfile::tempdir().unwrap();
    let old = format!("http://files.example:{port}/old");
    let again = fetcher.fetch(&old, &conditions, &scratch.path().join("file")).await.unwrap();
    assert_eq!(again, Fetched::Unchanged);
    assert!(server.requests.lock().unwrap().last().unwrap().contains("if-none-match: \"v1\""));
    // Nobody asked whether it is unchanged.
    assert!(matches!(fetch(&fetcher, &old).await, Err(FetchError::Status(304))));
}

#[tokio::test]
async fn only_https_unless_the_operator_says_otherwise() {
    let fetcher = Fetcher::new(FetchSettings::default(), SourceLimits::default());
    for refused in ["http://example.com/", "https://example.com:8443/", "https://8.8.8.8/", "https://user@example.com/"]
    {
        assert!(matches!(fetcher.check(refused), Err(FetchError::Address(_))), "{refused}");
    }
    assert!(fetcher.check("https://example.com/a.csv?b=c").is_ok());
}
