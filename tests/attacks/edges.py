"""Slow clients (F22), floods of HTTP/2 frames (F23) and a stop with exports under way (F45), on the real binary.

    PYTHONPATH=tests:tests/clients python -m attacks.edges [--short] [F22 F23 F45]

Each line is a figure: `F22 | what | target | measured | pass | command`. Attackers have addresses of their own
(127.0.1.x), and so has the probe, a small query asked five times a second all the while. ATTACK_CITY may name the data
of a demo, which is copied for the first two; without one it is made, as it is for the stop, where the time of grace has to do
for every file.
"""

import argparse
import asyncio
import http.client
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import psutil
from conftest import Server

PROBE = ("127.0.0.9", "/sql?q=SELECT+count(*)+FROM+parks")
EXPORT = "/datasets/service-requests.csv?where=request_id+%3C%3E+'{}'"
BUFFER = 4096
failed = []


def say(figure, what, target, measured, good):
    print(f"{figure} | {what} | {target} | {measured} | {'pass' if good else 'FAIL'} | tests/attack edges", flush=True)
    if not good:
        failed.append(what)


class Watch:
    """The probe's times and the server's memory and processor while something goes on."""

    def __init__(self, server):
        self.server, self.process = server, psutil.Process(server.pid)
        self.times, self.failures, self.rss = [], [], []
        self.stop = threading.Event()

    def ask(self):
        host, port = self.server.host.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60, source_address=(PROBE[0], 0))
        connection.request("GET", PROBE[1])
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def run(self):
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                status = self.ask()
                if status != 200:
                    self.failures.append(status)
            except OSError as error:
                self.failures.append(error)
            self.times.append(time.monotonic() - began)
            self.rss.append(self.process.memory_info().rss)
            self.stop.wait(0.2)

    def cpu(self):
        times = self.process.cpu_times()
        return times.user + times.system

    def __enter__(self):
        self.fds, self.rss_before = self.process.num_fds(), self.process.memory_info().rss
        self.cpu_before, self.began = self.cpu(), time.monotonic()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.began
        self.cpu_used = self.cpu() - self.cpu_before
        self.stop.set()
        self.thread.join()

    def p99_ms(self):
        return 1000 * sorted(self.times)[int(0.99 * (len(self.times) - 1))]

    def grown_mib(self):
        return (max(self.rss, default=0) - self.rss_before) / 2**20

    def fds_back_s(self, within):
        began = time.monotonic()
        while time.monotonic() - began < within:
            if self.process.num_fds() <= self.fds + 4:
                return time.monotonic() - began
            time.sleep(0.1)
        return float("inf")


def attacker(number):
    return f"127.0.1.{1 + number % 8}"


async def connect(server, source, small=False):
    """A socket, with a small receive buffer where its owner will not read."""
    host, port = server.host.split(":")
    sock = socket.socket()
    sock.setblocking(False)
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    sock.bind((source, 0))
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    return sock


DOWNLOAD = b"GET /datasets/service-requests.csv HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"GET /robots.txt HTTP/1.1\r\nHost: x\r\n"
# What a client says at first, and what it adds each second; how many bytes it takes in a second.
SLOW = {
    "silence": (b"", b"", 65536),
    "headers": (HEAD, b"X: a\r\n", 65536),
    "body": (b"POST /sql HTTP/1.1\r\nHost: x\r\nContent-Type: application/sql\r\nContent-Length: 60000\r\n\r\n",
             b"x", 65536),
    "read": (DOWNLOAD, b"", 1),
    "no reading": (DOWNLOAD, b"", 0),
    # Gone without a word: what the server sees of a machine that lost its line.
    "half-open": (HEAD, b"", 0),
}
# RFC 793 has no name for it: the socket is taken apart without a last packet.
TCP_REPAIR = 19


async def slow(server, source, kind, limit):
    """One slow client; the seconds until the server closed on it, or the limit. `None` when it was turned away."""
    loop, began = asyncio.get_running_loop(), time.monotonic()
    first, drip, takes = SLOW[kind]
    try:
        sock = await connect(server, source, takes < 65536)
    except OSError:
        return None
    try:
        await loop.sock_sendall(sock, first)
        if kind == "half-open":
            sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
            return 0.0
        # What is turned away is closed at once.
        await asyncio.sleep(0)
        while time.monotonic() - began < limit:
            if drip:
                await loop.sock_sendall(sock, drip)
            if not takes:
                await asyncio.sleep(0.5)
                if ended(sock):
                    break
                continue
            try:
                got = await asyncio.wait_for(loop.sock_recv(sock, takes), 1)
                if not got:
                    break
                if takes == 1:
                    await asyncio.sleep(1)
                    if ended(sock):
                        break
            except TimeoutError:
                pass
    except OSError:
        pass
    finally:
        sock.close()
    return min(time.monotonic() - began, limit)


def ended(sock):
    """Whether the other side has ended the connection, seen without reading what it sent."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return info[0] != 1


async def all_slow(server, sources, kind, limit):
    return await asyncio.gather(*(slow(server, source, kind, limit) for source in sources))


def slow_clients(server, short):
    clients = 200 if short else 1000
    for kind in SLOW:
        measure_slow(server, f"slow: {kind}, {clients} clients", [attacker(number) for number in range(clients)], kind, clients)
    # From one address: the places that one may have, and no more.
    clients = 300 if short else 1000
    ends = measure_slow(server, f"slow: headers, {clients} clients of one address", ["127.0.3.1"] * clients, "headers", 256)
    turned_away = sum(1 for end in ends if end is None or end < 5)
    say("F22", f"{clients} clients of one address, turned away at once", f">= {clients - 256}", f"{turned_away}",
        turned_away >= clients - 256)
    slowhttptest(server, short)


def measure_slow(server, what, sources, kind, at_once):
    """Clients of one kind, all at once; returns when each was closed."""
    # Few that read slowly are waited for longer: no more than half of all places are taken.
    limit = 30 if at_once > 512 or kind not in {"read", "no reading"} else 20
    with Watch(server) as watch:
        ends = asyncio.run(all_slow(server, sources, kind, limit))
        if kind == "half-open":
            time.sleep(15)
    back = watch.fds_back_s(30)
    p99, last = watch.p99_ms(), max(end or 0.0 for end in ends)
    say("F22", f"{what}, probe p99", "<= 300 ms", f"{p99:.0f} ms, {len(watch.failures)} failures",
        p99 <= 300 and not watch.failures)
    if limit == 30 and kind != "half-open":
        say("F22", f"{what}, closed", "<= 15 s", f"{last:.1f} s", last <= 15)
    say("F22", f"{what}, descriptors back", "<= 30 s", f"{back:.1f} s", back <= 30)
    # A reader holds two blocks of its file, what its connection needs, and what the allocator keeps of both.
    most = 64 if kind not in {"read", "no reading"} else 64 + at_once / 4
    say("F22", f"{what}, memory", f"<= +{most:.0f} MiB", f"+{watch.grown_mib():.0f} MiB", watch.grown_mib() <= most)
    return ends


def slowhttptest(server, short):
    if not shutil.which("slowhttptest"):
        print("skipped: slowhttptest is not installed", flush=True)
        return
    seconds = 15 if short else 30
    for mode in ["-H", "-B", "-X", "-R"]:
        with Watch(server) as watch:
            subprocess.run(["slowhttptest", mode, "-c", "1000", "-r", "200", "-i", "5", "-l", str(seconds), "-p", "3",
                            "-u", f"{server.url}/datasets/parks.csv"], stdout=subprocess.DEVNULL, timeout=180)
        say("F22", f"slowhttptest {mode} -c 1000, probe p99", "<= 300 ms",
            f"{watch.p99_ms():.0f} ms, {len(watch.failures)} failures", watch.p99_ms() <= 300 and not watch.failures)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


# GET http://x/robots.txt, without a dynamic table.
HEADERS = b"\x82\x86\x41\x01x\x44\x0b/robots.txt"
FILE = b"\x82\x86\x41\x01x\x44\x1e/datasets/service-requests.csv"
POST = b"\x83\x86\x41\x01x\x44\x04/sql"


def flood(kind):
    """What is sent first, and then pieces without end."""
    first = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    settings = {"zero window": struct.pack(">HI", 4, 0)}.get(kind, b"")
    yield first + frame(4, 0, 0, settings)
    stream = 1
    if kind == "continuation":
        yield frame(1, 0, 1, HEADERS)
    elif kind == "empty data":
        yield frame(1, 4, 1, POST)
    elif kind == "compressed headers":
        # One large field into the table, then thousands of references to it.
        yield frame(1, 5, 1, HEADERS + b"\x40\x01a\x7f\x81\x1f" + b"b" * 4000)
    while True:
        if kind == "rapid reset":
            piece = b"".join(frame(1, 5, s, HEADERS) + frame(3, 0, s, struct.pack(">I", 8))
                             for s in range(stream, stream + 200, 2))
            stream += 200
        elif kind == "continuation":
            piece = frame(9, 0, 1, b"\x00\x01a\x01b" * 100) * 10
        elif kind == "empty data":
            piece = frame(0, 0, 1) * 200
        elif kind == "settings":
            piece = frame(4, 0, 0) * 200
        elif kind == "ping":
            piece = frame(6, 0, 0, b"12345678") * 200
        elif kind == "priority":
            piece = frame(2, 0, 3, b"\0\0\0\1\x10") * 200
        elif kind == "compressed headers":
            stream += 2
            piece = frame(1, 5, stream, HEADERS + b"\xbe" * 16000)
        elif kind == "many streams":
            stream += 2
            piece = frame(1, 4, stream, POST)
        elif stream < 200:
            piece = frame(1, 5, stream, FILE)
            stream += 2
        else:
            piece = b""
        yield piece


async def one_flood(server, number, kind, limit):
    """Floods until the server closes; the seconds until then, or the limit."""
    loop, began = asyncio.get_running_loop(), time.monotonic()
    sock = await connect(server, attacker(number))

    async def read():
        while await loop.sock_recv(sock, 1 << 16):
            pass

    reading = asyncio.create_task(read())
    try:
        for piece in flood(kind):
            if time.monotonic() - began > limit or reading.done():
                break
            if piece:
                await asyncio.wait_for(loop.sock_sendall(sock, piece), limit)
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(0.2)
    except (OSError, TimeoutError):
        pass
    ended = min(time.monotonic() - began, limit)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    sock.close()
    return ended


def floods(server, short):
    kinds = ["rapid reset", "continuation", "empty data", "settings", "ping", "priority", "compressed headers",
             "many streams", "zero window"]
    for kind in kinds:
        patient = kind in {"many streams", "zero window"}
        limit = 10 if short or not patient else 150

        async def some(kind=kind, limit=limit):
            return await asyncio.gather(*(one_flood(server, number, kind, limit) for number in range(8)))

        with Watch(server) as watch:
            ends = asyncio.run(some())
        used = 100 * watch.cpu_used / watch.seconds
        if not patient:
            say("F23", f"{kind}, 8 connections, closed", "<= 5 s", f"{max(ends):.1f} s", max(ends) <= 5)
        elif not short:
            say("F23", f"{kind}, 8 connections, closed", "<= 130 s", f"{max(ends):.1f} s", max(ends) <= 130)
        # The probe's own questions are in it, and for a moment all of a core is right: the whole is what counts.
        core_s = watch.cpu_used
        say("F23", f"{kind}, processor", "<= 50 % of a core over 5 s", f"{core_s:.1f} s in {watch.seconds:.1f} s ({used:.0f} %)",
            core_s <= 0.5 * max(watch.seconds, 5))
        say("F23", f"{kind}, memory", "<= +64 MiB", f"+{watch.grown_mib():.0f} MiB", watch.grown_mib() <= 64)
        say("F23", f"{kind}, probe", "answers", f"p99 {watch.p99_ms():.0f} ms, {len(watch.failures)} failures",
            not watch.failures)


def export(server, number, outcomes, begun, pause_s, more=""):
    """One export, read as slowly as `pause_s` for each 16 KiB says, and how it ended for its client."""
    host, port = server.host.split(":")
    try:
        connection = http.client.HTTPConnection(host, int(port), timeout=120, source_address=(f"127.0.2.{1 + number}", 0))
        connection.request("GET", EXPORT.format(f"x{number}") + more)
        answer = connection.getresponse()
        if answer.status != 200:
            outcomes[number] = ("refused", answer.status)
            return
        size = len(answer.read(1000))
        begun.release()
        while part := answer.read(1 << 14):
            size += len(part)
            time.sleep(pause_s)
        outcomes[number] = ("whole", size)
    except (OSError, http.client.HTTPException) as error:
        outcomes[number] = ("cut", type(error).__name__)


def export_made_before(server, number, outcomes, begun, pause_s):
    """As [export], of one that is in the storage."""
    begun_here = {}
    export(server, 99, begun_here, begun, pause_s)
    outcomes[number] = begun_here[99]


def short_export(server, number, outcomes, begun, pause_s):
    """As [export], of fewer rows."""
    export(server, number, outcomes, begun, pause_s, "&limit=10000")


def export_to_the_end_of_the_stream(server, number, outcomes, begun, pause_s):
    """As [export], as clients of HTTP/1.0 read: what comes until the connection is closed is the file."""
    host, port = server.host.split(":")
    try:
        with socket.create_connection((host, int(port)), timeout=120, source_address=(f"127.0.2.{1 + number}", 0)) as sock:
            sock.sendall(f"GET {EXPORT.format(f'x{number}')} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
            stream = sock.makefile("rb")
            status, size = int(stream.readline().split()[1]), 0
            while stream.readline().strip():
                pass
            while part := stream.read1(1 << 14):
                size += len(part)
                begun.release()
                time.sleep(pause_s)
            outcomes[number] = ("whole" if status == 200 else "refused", size)
    except (OSError, ValueError) as error:
        outcomes[number] = ("cut", type(error).__name__)


def export_by_flight(server, number, outcomes, begun, pause_s):
    """As [export], over Flight: HTTP/2 and gRPC."""
    import pyarrow.flight as flight

    try:
        sql = f"select * from service_requests where request_id <> 'x{number}'".encode()
        rows = 0
        for chunk in flight.connect(server.grpc).do_get(flight.Ticket(sql)):
            rows += chunk.data.num_rows
            begun.release()
            time.sleep(pause_s)
        outcomes[number] = ("whole", rows)
    except (flight.FlightError, OSError) as error:
        outcomes[number] = ("cut", type(error).__name__)


def stop_with(server, what, readers, whole):
    """SIGTERM while these read: each answer is whole, or seen to be broken."""
    outcomes, begun = {}, threading.Semaphore(0)
    threads = [threading.Thread(target=read, args=(server, number, outcomes, begun, pause_s))
               for number, (read, pause_s) in enumerate(readers)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        begun.acquire(timeout=60)
    time.sleep(1)
    began = time.monotonic()
    code = server.stop()
    took = time.monotonic() - began
    for thread in threads:
        thread.join()
    short = [outcome for number, outcome in outcomes.items()
             if outcome[0] == "whole" and outcome[1] != whole[readers[number][0]]]
    kinds = {kind: sum(1 for outcome in outcomes.values() if outcome[0] == kind) for kind in ("whole", "cut", "refused")}
    say("F45", f"stop with {what}", "exit 0 <= 30 s", f"exit {code} after {took:.1f} s", code == 0 and took <= 30)
    say("F45", f"stop with {what}: answers that look whole and are not", "0", f"{len(short)} of {len(readers)} ({kinds})",
        not short and len(outcomes) == len(readers))
    return kinds


def whole_sizes(server):
    """What a whole answer is for each kind of reader."""
    sizes, begun = {}, threading.Semaphore(0)
    for read in (export, export_made_before, short_export, export_to_the_end_of_the_stream, export_by_flight):
        outcomes = {}
        read(server, 99, outcomes, begun, 0)
        kind, sizes[read] = outcomes[99]
        assert kind == "whole", outcomes
    return sizes


def stop(start, _short):
    """Two stops, each of its own server: one where all can finish in the grace time, one where most cannot."""
    server = start()
    sizes = whole_sizes(server)
    # Most are made already and only have to be read: how fast fifty are made is another figure.
    readers = [(export_made_before, 0.005)] * 45 + [(short_export, 0.005)] * 5
    kinds = stop_with(server, "50 exports under way", readers, sizes)
    say("F45", "stop with 50 exports under way: drained", "50 whole", f"{kinds['whole']} whole", kinds["whole"] == 50)
    server = start()
    # Nobody reads his file to its end in the grace time; those who wait for a worker are refused.
    readers = [(export, 0.5)] * 30 + [(export_to_the_end_of_the_stream, 0.5)] * 15 + [(export_by_flight, 5)] * 5
    kinds = stop_with(server, "50 exports that outlast the grace time", readers, sizes)
    say("F45", "stop with 50 exports that outlast the grace time: told so", ">= 30 cut", f"{kinds['cut']} cut", kinds["cut"] >= 30)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", help="of F22, F23, F45; all when absent")
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    wanted = options.what or ["F22", "F23", "F45"]
    with tempfile.TemporaryDirectory() as directory:
        started = []

        def start(city=None):
            data = pathlib.Path(directory) / ("named" if city else "demo")
            if city and not data.exists():
                shutil.copytree(city, data)
            arguments = ["serve"] if data.exists() else ["demo"]
            started.append(Server([*arguments, "--listen", "127.0.0.1:0", "--data", str(data)], ready_s=600))
            Watch(started[-1]).ask()
            return started[-1]

        try:
            if {"F22", "F23"} & set(wanted):
                server = start(os.environ.get("ATTACK_CITY"))
                for name, part in [("F22", slow_clients), ("F23", floods)]:
                    if name in wanted:
                        part(server, options.short)
                server.stop()
            if "F45" in wanted:
                stop(start, options.short)
        finally:
            for server in started:
                if server.alive():
                    server.kill()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
