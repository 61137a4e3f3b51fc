"""Requests that a stranger may send to do harm: paths, headers, methods, bodies. Sent as they are, by socket.

Slow clients, floods of HTTP/2 and the shutdown are in edges.py.
"""

import gzip
import json
import random
import re
import time
import urllib.parse

from attacks.target import PROBLEMS, Figure, Probe, leaks, raw, status_of

ROWS = []


def row(name):
    """A function that yields `(what, right, seen)` for each request that it made."""
    def add(function):
        ROWS.append((name, function))
        return function
    return add


def get(portal, path, headers=(), **more):
    return portal.request("GET", path, headers=headers, **more)


def refused(what, answer, statuses, said=""):
    """A problem with one of the statuses, that tells nothing and fits its code."""
    right = answer.status in statuses and answer.code in PROBLEMS | {"closed": 0} and not leaks(answer.detail(), said)
    return what, right, f"{answer.status} {answer.code}: {answer.detail()[:120]}"


@row("H01")
def paths_out_of_the_root(portal):
    for path in ["/datasets/../../etc/passwd", "/datasets/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/datasets/..%5c..%5cetc",
                 "/datasets/%252e%252e%252fetc", "/datasets/....//....//etc/passwd", "/datasets/parks%00.csv",
                 "/datasets/%c0%ae%c0%ae/etc/passwd", "/datasets/parks;a=b.csv", "/assets/../../../etc/passwd",
                 "/assets/%2e%2e/%2e%2e/etc/passwd", "/datasets/parks/versions/1/parts/../../../x.parquet",
                 "/datasets/parks/versions/1/parts/0.parquet/../..", "/datasets/parks/versions/%2e%2e/parts/0.parquet",
                 "/..", "/%2e%2e", "/datasets//etc/passwd", "/datasets/file:%2f%2f%2fetc%2fpasswd.csv"]:
        answer = get(portal, path)
        # Some of them are only other spellings of the start page; none may give a file of the system.
        harmless = b"root:" not in answer.body and answer.status in {200, 301, 308, 400, 404}
        yield path, harmless and not (answer.status >= 400 and leaks(answer.detail(), path)), f"{answer.status} {answer.code}"


@row("H02")
def names_that_are_none(portal):
    for name in ["a" * 10_000, "PARKS", "p\u0430rks", "_delta_log", ".well-known", "con", "parks.", "parks ", "-", "%",
                 "parks'--", "1parks", "parks@1"]:
        path = "/datasets/" + urllib.parse.quote(name) + ".csv"
        yield refused(path[:60], get(portal, path), {400, 404}, path)
        yield refused("/api" + path[:60], get(portal, "/api/datasets/" + urllib.parse.quote(name)), {400, 404}, path)


@row("H03")
def versions_that_are_none(portal):
    for version in ["0", "-1", "99", "1e3", "18446744073709551616", "01", "latest", "%31%00", "1/2", "../1"]:
        yield refused(version, get(portal, f"/datasets/parks/versions/{version}.csv"), {400, 404}, version)
        yield refused(version, get(portal, f"/datasets/parks/versions/1/parts/{version}.parquet"), {400, 404} if version != "0"
                      else {200, 400, 404}, version) if version != "0" else ("part 0", True, "")


@row("H04")
def redirects_stay_here(portal):
    for path in ["//evil.example/foo/", "/\\evil.example", "/?next=https://evil.example", "/?next=//evil.example",
                 "//evil.example/datasets/parks/", "/datasets/parks/?next=//evil.example", "/%0d%0aLocation:%20https://evil",
                 "/datasets/%0d%0aSet-Cookie:a=b", "https://evil.example/"]:
        answer = get(portal, path)
        location = answer.headers.get("location", "")
        host = urllib.parse.urlsplit(location).netloc
        right = answer.status < 500 and "evil" not in host and not location.startswith(("//", "/\\")) \
            and "set-cookie" not in answer.headers
        yield path, right, f"{answer.status} {location}"


@row("H05")
def switches_for_debugging(portal):
    plain = get(portal, "/api/datasets")
    for query in ["_trace=1", "debug=1", "_context=1", "format=debug", "pretty=1"]:
        answer = get(portal, "/api/datasets?" + query)
        yield query, answer.status in {200, 400} and not leaks(answer.text, query), f"{answer.status}"
    for header in ["X-Debug", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Forwarded-Host",
                   "X-Forwarded-Prefix", "X-Forwarded-Proto"]:
        for value in ["1", "/admin", "DELETE", "evil.example"]:
            answer = get(portal, "/api/datasets", {header: value})
            yield header, (answer.status, answer.body) == (plain.status, plain.body), f"{answer.status}"


@row("H07")
def one_bucket_for_one_peer(portal):
    """Questions from one peer under ever new claims of where they come from meet the limit of one address."""
    import concurrent.futures

    sql = "select count(*) from service_requests a, service_requests b, parks c where a.priority + b.priority < 0"
    def ask(index):
        claim = f"198.51.{index % 250}.{index % 199 + 1}"
        return portal.request("POST", "/sql", sql.encode(), {
            "Content-Type": "application/sql", "X-Forwarded-For": claim, "X-Real-IP": claim,
            "Forwarded": f"for={claim}"}, source="127.0.0.31", timeout=120)

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(ask, range(40)))
    refused_for_load = [answer for answer in answers if answer.status == 429]
    yield "40 at once", len(refused_for_load) >= 40 - 18 and all("retry-after" in a.headers for a in refused_for_load), \
        f"{len(refused_for_load)} of 40 refused with 429"


@row("H08")
def smuggling(portal):
    host = b"Host: x\r\n"
    small = b"0\r\n\r\n"
    for what, content in {
        "length and chunks": b"POST /sql HTTP/1.1\r\n" + host + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n" + small,
        "chunks, spelt with a tab": b"POST /sql HTTP/1.1\r\n" + host + b"Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n\r\n" + small,
        "chunks, unknown coding": b"POST /sql HTTP/1.1\r\n" + host + b"Transfer-Encoding: xchunked\r\n\r\n" + small,
        "chunks, twice": b"POST /sql HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + small,
        "chunks, twice in one header": b"POST /sql HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + small,
        "chunks of something packed": b"POST /sql HTTP/1.1\r\n" + host + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + small,
        "two hosts in HTTP/1.0": b"GET /robots.txt HTTP/1.0\r\n" + host + b"Host: y\r\nConnection: keep-alive\r\n\r\n",
        "lines that end with LF": b"GET /robots.txt HTTP/1.1\nHost: x\n\n",
        "a header behind an LF": b"POST /sql HTTP/1.1\r\n" + host + b"X-A: b\nTransfer-Encoding: chunked\r\n\r\n" + small,
        "a request behind an LF": b"GET /robots.txt HTTP/1.1\r\n" + host + b"X-A: b\n\r\nGET /robots.txt HTTP/1.1\r\n" + host + b"\r\n",
        "a space before the colon": b"POST /sql HTTP/1.1\r\n" + host + b"Content-Length : 5\r\n\r\nhello",
        "two lengths": b"POST /sql HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "a negative length": b"POST /sql HTTP/1.1\r\n" + host + b"Content-Length: -1\r\n\r\n",
        "a signed length": b"POST /sql HTTP/1.1\r\n" + host + b"Content-Length: +5\r\n\r\nhello",
        "a huge length": b"POST /sql HTTP/1.1\r\n" + host + b"Content-Length: 99999999999999999999\r\n\r\n",
        "a folded header": b"GET / HTTP/1.1\r\n" + host + b"X-A: b\r\n c\r\n\r\n",
        "a NUL in a header": b"GET / HTTP/1.1\r\n" + host + b"X-A: b\0c\r\n\r\n",
        "no such version": b"GET / HTTP/9.9\r\n" + host + b"\r\n",
        "binary": bytes(range(256)) * 4 + b"\r\n\r\n",
        "a bad chunk size": b"POST /sql HTTP/1.1\r\n" + host + b"Content-Type: application/sql\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "a chunk size of 17 digits": b"POST /sql HTTP/1.1\r\n" + host + b"Content-Type: application/sql\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "a chunk extension of 1 MB": b"POST /sql HTTP/1.1\r\n" + host + b"Content-Type: application/sql\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"a" * 1_000_000 + b"\r\nhello\r\n0\r\n\r\n",
    }.items():
        answer, closed = raw(portal, content, timeout=12)
        second = answer.count(b"HTTP/1.1 ")
        right = closed and second <= 1 and (status_of(answer) in {0, 400, 413, 415, 422, 431, 501, 505})
        yield what, right, f"{status_of(answer)}, {'closed' if closed else 'left open'}, {second} answers"


@row("H09")
def a_content_type_of_calls(portal):
    """What is no call of Flight is answered as ever, with the headers that caches and browsers go by."""
    names = ["cache-control", "vary", "content-type", "x-content-type-options", "content-security-policy"]
    for path in ["/", "/datasets/parks.csv", "/staff", "/robots.txt", "/datasets/nowhere.csv"]:
        plain, claimed = get(portal, path), get(portal, path, {"Content-Type": "application/grpc"})
        same = all(plain.headers.get(name) == claimed.headers.get(name) for name in names)
        yield path, same and (plain.status, plain.body == claimed.body or plain.status >= 400) == (claimed.status, True), \
            f"{claimed.status} {claimed.headers.get('cache-control')}"
    condition = urllib.parse.quote("name = '" + "[" * 6_000 + "'", safe="[")
    long = get(portal, "/datasets/parks.csv?where=" + condition)
    size = sum(len(name) + len(value) for name, value in long.headers.items())
    yield "a condition of 6,000 brackets", long.status in {200, 400, 414, 431} and size < 8_192, f"{long.status}, {size} bytes of headers"


@row("H10")
def long_targets_and_many_headers(portal):
    for what, content in {
        "a target of 64 KiB": b"GET /" + b"a" * 65_536 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "a query of 64 KiB": b"GET /sql?q=" + b"a" * 65_536 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "a header of 64 KiB": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 65_536 + b"\r\nConnection: close\r\n\r\n",
        "1,000 headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: a\r\n" % i for i in range(1000)) + b"Connection: close\r\n\r\n",
        "headers without end": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: aaaaaaaaaaaaaaaa\r\n" * 100_000,
    }.items():
        answer, closed = raw(portal, content, timeout=12)
        yield what, closed and status_of(answer) in {0, 400, 413, 414, 431}, f"{status_of(answer)}, closed {closed}"


@row("H14")
def range_bombs(portal):
    path = "/datasets/parks.csv"
    whole = get(portal, path, {"Accept-Encoding": "identity"})
    size = len(whole.body)
    for value, statuses in {
        "bytes=" + ",".join(f"{i}-{i}" for i in range(2_000)): {200, 206, 400, 416, 431},
        "bytes=0-,0-,0-,0-,0-,0-": {200, 206, 416}, "bytes=-999999999999": {200, 206}, "bytes=5-1": {200, 400, 416},
        f"bytes={size}-": {416}, "bytes=-0": {200, 416}, "bytes=99999999999999999999-": {200, 400, 416},
        "bytes=0-99999999999999999999": {200, 206, 400, 416}, "lines=0-5": {200, 400, 416}, "bytes=a-b": {200, 400, 416},
        "bytes=": {200, 400, 416},
    }.items():
        answer = get(portal, path, {"Range": value, "Accept-Encoding": "identity"})
        parts = answer.headers.get("content-type", "").startswith("multipart")
        right = answer.status in statuses and len(answer.body) <= max(size, 2_000) and not parts
        yield value[:40], right, f"{answer.status}, {len(answer.body)} bytes"
    stale = get(portal, path, {"Range": "bytes=0-9", "If-Range": '"stale"', "Accept-Encoding": "identity"})
    yield "If-Range of another file", stale.status == 200 and stale.body == whole.body, f"{stale.status}"


@row("H17")
def packed_bodies(portal):
    before = portal.process.memory_info().rss
    bomb = gzip.compress(b"select 1 -- " + b" " * (64 << 20))
    twice = gzip.compress(gzip.compress(b" " * (16 << 20)))
    for coding, body in [("gzip", bomb), ("gzip, gzip", twice), ("br", b"\x0b\x02\x80x\x03"), ("zstd", b"\x28\xb5\x2f\xfd\x04\x88"),
                         ("deflate", b"x"), ("identity, gzip", bomb), ("x-unknown", b"select 1")]:
        answer = portal.request("POST", "/sql", body, {"Content-Type": "application/sql", "Content-Encoding": coding})
        yield refused(coding, answer, {400, 413, 415})
    large = portal.request("POST", "/sql", b" " * (3 << 20), {"Content-Type": "application/sql"})
    yield "a body of 3 MiB", large.status == 413 or large.code == "closed", f"{large.status} {large.code}"
    grown = portal.process.memory_info().rss - before
    yield "the server's memory", grown < 64 << 20, f"+{grown >> 20} MiB"


@row("H19")
def forms_of_answers(portal):
    ask = "/sql?q=select%201"
    for accept, statuses in {"*/*;q=": {200, 400, 406}, "application/pdf": {406}, ",,,;": {200, 400, 406},
                             "text/csv;q=0": {200, 406}, "a" * 8_000: {200, 400, 406}}.items():
        answer = get(portal, ask, {"Accept": accept})
        yield accept[:30], answer.status in statuses and answer.code in {"ok", *PROBLEMS}, f"{answer.status}"
    for query in ["format=../../x", "format=csv%00", "callback=alert(1)", "format=json&callback=x", "format=html",
                  "jsonp=alert", "format=json&format=csv"]:
        yield refused(query, get(portal, f"{ask}&{query}"), {400, 406}, query)
    for path in ["/datasets/parks.exe", "/datasets/parks.html.csv", "/datasets/parks.csv.csv", "/datasets/parks."]:
        yield refused(path, get(portal, path), {400, 404, 406}, path)
    answer = get(portal, ask)
    yield "no guessing of types", answer.headers.get("x-content-type-options") == "nosniff", str(answer.headers)[:80]


@row("H20")
def names_of_files(portal):
    for query in ["filename=a%0d%0aX-Evil:1", "download=%0d%0aX-Evil:1", "download=\"x", "null=%0d%0aX-Evil:1",
                  "select=name%0d%0aX-Evil:1", "where=name%3D'%0d%0aX-Evil:1'"]:
        answer = get(portal, "/datasets/parks.csv?" + query)
        yield query, "x-evil" not in answer.headers and answer.status < 500, f"{answer.status} {answer.code}"


@row("H22")
def markup_is_text(portal):
    mark = "<img src=x onerror=alert(1)>"
    for path in ["/?q=", "/api/datasets?q=", "/datasets/", "/sql?q=select '", "/docs/problems?x="]:
        for accept in ["text/html", "application/json"]:
            answer = get(portal, urllib.parse.quote(path, safe="/?=") + urllib.parse.quote(mark), {"Accept": accept})
            html = answer.headers.get("content-type", "").startswith("text/html")
            right = answer.status < 500 and not (html and mark.encode() in answer.body)
            policy = answer.headers.get("content-security-policy", "")
            yield f"{path} {accept}", right and (not html or ("unsafe-inline" not in policy and "default-src" in policy)), \
                f"{answer.status} {policy[:60]}"


@row("H23")
def formulas_in_csv(portal):
    sql = "select '=cmd|x' as a, '@SUM' as b, '+1' as c, -5 as d, '-5' as e, '=HYPERLINK' as f, chr(9) || 'x' as g"
    path = "/sql?format=csv&q=" + urllib.parse.quote(sql)
    plain, safe = get(portal, path).text, get(portal, path + "&excel=safe").text
    yield "as they are", "=cmd|x,@SUM,+1,-5" in plain, plain[-60:]
    cells = safe.strip().splitlines()[-1].split(",") if safe.strip() else []
    yield "excel=safe", bool(cells) and all(not cell.strip('"').startswith(("=", "@", "+", "\t")) for cell in cells) \
        and cells[3] == "-5", safe[-80:]


@row("H25")
def headers_without_a_key(portal):
    paths = ["/", "/api/datasets", "/api/datasets/parks", "/datasets/parks.csv", "/datasets/parks", "/openapi.json", "/api/limits"]
    names = ["X-Forwarded-Host", "X-Forwarded-Scheme", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix",
             "X-Original-URL", "X-Rewrite-URL", "X-Host", "X-Forwarded-Server", "Forwarded", "Via", "Referer", "Cookie",
             "User-Agent", "X-Real-IP", "True-Client-IP", "X-Wap-Profile", "Origin", "Authorization-Info", "Accept-Language",
             "X-Requested-With", "DNT", "X-Frame", "Max-Forwards", "TE", "X-ATT-DeviceId", "X-Cache-Key", "Pragma", "X-Amz-Website",
             "X-Middleware"]
    for path in paths:
        plain = get(portal, path)
        for name in names:
            answer = get(portal, path, {name: "evil.example"})
            yield f"{path} {name}", (answer.status, answer.body) == (plain.status, plain.body), f"{answer.status}"
        extra = get(portal, path + "?utm_source=x")
        yield f"{path}?utm", extra.status == 400 or extra.body == plain.body, f"{extra.status}"
        fat = portal.request("GET", path, b"q=select 1", {"Content-Type": "application/sql"})
        yield f"{path} with a body", fat.status == plain.status and fat.body == plain.body, f"{fat.status}"


@row("H26")
def deceiving_caches(portal):
    for path in ["/staff/me/x.css", "/staff%2Fme.png", "/staff/x.js", "/api/staff/revisions.css", "/api/staff/"]:
        answer = get(portal, path)
        cached = "public" in answer.headers.get("cache-control", "") or "max-age" in answer.headers.get("cache-control", "")
        yield path, answer.status in {401, 403, 404} and not cached, f"{answer.status} {answer.headers.get('cache-control')}"


@row("H28")
def conditions_on_what_is_hidden(portal):
    for path in ["/datasets/draft.csv", "/datasets/parks/versions/99.csv", "/datasets/draft/versions/1.parquet"]:
        for headers in [{"If-None-Match": "*"}, {"If-None-Match": '"a"'}, {"If-Modified-Since": "Thu, 01 Jan 2099 00:00:00 GMT"},
                        {"If-Match": "*"}, {"Range": "bytes=0-0"}]:
            answer = get(portal, path, headers)
            right = answer.status == 404 and "etag" not in answer.headers and "last-modified" not in answer.headers
            yield f"{path} {headers}", right, f"{answer.status}"


@row("H29")
def counting_through_identifiers(portal):
    first, second = portal.ask("select 1"), portal.ask("select 1")
    ids = [answer.headers.get("x-portico-query-id", "") for answer in (first, second)]
    yield "identifiers are long and differ", ids[0] != ids[1] and all(len(one) >= 22 for one in ids), str(ids)
    for path in ["/sql/1", "/sql/" + ids[0][:-1] + "0", "/sql/" + "0" * 26, "/jobs/1", "/exports/1", "/queries/1"]:
        for method in ["DELETE", "GET"]:
            answer = portal.request(method, path)
            yield f"{method} {path}", answer.status in {400, 404, 405}, f"{answer.status} {answer.code}"


@row("H31")
def methods(portal):
    for method, statuses in {"HEAD": {200}, "OPTIONS": {200, 204, 405}, "TRACE": {405, 501, 400}, "PROPFIND": {405, 501, 400},
                             "get": {405, 501, 400}, "PUT": {405}, "DELETE": {405}, "PATCH": {405}, "CONNECT": {400, 404, 405, 501}}.items():
        answer = portal.request(method, "/datasets/parks.csv" if method != "CONNECT" else "example.com:443", timeout=15)
        right = answer.status in statuses or (answer.code == "closed" and method == "CONNECT")
        right &= answer.status != 405 or "allow" in answer.headers
        yield method, right, f"{answer.status} {answer.headers.get('allow')}"
    answer, closed = raw(portal, b"A" * 10_000 + b" / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", timeout=12)
    yield "a method of 10 KB", closed and status_of(answer) in {0, 400, 405, 414, 431, 501}, f"{status_of(answer)}"


@row("H32")
def kinds_of_bodies(portal):
    sql = b"select 1"
    for kind, body, statuses in [
        ("text/plain", sql, {200}), ("application/sql", sql, {200}), ("application/sql; charset=utf-8", sql, {200}),
        ("application/x-www-form-urlencoded", b"sql=select+1", {415}), ("multipart/form-data; boundary=x", b"--x--", {415}),
        ("", sql, {415, 200, 400}), ("application/sql; charset=utf-16", "select 1".encode("utf-16"), {415, 400}),
        ("application/sql; charset=x", sql, {415, 400}), ("text/html", sql, {415}), ("application/xml", b"<a/>", {415}),
        ("application/json", b"{", {400}), ("application/json", b"[" * 100_000, {400, 413}),
        ("application/json", b'{"sql": 1}', {400}), ("application/json", b'{"sql":"select 1","x":1}', {400}),
        ("application/json", b'{"sql":"select 1","sql":"select 2"}', {400}),
        ("application/json", b'{"sql":"select $1","params":[1e400]}', {400}),
        ("application/json", b'{"sql":"select $1","params":' + b"[" * 5_000 + b"]" * 5_000 + b"}", {400}),
        ("application/json", b'{"sql":"select 1","limits":{"timeout_ms":-1}}', {400}),
        ("application/json", b'{"sql":"\\ud800"}', {400}), ("application/sql", "select 1".encode("utf-16"), {400}),
    ]:
        answer = portal.request("POST", "/sql", body, {"Content-Type": kind} if kind else {})
        right = answer.status in statuses and not (answer.status >= 400 and leaks(answer.detail()))
        yield f"{kind} {body[:40]!r}", right, f"{answer.status} {answer.code} {answer.detail()[:80]}"


@row("H33")
def parameters_that_do_not_fit(portal):
    for params in [[], [1, 2], ["x"], [None], [[1, 2]], [{"a": 1}], {"1": 1, "2": 2}, {"a b": 1}, {"": 1}, [True],
                   list(range(300)), ["x" * 900_000], {"x" * 100: 1}]:
        answer = portal.ask("select count(*) from parks where opened = $1", params=params)
        right = answer.status in {200, 400, 413, 422} and answer.code in {"ok", *PROBLEMS} and not leaks(answer.detail())
        right &= answer.status != 200 or params in ([None], ["x"], [True], {"1": 1, "2": 2})
        yield f"{str(params)[:40]}", right or answer.code == "ok" and params in ([[1, 2]],), f"{answer.status} {answer.code} {answer.detail()[:100]}"


@row("H34")
def search(portal):
    for term in ["a" * 10_000, ".*", "(", "[", "%", "_", "'", "''; drop table x", '"', '"a', "NEAR(a b)", "a*", "*", "a AND",
                 "a OR", "NOT", "^a", "col:a", "-a", "a NEAR/2 b", "\u0000", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
                 "{a}", "\\"]:
        for path in ["/api/datasets?q=", "/?q="]:
            answer = get(portal, path + urllib.parse.quote(term))
            right = answer.status in {200, 400, 413, 414} and not (answer.status >= 400 and leaks(answer.detail(), term)) \
                and b"fts5" not in answer.body and b"syntax error" not in answer.body.lower()
            yield f"{path}{term[:20]!r}", right, f"{answer.status} {answer.code}"


@row("H35")
def pages_of_listings(portal):
    for query in ["page=1e9", "page=-1", "page=0", "page=99999999999999999999", "page=a", "limit=1e9", "offset=-1",
                  "page=4294967296", "cursor=AAAA", "page=1&page=2"]:
        answer = get(portal, "/api/datasets?" + query)
        right = answer.status in {200, 400, 404} and (answer.status == 200 or not leaks(answer.detail(), query))
        yield query, right, f"{answer.status} {answer.code}"
    for query in ["limit=1e9", "limit=-1", "offset=-1", "limit=99999999999999999999", "offset=18446744073709551615", "limit=",
                  "order=name;drop", "order=1 desc,,", "select=,", "select=*", "where=", "where=1;select 2", "where=(((",
                  "where=true) or (true", "where=name in (select name from parks)", "where=version()='x'"]:
        answer = get(portal, "/datasets/parks.csv?" + urllib.parse.quote(query, safe="=&"))
        right = answer.status in {200, 400, 422} and (answer.status == 200 or not leaks(answer.detail(), query))
        yield f"export {query}", right, f"{answer.status} {answer.code} {answer.detail()[:60] if answer.status >= 400 else ''}"


@row("H36")
def unknown_and_hidden_are_one_answer(portal):
    """Two names that nobody has: the same bytes apart from the name and the request's number."""
    def plain(name):
        answer = get(portal, f"/api/datasets/{name}")
        text = re.sub(r'"instance":\s*"[^"]*"', "", answer.text).replace(name, "NAME")
        return answer.status, text, sorted(set(answer.headers) - {"date"})

    first, second = plain("draft-dataset"), plain("qxzv-nothing")
    yield "the same bytes", first == second and first[0] == 404, f"{first[0]} {second[0]}"


@row("H37")
def random_bytes(portal):
    """Requests cut, repeated and mixed at random: none may end the server or get a fault."""
    chance = random.Random(11)
    seeds = [b"GET /datasets/parks.csv HTTP/1.1\r\nHost: x\r\nRange: bytes=0-5\r\nConnection: close\r\n\r\n",
             b"POST /sql HTTP/1.1\r\nHost: x\r\nContent-Type: application/sql\r\nContent-Length: 8\r\nConnection: close\r\n\r\nselect 1",
             b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"]
    faults = 0
    for _ in range(60):
        content = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 6)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        answer, _ = raw(portal, bytes(content), timeout=0.5)
        faults += status_of(answer) in {500, 502}
    yield "60 damaged requests", faults == 0, f"{faults} faults"


def figures(portal, short, say=print):
    """F1 over requests."""
    began = time.monotonic()
    sent, failures = 0, []
    with Probe(portal, "select count(*) from parks") as probe:
        for name, function in ROWS:
            if short and name in {"H08", "H10", "H37", "H07"}:
                continue
            try:
                for what, right, seen in function(portal):
                    sent += 1
                    if not right:
                        failures.append((name, what, seen))
                        say(f"  {name} {what}: {seen}")
            except Exception as error:  # noqa: BLE001 - one row must not hide the others
                failures.append((name, function.__name__, repr(error)))
                say(f"  {name} {function.__name__}: {error!r}")
            if not portal.alive():
                failures.append((name, function.__name__, "THE SERVER DIED"))
                break
    failures += [("probe", "the neighbour's question", text) for text in probe.failures]
    for text in probe.failures:
        say(f"  the neighbour's question failed: {text}")
    return [Figure("F1/H", "attack requests answered as they must be", "100 %",
                   f"{sent - len(failures)} of {sent} ({time.monotonic() - began:.0f} s)", not failures,
                   "tests/attack http_requests")], failures


if __name__ == "__main__":
    print(json.dumps([name for name, _ in ROWS]))
