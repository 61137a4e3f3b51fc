"""Slow clients (F22), floods of HTTP/2 frames (F23) and a stop with exports under way (F45), on the real binary.

    PYTHONPATH=tests/clients python tests/attacks/edges.py [--short] [slow|floods|stop ...]

Each line is a figure: `F22 | what | target | measured | pass | command`. Attackers have addresses of their own
(127.0.1.x), and so has the probe, a small query asked five times a second all the while. ATTACK_CITY may name the data
of a demo, which is copied; without one it is made.
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


async def connect(server, number, small=False):
    """A socket, with a small receive buffer where its owner will not read."""
    host, port = server.host.split(":")
    sock = socket.socket()
    sock.setblocking(False)
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    sock.bind((attacker(number), 0))
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    return sock


async def slow(server, number, kind, limit):
    """One slow client; the seconds until the server closed on it, or the limit."""
    loop, began = asyncio.get_running_loop(), time.monotonic()
    try:
        sock = await connect(server, number, kind == "read")
    except OSError:
        return 0.0
    first = {
        "headers": b"GET /robots.txt HTTP/1.1\r\nHost: x\r\n",
        "body": b"POST /sql HTTP/1.1\r\nHost: x\r\nContent-Type: application/sql\r\nContent-Length: 60000\r\n\r\n",
        "read": b"GET /datasets/service-requests.csv HTTP/1.1\r\nHost: x\r\n\r\n",
        "silence": b"",
    }[kind]
    drip = {"headers": b"X: a\r\n", "body": b"x", "read": b"", "silence": b""}[kind]
    try:
        await loop.sock_sendall(sock, first)
        while time.monotonic() - began < limit:
            if drip:
                await loop.sock_sendall(sock, drip)
            try:
                got = await asyncio.wait_for(loop.sock_recv(sock, 1 if kind == "read" else 65536), 1)
                if not got:
                    break
                if kind == "read":
                    await asyncio.sleep(1)
            except TimeoutError:
                pass
    except OSError:
        pass
    finally:
        sock.close()
    return min(time.monotonic() - began, limit)


async def all_slow(server, kind, clients, limit):
    return await asyncio.gather(*(slow(server, number, kind, limit) for number in range(clients)))


def slow_clients(server, short):
    clients = 200 if short else 1000
    for kind, limit in [("silence", 30), ("headers", 30), ("body", 30), ("read", 20 if short else 150)]:
        clients_of_kind = clients if kind != "read" else min(clients, 200)
        with Watch(server) as watch:
            ends = asyncio.run(all_slow(server, kind, clients_of_kind, limit))
        back = watch.fds_back_s(30)
        what = f"slow {kind}: {clients_of_kind} clients"
        p99 = watch.p99_ms()
        say("F22", f"{what}, probe p99", "<= 300 ms", f"{p99:.0f} ms, {len(watch.failures)} failures",
            p99 <= 300 and not watch.failures)
        if kind != "read":
            say("F22", f"{what}, closed", "<= 15 s", f"{max(ends):.1f} s", max(ends) <= 15)
        elif not short:
            say("F22", f"{what}, closed", "<= 130 s", f"{max(ends):.1f} s", max(ends) <= 130)
        say("F22", f"{what}, descriptors back", "<= 30 s", f"{back:.1f} s", back <= 30)
        # A reader holds two pieces of its file and what it was sent.
        most = 64 if kind != "read" else 64 + 2 * clients_of_kind
        say("F22", f"{what}, memory", f"<= +{most} MiB", f"+{watch.grown_mib():.0f} MiB", watch.grown_mib() <= most)
    slowhttptest(server, short)


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
    sock = await connect(server, number)

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


def export(server, number, outcomes, begun):
    host, port = server.host.split(":")
    try:
        connection = http.client.HTTPConnection(host, int(port), timeout=120, source_address=(f"127.0.2.{1 + number}", 0))
        connection.request("GET", EXPORT.format(f"x{number}"))
        answer = connection.getresponse()
        if answer.status != 200:
            outcomes[number] = ("refused", answer.status)
            return
        size = len(answer.read(1000))
        begun.release()
        while part := answer.read(1 << 14):
            size += len(part)
            time.sleep(0.005)
        outcomes[number] = ("whole", size)
    except (OSError, http.client.HTTPException) as error:
        outcomes[number] = ("cut", type(error).__name__)


def stop(server, _short):
    """SIGTERM with fifty exports under way: each is whole, or seen to be broken."""
    outcomes, begun = {}, threading.Semaphore(0)
    export(server, 99, outcomes, begun)
    _, whole = outcomes.pop(99)
    begun.acquire()
    threads = [threading.Thread(target=export, args=(server, number, outcomes, begun)) for number in range(50)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        begun.acquire(timeout=60)
    began = time.monotonic()
    code = server.stop()
    took = time.monotonic() - began
    for thread in threads:
        thread.join()
    short = [outcome for outcome in outcomes.values() if outcome[0] == "whole" and outcome[1] != whole]
    kinds = {kind: sum(1 for outcome in outcomes.values() if outcome[0] == kind) for kind in ("whole", "cut", "refused")}
    say("F45", "stop with 50 exports under way", "exit 0 <= 30 s", f"exit {code} after {took:.1f} s", code == 0 and took <= 30)
    say("F45", "exports that look whole and are not", "0", f"{len(short)} of 50 ({kinds})", not short and len(outcomes) == 50)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=["slow", "floods", "stop", []])
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    parts = [("slow", slow_clients), ("floods", floods), ("stop", stop)]
    with tempfile.TemporaryDirectory() as directory:
        data = pathlib.Path(directory) / "data"
        if os.environ.get("ATTACK_CITY"):
            shutil.copytree(os.environ["ATTACK_CITY"], data)
            server = Server(["serve", "--listen", "127.0.0.1:0", "--data", str(data)])
        else:
            server = Server(["demo", "--listen", "127.0.0.1:0", "--data", str(data)], ready_s=600)
        try:
            Watch(server).ask()
            for name, part in parts:
                if not options.what or name in options.what:
                    part(server, options.short)
        finally:
            if server.alive():
                server.kill()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
