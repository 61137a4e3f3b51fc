//! The site over a port, in bytes.

use std::net::SocketAddr;

use portico_model::limits::HttpLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::accept::{ConnectionSettings, listen, run};
use crate::testing::World;

/// What the site answers to these bytes, until it closes.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn what_a_proxy_may_read_otherwise_ends_its_connection() {
    let world = World::new().await;
    let settings = ConnectionSettings { limits: HttpLimits::default(), ..ConnectionSettings::default() };
    let listener = listen(([127, 0, 0, 1], 0).into(), &settings.limits).unwrap();
    let address = listener.local_addr().unwrap();
    let router = world.router.clone();
    let server = tokio::spawn(run(listener, router, settings, std::future::pending()));
    let small = "0\r\n\r\n";
    let call =
        "POST /arrow.flight.protocol.FlightService/DoGet HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc\r\n";
    for (head, body) in [
        ("POST /sql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n", small),
        ("POST /sql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", small),
        ("POST /sql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n", small),
        (&format!("{call}Transfer-Encoding: gzip, chunked\r\n"), small),
        ("GET /robots.txt HTTP/1.0\r\nConnection: keep-alive\r\nHost: x\r\nHost: y\r\n", ""),
        ("GET /robots.txt HTTP/1.1\r\nHost: x\r\nHost: y\r\n", ""),
        ("GET /robots.txt HTTP/1.1\r\nHost: x\nX: y\r\n", ""),
        ("GET /robots.txt HTTP/1.1\r\nX: y\n\r\nHost: x\r\n", ""),
    ] {
        let hidden = "GET /robots.txt HTTP/1.1\r\nHost: hidden\r\nConnection: close\r\n\r\n";
        let answer = raw(address, &format!("{head}\r\n{body}{hidden}")).await;
        let counts = [" 400 Bad Request\r\n", " 200 OK\r\n"].map(|status| answer.matches(status).count());
        assert_eq!(counts, [1, 0], "{head}: {answer}");
    }
    let both =
        "GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\nGET /robots.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(raw(address, both).await.matches("HTTP/1.1 200").count(), 2);
    server.abort();
}
