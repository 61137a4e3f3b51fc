"""A portal under attack: how it is asked, and what is watched while it is."""

import contextlib
import dataclasses
import http.client
import json
import pathlib
import re
import shutil
import socket
import threading
import time
import urllib.parse

import psutil
import pyarrow.flight as flight
from conftest import ROOT, Server

# Every attacker has an address of its own, as the limit of questions under way goes by address.
PROBE_ADDRESS = "127.0.0.9"

# Where a statement of the attacks may stay before it is ended, in milliseconds. The default is 30 s; with it the list
# takes hours and shows the same.
LIMIT_MS = 4000

# What no text for strangers may hold: paths, hosts, names of our parts, traces of a fault.
FORBIDDEN_TEXT = re.compile(
    r"panick|stack backtrace|RUST_BACKTRACE|thread '|\bat src/|\.rs:\d|"
    r"s3://|gs://|az://|file://|/(?:root|tmp|var|home|usr|proc|etc|dev|opt|mnt|work)/|\.parquet\b|_delta_log|"
    r"(?i:datafusion|arrow[ _-]?error|arrow::|parquet::|object[_ ]?store|sqlx|sqlite|postgres|tokio|hyper|tonic|"
    r"sqlparser|mimalloc|deltalake|schema error:|internal error:|this was likely caused by a bug|"
    r"physical plan|logical expression|\bsome\(|\bbare \{|"
    r"os error \d|portico_[a-z]+::)|localhost|169\.254\.\d|\b10\.\d+\.\d+\.\d+\b"
)


@dataclasses.dataclass
class Figure:
    """One line of the report."""

    name: str
    what: str
    target: str
    measured: str
    passed: bool
    command: str


@dataclasses.dataclass
class Outcome:
    """What a client got: `ok`, the code of a problem, `broken` (cut after the first byte) or `closed`."""

    code: str
    status: int = 0
    body: bytes = b""
    headers: dict = dataclasses.field(default_factory=dict)
    seconds: float = 0.0

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def rows(self):
        return json.loads(self.body)["rows"]

    def detail(self):
        """What a person would read of a problem."""
        try:
            problem = json.loads(self.body)
            return f"{problem.get('title')} {problem.get('detail')}"
        except (ValueError, AttributeError):
            return self.text


def documented_problems():
    """Codes and statuses as docs/problems.md says them."""
    text = (ROOT / "docs/problems.md").read_text()
    return {code: int(status) for code, status in re.findall(r"^## (\w+)\n\nHTTP (\d+)", text, re.MULTILINE)}


PROBLEMS = documented_problems()


def leaks(text, said=""):
    """What a text holds that it must not, apart from what the client itself said."""
    for found in FORBIDDEN_TEXT.finditer(text):
        if found.group(0).lower() not in said.lower():
            return found.group(0)
    return None


class Portal:
    """A running server: by its address and its process."""

    def __init__(self, url, pid):
        self.url, self.pid = url, pid
        self.address = (urllib.parse.urlsplit(url).hostname, urllib.parse.urlsplit(url).port)
        self.process = psutil.Process(pid)
        self.started = self.process.create_time()
        self._flight = threading.local()

    def alive(self):
        """Whether it is the same process as at the beginning."""
        return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE

    # Asking.

    def request(self, method, path, body=None, headers=(), source="127.0.0.1", timeout=90, most=64 << 20):
        """One HTTP/1.1 request; the path is sent as it is. Reads at most `most` bytes of the body."""
        began = time.monotonic()
        connection = http.client.HTTPConnection(*self.address, timeout=timeout, source_address=(source, 0))
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in dict(headers).items():
                connection.putheader(name, value)
            if body is not None and "Content-Length" not in dict(headers):
                connection.putheader("Content-Length", str(len(body)))
            # A server that refuses a body has no need of its end: the answer may be there when the sending fails.
            with contextlib.suppress(BrokenPipeError):
                connection.endheaders(body)
            answer = connection.getresponse()
            status, fields = answer.status, {name.lower(): value for name, value in answer.getheaders()}
            received = []
            try:
                while most > 0 and (part := answer.read(min(most, 1 << 16))):
                    received.append(part)
                    most -= len(part)
            except (http.client.IncompleteRead, ConnectionError, ValueError):
                return Outcome("broken", status, b"".join(received), fields, time.monotonic() - began)
            content = b"".join(received)
            if method != "HEAD" and "content-length" in fields and most > 0 and len(content) < int(fields["content-length"]):
                return Outcome("broken", status, content, fields, time.monotonic() - began)
            return Outcome(self.code_of(status, fields, content), status, content, fields, time.monotonic() - began)
        except (http.client.RemoteDisconnected, ConnectionError, http.client.BadStatusLine) as error:
            return Outcome("closed", 0, repr(error).encode(), {}, time.monotonic() - began)
        except TimeoutError:
            return Outcome("hang", 0, b"", {}, time.monotonic() - began)
        finally:
            connection.close()

    @staticmethod
    def code_of(status, fields, content):
        if status < 400:
            return "ok"
        if fields.get("content-type", "").startswith("application/problem+json"):
            with contextlib.suppress(ValueError, KeyError):
                return re.split(r"[#/]", json.loads(content)["type"])[-1]
        return f"status_{status}"

    def ask(self, sql, source="127.0.0.1", params=None, timeout=90, timeout_ms=None, most=64 << 20):
        """`POST /sql`."""
        if isinstance(sql, str) and params is None and timeout_ms is None:
            sql = sql.encode()
        if isinstance(sql, bytes):
            return self.request("POST", "/sql", sql, {"Content-Type": "application/sql"}, source, timeout, most)
        document = {"sql": sql} | ({"params": params} if params is not None else {})
        document |= {"limits": {"timeout_ms": timeout_ms}} if timeout_ms else {}
        return self.request("POST", "/sql", json.dumps(document).encode(), {"Content-Type": "application/json"}, source,
                            timeout, most)

    def ask_get(self, sql, source="127.0.0.1"):
        """`GET /sql?q=`."""
        return self.request("GET", "/sql?q=" + urllib.parse.quote(sql), source=source)

    def client(self):
        """A Flight client for this thread."""
        if not hasattr(self._flight, "client"):
            self._flight.client = flight.connect(f"grpc://{self.address[0]}:{self.address[1]}")
        return self._flight.client

    def ask_flight(self, sql, timeout=90):
        """A ticket of plain SQL."""
        ticket = flight.Ticket(sql if isinstance(sql, bytes) else sql.encode())
        return self._stream(lambda options: self.client().do_get(ticket, options), timeout)

    def ask_flight_sql(self, sql, timeout=90):
        """Flight SQL: `CommandStatementQuery`, then the ticket that it gave."""
        def get(options):
            descriptor = flight.FlightDescriptor.for_command(statement_query(sql))
            info = self.client().get_flight_info(descriptor, options)
            return self.client().do_get(info.endpoints[0].ticket, options)

        return self._stream(get, timeout)

    def _stream(self, open_stream, timeout):
        began = time.monotonic()
        size = 0
        try:
            for chunk in open_stream(flight.FlightCallOptions(timeout=timeout)):
                size += chunk.data.nbytes if chunk.data is not None else 0
                if size > 64 << 20:
                    break
            return Outcome("ok", 200, seconds=time.monotonic() - began)
        except Exception as error:  # noqa: BLE001 - each kind of status is another class
            return Outcome(flight_code(error), 0, flight_text(error).encode(), {}, time.monotonic() - began)

    # Watching.

    def workers(self):
        """The worker processes."""
        with contextlib.suppress(psutil.Error):
            return [child for child in self.process.children(recursive=True) if "worker" in command_line(child)]
        return []

    def scratch(self):
        """The directories in which workers may write."""
        found = set()
        for worker in self.workers():
            words = command_line(worker)
            if "--scratch" in words:
                found.add(pathlib.Path(words[words.index("--scratch") + 1]))
        return found

    def spilled(self):
        """Bytes of files in the workers' directories."""
        total = 0
        for directory in self.scratch():
            for path in directory.rglob("*"):
                with contextlib.suppress(OSError):
                    total += path.stat().st_size if path.is_file() else 0
        return total

    def worker_seconds(self):
        """CPU seconds of each worker so far."""
        seconds = {}
        for worker in self.workers():
            with contextlib.suppress(psutil.Error):
                times = worker.cpu_times()
                seconds[worker.pid] = times.user + times.system
        return seconds

    def quiet_within(self, seconds):
        """How long until no worker computes and nothing is spilled; `None` when that takes longer."""
        began = time.monotonic()
        step = 0.2
        while True:
            before, at = self.worker_seconds(), time.monotonic()
            time.sleep(step)
            after, now = self.worker_seconds(), time.monotonic()
            # A worker that has just started reads its program; one that answered before computes no more.
            used = [after[pid] - before[pid] for pid in after if pid in before]
            if all(one < 0.25 * (now - at) for one in used) and self.spilled() == 0:
                return max(0.0, at - began)
            if at - began > seconds:
                return None


def command_line(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def flight_code(error):
    """The problem's code: it stands first in the status message."""
    text = flight_text(error)
    found = [code for code in re.findall(r"\b[a-z]+(?:_[a-z]+)*\b", text) if code in PROBLEMS]
    if found:
        return found[0]
    if "deadline" in text.lower():
        return "hang"
    return f"grpc_{type(error).__name__}"


def flight_text(error):
    """The status message without what the client library adds."""
    text = str(error)
    text = re.sub(r"\. (?:gRPC client debug context|Client context|Detail).*", "", text, flags=re.DOTALL)
    return re.sub(r"^Flight returned [^:]*?error, with message: ", "", text)


def statement_query(sql):
    """`CommandStatementQuery` in its `google.protobuf.Any`, written by hand: two fields of bytes."""
    raw = sql if isinstance(sql, bytes) else sql.encode()
    return field(1, b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery") + field(2, field(1, raw))


def field(number, content):
    """A length-delimited field of a protobuf message."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


class Probe:
    """Asks a small question five times a second from another address, and keeps how long each answer took."""

    SQL = "select count(*) from service_requests"

    def __init__(self, portal, sql=SQL):
        self.portal, self.sql = portal, sql
        self.seconds, self.failures = [], []
        self._stop, self._run = threading.Event(), threading.Event()
        self._run.set()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        while not self._stop.is_set():
            self._run.wait()
            answer = self.portal.ask(self.sql, source=PROBE_ADDRESS, timeout=60)
            self.seconds.append(answer.seconds)
            if answer.code != "ok":
                self.failures.append(f"{answer.code}: {answer.text[:200]}")
            self._stop.wait(max(0.0, 0.2 - answer.seconds))

    @contextlib.contextmanager
    def paused(self):
        """No questions meanwhile, so that only the attack's own work is seen."""
        self._run.clear()
        try:
            yield
        finally:
            self._run.set()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._run.set()
        self._thread.join()


def percentile(values, part):
    """The value below which `part` (0 to 1) of the values lie; the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")


def raw(portal, content, timeout=15, source="127.0.0.1", most=1 << 20):
    """Sends bytes as they are and reads until the server closes or falls silent; `(bytes, closed)`."""
    with socket.create_connection(portal.address, timeout=timeout, source_address=(source, 0)) as connection:
        received = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(content)
        try:
            while len(received) < most and (part := connection.recv(1 << 16)):
                received += part
        except TimeoutError:
            return received, False
        except ConnectionError:
            pass
        return received, True


def status_of(answer):
    """The status of the first response in some bytes; 0 where there is none."""
    found = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    return int(found.group(1)) if found else 0


@contextlib.contextmanager
def limited_server(city, scratch, **limits):
    """Serves a copy of a city's data with limits of its own for questions."""
    data = pathlib.Path(scratch) / "attacked"
    if not data.exists():
        shutil.copytree(city, data)
    config = pathlib.Path(scratch) / "attacked.toml"
    keys = {"first_byte_ms": LIMIT_MS, "cpu_ms": LIMIT_MS} | limits
    config.write_text(
        f'[storage]\nurl = "file://{data}/storage"\n[catalog]\nurl = "sqlite://{data}/catalog.sqlite"\n'
        + "[limits.query]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()))
    server = Server(["serve", "--config", str(config), "--listen", "127.0.0.1:0"])
    try:
        yield server
    finally:
        if server.alive():
            server.stop()
