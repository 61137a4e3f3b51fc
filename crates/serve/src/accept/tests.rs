//! Connections over a real port: what is answered, cut and refused.

use axum::routing::{any, get, post};
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::*;

/// Serves a small router on a free port; ends when the sender is used or dropped.
async fn serve(limits: HttpLimits) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<io::Result<()>>) {
    serve_with(ConnectionSettings { limits, ..ConnectionSettings::default() }).await
}

async fn serve_with(
    settings: ConnectionSettings,
) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<io::Result<()>>) {
    let broken = || async {
        let lost = async {
            sleep(Duration::from_millis(5)).await;
            Err(io::Error::other("lost"))
        };
        Body::from_stream(stream::iter([Ok("half")]).chain(stream::once(lost)))
    };
    let who = |request: Request<Body>| async move { format!("{:?}", request.extensions().get::<Peer>()) };
    let read = |body: Body| async move {
        let whole = axum::body::to_bytes(body, 1 << 20).await;
        whole.map_or_else(|_| "broken".to_owned(), |bytes| format!("read {}", bytes.len()))
    };
    let never = || std::future::pending::<&str>();
    let endless = |request: Request<Body>| async move {
        let pieces = stream::iter([Ok::<_, io::Error>("first")]).chain(stream::pending());
        let mut answer = http::Response::new(Body::from_stream(pieces));
        if request.uri().query() == Some("sized") {
            answer.headers_mut().insert(http::header::CONTENT_LENGTH, http::HeaderValue::from_static("1000"));
        }
        answer
    };
    let router = Router::new()
        .route("/who", any(who))
        .route("/broken", get(broken))
        .route("/never", get(never))
        .route("/endless", get(endless))
        .route("/read", post(read));
    let listener = listen(([127, 0, 0, 1], 0).into(), &settings.limits).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        run(listener, router, settings, async {
            let _ = stopped.await;
        })
        .await
    });
    (address, stop, task)
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

#[tokio::test]
async fn a_crowd_that_comes_at_once_is_held_until_it_is_accepted() {
    let listener = listen(([127, 0, 0, 1], 0).into(), &HttpLimits::default()).unwrap();
    let address = listener.local_addr().unwrap();
    let mut clients = Vec::new();
    for _ in 0..400 {
        // Nobody accepts: whom the system does not hold waits for its answer for ever.
        let client = tokio::time::timeout(Duration::from_secs(20), TcpStream::connect(address)).await;
        clients.push(client.unwrap().unwrap());
    }
    for _ in &clients {
        tokio::time::timeout(Duration::from_secs(20), listener.accept()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn requests_know_their_peer() {
    let (address, _stop, _task) = serve(HttpLimits::default()).await;
    let answer = exchange(address, "GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("Some(Peer { address: 127.0.0.1, tls: false })"), "{answer}");
}

#[tokio::test]
async fn a_failed_answer_has_no_final_chunk() {
    let (address, _stop, _task) = serve(HttpLimits::default()).await;
    let answer = raw(address, b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.contains("half") && !answer.contains("0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn who_says_nothing_is_cut() {
    let limits = HttpLimits { header_ms: 40, ..HttpLimits::default() };
    let (address, _stop, _task) = serve(limits).await;
    assert_eq!(exchange(address, "").await, "");
    assert!(!exchange(address, "GET /who HTTP/1.1\r\nHo").await.contains("200"));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let limits = HttpLimits { idle_ms: 40, ..HttpLimits::default() };
    let (address, _stop, _task) = serve(limits).await;
    let answer = exchange(address, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn one_address_has_its_share_of_connections() {
    let limits = HttpLimits { connections_per_address: 1, ..HttpLimits::default() };
    let (address, _stop, _task) = serve(limits).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_ne!(first.read_u8().await.unwrap(), 0);
    assert_eq!(exchange(address, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n").await, "");
}

#[tokio::test]
async fn what_outlasts_the_grace_time_is_cut() {
    let (address, stop, task) = serve(HttpLimits { grace_ms: 20, ..HttpLimits::default() }).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    exchange(address, "GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

/// What was read of an answer and how it ended: in order, or with an error.
async fn read_to_the_end(mut stream: TcpStream) -> (String, io::Result<()>) {
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer).await.map(drop);
    (String::from_utf8_lossy(&answer).into_owned(), ended)
}

#[tokio::test]
async fn an_answer_that_is_cut_looks_cut_to_every_client() {
    let limits = HttpLimits { grace_ms: 20, ..HttpLimits::default() };
    for (path, version) in
        [("/endless", "1.1"), ("/endless?sized", "1.1"), ("/endless", "1.0"), ("/endless?sized", "1.0")]
    {
        let (address, stop, task) = serve(limits.clone()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/{version}\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        // The answer is under way when the server is told to stop.
        let mut answer = String::new();
        while !answer.contains("first") {
            let mut piece = [0; 1000];
            let length = stream.read(&mut piece).await.unwrap();
            answer += std::str::from_utf8(&piece[..length]).unwrap();
        }
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
        let (rest, ended) = read_to_the_end(stream).await;
        assert_eq!(ended.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset), "{path} {version}");
        assert!(!answer.contains("0\r\n\r\n") && rest.is_empty(), "{path} {version}: {answer}{rest}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_is_no_shorter_answer_to_a_client_of_http_1_0() {
    let (address, _stop, _task) = serve(HttpLimits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /broken HTTP/1.0\r\nHost: x\r\n\r\n").await.unwrap();
    let (answer, ended) = read_to_the_end(stream).await;
    assert_eq!(ended.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset), "{answer}");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /who HTTP/1.0\r\nHost: x\r\n\r\n").await.unwrap();
    let (answer, ended) = read_to_the_end(stream).await;
    assert!(answer.contains("Some(Peer") && ended.is_ok(), "{answer}: {ended:?}");
}

fn door(places: &Arc<Semaphore>) -> Door {
    let settings = ConnectionSettings::default();
    let (router, builder) = (Router::new(), builder(&settings.limits));
    let (places, places_max) = (Arc::clone(places), places.available_permits());
    Door { router, builder, settings, places, places_max, crowded: Mutex::default() }
}

#[test]
fn patience_ends_where_places_do() {
    let places = Arc::new(Semaphore::new(10));
    let door = door(&places);
    let now = Instant::now();
    let _half = places.try_acquire_many(5).unwrap();
    assert_eq!(door.patience(now), DRAIN_TIME);
    let more = places.try_acquire().unwrap();
    assert_eq!(door.patience(now), CROWDED_TIME);
    drop(more);
    assert_eq!(door.patience(now + CROWDED_FOR / 2), CROWDED_TIME);
    assert_eq!(door.patience(now + CROWDED_FOR), DRAIN_TIME);
}

#[test]
fn no_blocks_take_all_places() {
    let places = Arc::new(Semaphore::new(1_024));
    let (door, slots) = (door(&places), Slots::new(256));
    let mut held = Vec::new();
    let mut take = |address: [u8; 4]| {
        let permit = Arc::clone(&places).try_acquire_owned().unwrap();
        let slot = slots.take_of(address.into(), door.share());
        let taken = slot.is_some();
        held.extend(slot.map(|slot| (permit, slot)));
        taken
    };
    for round in 0..300 {
        for block in 0..50 {
            let taken = take([192, 0, 2, block]);
            assert!(taken || round > 0, "{block} is new and has no place");
        }
    }
    assert!(take([198, 51, 100, 1]), "a newcomer has no place");
    assert!(places.available_permits() > 50, "{}", places.available_permits());
}

/// A connection from another address of this machine.
async fn from(host: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, host], 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Asks on a connection that may be kept; what comes back, until the answer is whole or the connection has ended.
async fn ask(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    if stream.write_all(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n").await.is_ok() {
        let mut piece = [0; 1000];
        while let Ok(Ok(length)) = timeout(Duration::from_secs(20), stream.read(&mut piece)).await {
            answer.extend_from_slice(&piece[..length]);
            if length == 0 || answer.windows(4).any(|bytes| bytes == b"Some") {
                break;
            }
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn keep_alives_of_a_few_addresses_leave_places_to_others() {
    for connections in [8, 32] {
        let limits = HttpLimits { connections, connections_per_address: 16, ..HttpLimits::default() };
        let (address, _stop, _task) = serve(limits).await;
        let mut held = Vec::new();
        for host in [2, 3, 4, 5] {
            for _ in 0..connections {
                let mut stream = from(host, address).await;
                if ask(&mut stream).await.contains("200 OK") {
                    held.push(stream);
                }
            }
        }
        let answer = ask(&mut from(6, address).await).await;
        assert!(answer.contains("200 OK"), "{connections}: {answer}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_last_places_are_not_kept() {
    let limits = HttpLimits { connections: 4, ..HttpLimits::default() };
    let (address, _stop, _task) = serve(limits).await;
    let mut first = from(2, address).await;
    assert!(!ask(&mut first).await.contains("connection: close"));
    let mut second = from(3, address).await;
    second.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut third = from(4, address).await;
    assert!(ask(&mut third).await.contains("connection: close"));
    assert_eq!(third.read(&mut [0; 8]).await.unwrap(), 0);
    let mut fourth = from(5, address).await;
    assert!(ask(&mut fourth).await.contains("connection: close"));
    // Those who come later are not the only ones: the next answer of a kept connection is its last as well.
    let (mut fifth, mut sixth) = (from(6, address).await, from(7, address).await);
    fifth.write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(ask(&mut sixth).await.contains("connection: close"));
    let request = b"\0\0\x0d\x01\x05\0\0\0\x01\x82\x86\x04\x04/who\x01\x03x.y";
    second.write_all(request).await.unwrap();
    let mut frame = [0; 9];
    while frame[3] != 7 {
        second.read_exact(&mut frame).await.unwrap();
        let mut payload = vec![0; usize::from(frame[1]) * 256 + usize::from(frame[2])];
        second.read_exact(&mut payload).await.unwrap();
    }
}

#[tokio::test]
async fn too_many_headers_are_refused() {
    let (address, _stop, _task) = serve(HttpLimits::default()).await;
    let headers: String = (0..200).map(|i| format!("x-{i}: 1\r\n")).collect();
    let answer = exchange(address, &format!("GET /who HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

/// What a connection answers to these bytes, to its end.
async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_request_means_one_thing() {
    let limits = HttpLimits { header_ms: 300, idle_ms: 300, ..HttpLimits::default() };
    let (address, _stop, _task) = serve(limits).await;
    // Behind each stands another request, which must not be answered: the connection is closed.
    let hidden = "GET /who HTTP/1.1\r\nHost: hidden\r\n\r\n";
    let check = async |name: &str, head: &str, body: &str, refused: bool| {
        let request = format!("{head}Host: x\r\n\r\n{body}{hidden}");
        let answer = raw(address, request.as_bytes()).await;
        let answers = answer.matches("HTTP/1.1 ").count();
        assert!(answers <= 1, "{name}: {answer}");
        if refused {
            assert!(answer.starts_with("HTTP/1.1 400") || answer.is_empty(), "{name}: {answer}");
        }
    };
    let post = "POST /who HTTP/1.1\r\n";
    let both = format!("{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n");
    check("length and chunks", &both, "0\r\n\r\n", false).await;
    let both = format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n");
    check("chunks and length", &both, "0\r\n\r\n", false).await;
    for header in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "X: a\r\n Transfer-Encoding: chunked\r\n",
        "X: a\r\n\tfolded\r\n",
        "X\0: a\r\n",
        "X: a\0b\r\n",
        "X: a\rb\r\n",
        "X: a\nTransfer-Encoding: chunked\r\n",
        "X: a\n",
        "\n",
        ": a\r\n",
    ] {
        check(header, &format!("{post}{header}"), "AAAAA", true).await;
    }
    let old = "POST /who HTTP/1.0\r\nTransfer-Encoding: chunked\r\n";
    check("chunks in HTTP/1.0", old, "0\r\n\r\n", true).await;
    for line in [
        "GET  /who HTTP/1.1\r\n",
        "GET /who HTTP/9.9\r\n",
        "GET /who\r\n",
        "GET /who HTTP/1.1\n",
        "\nGET /who HTTP/1.1\r\n",
        "GET\t/who HTTP/1.1\r\n",
        "GET /a b HTTP/1.1\r\n",
        "\x16\x03\x01",
    ] {
        check(line, line, "", true).await;
    }
}

#[tokio::test]
async fn chunks_are_counted() {
    let limits = HttpLimits { header_ms: 300, idle_ms: 300, ..HttpLimits::default() };
    let (address, _stop, _task) = serve(limits).await;
    let post = "POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let whole = raw(address, format!("{post}5;a=b\r\nhello\r\n0\r\n\r\n").as_bytes()).await;
    assert!(whole.contains("read 5"), "{whole}");
    let extension = "x".repeat(1 << 20);
    for chunks in [
        format!("5;{extension}\r\nhello\r\n0\r\n\r\n"),
        format!("0\r\nX: {extension}\r\n\r\n"),
        "-5\r\nhello\r\n0\r\n\r\n".to_owned(),
        "5\nhello\n0\n\n".to_owned(),
        "fffffffffffffffff\r\nhello\r\n".to_owned(),
        "5 \x0b\r\nhello\r\n0\r\n\r\n".to_owned(),
        "5\r\nhelloXX0\r\n\r\n".to_owned(),
        "5\r\nhel".to_owned(),
    ] {
        let answer = raw(address, format!("{post}{chunks}").as_bytes()).await;
        assert!(!answer.contains("read 5"), "{answer}");
    }
}

#[tokio::test]
async fn long_heads_are_refused() {
    let (address, _stop, _task) = serve(HttpLimits { header_ms: 300, ..HttpLimits::default() }).await;
    let check = async |request: String, status: &str| {
        let answer = raw(address, request.as_bytes()).await;
        // A refusal may be lost when the client still sends: then the connection was closed on it.
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) || answer.is_empty(), "{answer}");
    };
    check(format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(65_600)), "4").await;
    check(format!("GET /who HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(100_000)), "431").await;
}

#[tokio::test]
async fn a_trusted_proxy_has_no_share_of_connections() {
    let limits = HttpLimits { connections_per_address: 1, ..HttpLimits::default() };
    let trusted_proxies = TrustedProxies::parse(&["127.0.0.0/8".to_owned()]).unwrap();
    let (address, _stop, _task) = serve_with(ConnectionSettings { limits, trusted_proxies, tls: None }).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_ne!(first.read_u8().await.unwrap(), 0);
    let second = exchange(address, "GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(second.starts_with("HTTP/1.1 200"), "{second}");
}

#[tokio::test]
async fn an_http_2_client_that_floods_is_cut() {
    let (address, _stop, _task) = serve(HttpLimits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        let _ = reader.read_to_end(&mut all).await;
    });
    let pings = b"\0\0\x08\x06\0\0\0\0\0pingpong".repeat(100);
    let sending = async { while writer.write_all(&pings).await.is_ok() {} };
    timeout(Duration::from_secs(30), sending).await.expect("a flood of pings is not cut");
    reading.await.unwrap();
}
