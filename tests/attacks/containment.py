"""What a statement, or the death of a process, can do to everybody else: figures F5, F6, F10, F11, F19 and row S71.

    cd tests && python -m attacks.containment            the whole run, about half an hour
    cd tests && python -m attacks.containment --short    a few minutes

Each figure is a line `F5 | what | target | measured | pass | command`. The binary is the one in PORTICO_BIN, or the debug build of
this checkout. Everything runs on a portal of its own, the demo city in a temporary directory.
"""

import argparse
import concurrent.futures
import contextlib
import itertools
import json
import pathlib
import re
import signal
import socket
import sys
import tempfile
import threading
import time

import psutil
import pyarrow.flight as flight
import requests

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

from conftest import Server  # noqa: E402

MIB = 1024 * 1024
# Where time ends here, in milliseconds: the default of 30 s shows the same and takes longer.
LIMIT_MS = 4_000
# Spilling as much as is allowed takes longer.
SPILL_LIMIT_MS = 30_000
WORKER_MEMORY_BYTES = 1024 * MIB
SPILL_BYTES = 1024 * MIB

CONFIGURATION = """
[server]
scratch = "{scratch}"
metrics_listen = "127.0.0.1:{metrics}"
[limits.query]
workers = 4
first_byte_ms = {limit}
cpu_ms = {limit}
worker_memory_bytes = {memory}
spill_bytes = {spill}
# The attackers all come from this machine, and ask the same thing again and again.
running_per_address = 64
waiting_per_address = 256
deadly_minutes = 0
"""

# More rows than anybody reads: 60,000 by 60,000.
ENDLESS = "select a.* from service_requests a cross join service_requests b"

EATERS = [
    "select * from service_requests a cross join (select * from service_requests limit 200) b order by 1 desc, 2, 3",
    "select array_agg(a.request_id) from service_requests a cross join (select 1 from service_requests limit 500) b",
    "select string_agg(a.request_id, ',') from service_requests a cross join (select 1 from service_requests limit 500) b",
    "select count(distinct a.request_id || b.request_id) from service_requests a "
    "cross join (select * from service_requests limit 200) b",
    "select a.request_id, count(*) over (partition by 1) from service_requests a "
    "cross join (select 1 from service_requests limit 200) b",
    "select a.request_id || b.request_id, count(*) from service_requests a "
    "cross join (select * from service_requests limit 200) b group by 1",
]

BURNERS = [
    "select count(*) from service_requests a cross join service_requests b where a.request_id || b.request_id like '%7_7_7%'",
    "select sum(length(a.request_id) * length(b.request_id)) from service_requests a cross join service_requests b "
    "cross join (select 1 from service_requests limit 100) c",
    "select count(*) from service_requests a join service_requests b on a.request_id < reverse(b.request_id)",
]

failed = []


def say(figure, what, target, measured, passed):
    """The line of one figure."""
    print(f"{figure} | {what} | {target} | {measured} | {'pass' if passed else 'FAIL'} | tests/attack containment", flush=True)
    if not passed:
        failed.append(figure)


@contextlib.contextmanager
def portal():
    """A directory with the demo city."""
    with tempfile.TemporaryDirectory(prefix="containment-") as place:
        place = pathlib.Path(place)
        Server(["demo", "--listen", "127.0.0.1:0", "--data", str(place / "data")]).stop()
        yield place


def serve(place, limit_ms=LIMIT_MS):
    file = place / "portico.toml"
    file.write_text(CONFIGURATION.format(
        scratch=place / "scratch", limit=limit_ms, memory=WORKER_MEMORY_BYTES, spill=SPILL_BYTES, metrics=free_port()))
    return Server(["serve", "--config", str(file), "--data", str(place / "data"), "--listen", "127.0.0.1:0"])


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def ask(server, sql, form="csv", **options):
    return requests.post(f"{server.url}/sql", params={"format": form}, data=sql.encode(),
                         headers={"content-type": "application/sql"}, **options)


def workers(server):
    """The worker processes that live now."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child for child in psutil.Process(server.pid).children()
                if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    return []


def memory(process):
    """Bytes that only this process holds; 0 when it is gone."""
    try:
        for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def cpu_s(process):
    try:
        times = process.cpu_times()
        return times.user + times.system
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return 0.0


def bytes_below(directory):
    total = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                total += path.stat().st_size
    return total


def memory_containment(place, rounds):
    """F5: the most that any worker holds while eight eat at once, and what the server keeps of it."""
    server = serve(place)
    try:
        ask(server, "select 1")
        this, done, peak = psutil.Process(server.pid), threading.Event(), [0]

        def sample():
            while not done.wait(0.02):
                peak[0] = max([peak[0], *(memory(worker) for worker in workers(server))])

        watcher = threading.Thread(target=sample)
        watcher.start()
        codes = {}
        def attack(sql):
            answer = ask(server, sql, stream=True)
            if answer.status_code == 200:
                with contextlib.suppress(requests.RequestException):
                    for _, _ in zip(answer.iter_content(MIB), range(20)):
                        pass
            answer.close()
            return answer.status_code
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(attack, EATERS))
            settled = memory(this)
            for status in pool.map(attack, EATERS * rounds):
                codes[status] = codes.get(status, 0) + 1
        done.set()
        watcher.join()
        drift = memory(this) - settled
        limit = WORKER_MEMORY_BYTES * 1.05
        say("F5", f"peak of one worker, {len(EATERS) * rounds} statements, 8 at once, statuses {codes}",
            f"<= {limit / MIB:.0f} MiB", f"{peak[0] / MIB:.0f} MiB", peak[0] <= limit and set(codes) <= {200, 422, 429, 503})
        say("F5", "growth of the server meanwhile", "<= 64 MiB", f"{drift / MIB:.0f} MiB", drift <= 64 * MIB and server.alive())
    finally:
        server.stop()


def stop_latency(place, rounds):
    """F6: from the answer that says that time is up until the workers of that moment burn nothing any more."""
    server = serve(place)
    try:
        ask(server, "select 1")
        worst, late, answers = 0.0, 0.0, {}
        for sql in BURNERS * rounds:
            began = time.monotonic()
            answer = ask(server, sql)
            answered = time.monotonic()
            code = answer.json().get("type", "").rsplit("#", 1)[-1] if answer.status_code != 200 else "200"
            answers[code] = answers.get(code, 0) + 1
            late = max(late, answered - began - LIMIT_MS / 1000)
            watched, last = workers(server), {}
            grew = answered
            while time.monotonic() - answered < 4:
                for worker in watched:
                    used = cpu_s(worker)
                    if used > last.get(worker.pid, used) + 0.015:
                        grew = time.monotonic()
                    last[worker.pid] = used
                time.sleep(0.02)
            # A worker that was started meanwhile is busy with that alone.
            worst = max(worst, grew - answered)
        say("F6", f"processor time of workers grows after the deadline, {len(BURNERS) * rounds} statements, {answers}",
            "<= 2 s", f"{worst:.2f} s (answers up to {late:.2f} s late)", worst <= 2 and late <= 2)
    finally:
        server.stop()


def respawn(place, kills):
    """F10: workers are killed while others ask."""
    server = serve(place)
    try:
        done, wrong, served = threading.Event(), [], [0, 0]

        def check(answer):
            if answer.status_code != 200:
                wrong.append((answer.status_code, answer.text[:200]))

        def neighbour(number):
            for turn in itertools.count():
                if done.is_set():
                    return
                # Words of its own: nothing is remembered of it, and nothing is answered from memory.
                try:
                    check(ask(server, f"select count(*) as c, {number} as n, {turn} as t from service_requests where length(request_id) > {turn % 7}"))
                except requests.RequestException as error:
                    wrong.append(("broken off", str(error)[:200]))
                served[number] += 1

        def probe(number):
            began = time.monotonic()
            check(ask(server, f"select {number} as n"))
            return time.monotonic() - began

        threads = [threading.Thread(target=neighbour, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        unharmed = sorted(probe(-number) for number in range(kills))
        waits = []
        for kill in range(kills):
            before = list(served)
            alive = workers(server)
            if alive:
                with contextlib.suppress(psutil.NoSuchProcess):
                    max(alive, key=cpu_s).kill()
            waits.append(probe(kill))
            # A question is tried again once: the next kill is for other questions.
            while any(now - then < 2 for now, then in zip(served, before)):
                time.sleep(0.01)
        done.set()
        for thread in threads:
            thread.join()
        waits.sort()
        p99 = waits[int(len(waits) * 0.99) - 1]
        for one in wrong[:3]:
            print("   ", one)
        say("F10", f"next query after each of {kills} kills of a busy worker", "p99 <= 250 ms",
            f"p50 {waits[len(waits) // 2] * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, max {waits[-1] * 1000:.0f} ms "
            f"(without kills p50 {unharmed[len(unharmed) // 2] * 1000:.0f} ms, max {unharmed[-1] * 1000:.0f} ms)", p99 <= 0.25)
        say("F10", f"answers of {sum(served)} neighbours' queries and {2 * kills} probes that failed", "0", str(len(wrong)), not wrong)
    finally:
        server.stop()


def disconnects(place, times):
    """S71: clients that leave 50 ms after they have asked."""
    server, at_once = serve(place), 4
    port = int(re.search(r'metrics_listen = "127.0.0.1:(\d+)"', (place / "portico.toml").read_text()).group(1))

    def gauges():
        text = requests.get(f"http://127.0.0.1:{port}/metrics").text
        return [int(float(re.search(rf"^{name} (\S+)", text, re.MULTILINE).group(1)))
                for name in ("portico_questions_running", "portico_queue_waiting")]

    try:
        ask(server, "select 1")
        host, port_of_http = server.host.rsplit(":", 1)
        slowest, begun, alive = 0.0, 0, len(workers(server))
        for sql in itertools.islice(itertools.cycle(BURNERS), times // at_once):
            connections = []
            for _ in range(at_once):
                connection = socket.create_connection((host, int(port_of_http)))
                connection.sendall(f"POST /sql HTTP/1.1\r\nHost: p\r\nContent-Type: application/sql\r\n"
                                   f"Content-Length: {len(sql)}\r\n\r\n{sql}".encode())
                connections.append(connection)
            time.sleep(0.05)
            begun += gauges()[0]
            for connection in connections:
                connection.close()
            left = time.monotonic()
            while (now := gauges()) != [0, 0] and time.monotonic() - left < 10:
                time.sleep(0.01)
            slowest = max(slowest, time.monotonic() - left)
            if now != [0, 0]:
                break
        left, answer = gauges(), ask(server, "select 1")
        deadline = time.monotonic() + 5
        while len(workers(server)) != alive and time.monotonic() < deadline:
            time.sleep(0.05)
        say("S71", f"clients that left 50 ms after they asked, {times} of them ({begun} had a worker): until it was free",
            "<= 2 s, nothing stays", f"{slowest:.2f} s at most; {left[0]} running and {left[1]} waiting at the end, "
            f"{len(workers(server))} of {alive} workers",
            slowest <= 2 and left == [0, 0] and answer.status_code == 200 and len(workers(server)) == alive)
    finally:
        server.stop()


def spill_hygiene(place, rounds):
    """F11: what spills leave behind, also when the server is killed in the middle."""
    scratch = place / "scratch"
    spiller = EATERS[0]
    most, left_alive, left_dead, left_next = 0, 0, 0, 0
    for _ in range(rounds):
        server = serve(place, SPILL_LIMIT_MS)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(ask, server, spiller) for _ in range(2)]
            while not all(one.done() for one in asked):
                most = max(most, bytes_below(scratch))
                time.sleep(0.05)
            deadline = time.monotonic() + 5
            while bytes_below(scratch) and time.monotonic() < deadline:
                time.sleep(0.05)
            left_alive = max(left_alive, bytes_below(scratch))
            asked = [pool.submit(ask, server, spiller) for _ in range(2)]
            began = time.monotonic()
            while bytes_below(scratch) == 0 and time.monotonic() - began < SPILL_LIMIT_MS / 1000:
                time.sleep(0.02)
            # In the middle: long enough for some files, and before the end.
            time.sleep(1)
            server.kill()
        time.sleep(5)
        left_dead = max(left_dead, bytes_below(scratch))
        server = serve(place)
        left_next = max(left_next, bytes_below(scratch))
        server.stop()
    say("F11", "spill files of two workers at once, the most", f"<= {2 * SPILL_BYTES / MIB:.0f} MiB", f"{most / MIB:.0f} MiB",
        0 < most <= 2 * SPILL_BYTES)
    say("F11", "left 5 s after the statements ended", "0 bytes", f"{left_alive} bytes", left_alive == 0)
    say("F11", "left after a restart, the server having been killed", "0 bytes",
        f"{left_next} bytes ({left_dead} bytes 5 s after the kill)", left_next == 0)


def read_http(server, form, began):
    """Reads an endless answer; returns whether the client got an error."""
    try:
        with ask(server, ENDLESS, form, stream=True, timeout=60) as answer:
            if answer.status_code != 200:
                return True
            read = 0
            for chunk in answer.iter_content(64 * 1024):
                read += len(chunk)
                if read >= 256 * 1024:
                    began.set()
        return False
    except requests.RequestException:
        return True
    finally:
        began.set()


def read_flight(server, _form, began):
    try:
        reader = flight.connect(server.grpc).do_get(flight.Ticket(ENDLESS.encode()))
        for number, _ in enumerate(reader):
            if number >= 2:
                began.set()
        return False
    except (flight.FlightError, OSError, ValueError):
        return True
    finally:
        began.set()


def truncation(place, times, server_times):
    """F19: every client whose answer was cut is told."""
    forms = ["csv", "json", "ndjson", "arrow", "parquet", "flight"]
    for what, count in [("worker", times), ("server", server_times)]:
        told, silent = 0, {}
        server = serve(place)
        for form, _ in itertools.product(forms, range(count)):
            began = threading.Event()
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                read = pool.submit(read_flight if form == "flight" else read_http, server, form, began)
                began.wait(30)
                if what == "worker":
                    for worker in workers(server):
                        with contextlib.suppress(psutil.NoSuchProcess):
                            worker.kill()
                else:
                    server.process.send_signal(signal.SIGKILL)
                if read.result():
                    told += 1
                else:
                    silent[form] = silent.get(form, 0) + 1
            if what == "server":
                server.kill()
                server = serve(place)
        server.stop()
        all_of_them = count * len(forms)
        say("F19", f"{what} killed in the middle of {', '.join(forms)}: clients that saw an error", "100 %",
            f"{told} of {all_of_them}{f', silent: {json.dumps(silent)}' if silent else ''}", told == all_of_them)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="a few of each")
    parser.add_argument("figures", nargs="*", help="of F5, F6, F10, F11, F19, S71; all when absent")
    options = parser.parse_args()
    few = options.short
    runs = {
        "F5": lambda place: memory_containment(place, 2 if few else 8),
        "F6": lambda place: stop_latency(place, 1 if few else 4),
        "F10": lambda place: respawn(place, 40 if few else 200),
        "S71": lambda place: disconnects(place, 24 if few else 1000),
        "F11": lambda place: spill_hygiene(place, 1 if few else 3),
        "F19": lambda place: truncation(place, 5 if few else 75, 1 if few else 10),
    }
    with portal() as place:
        for name, run in runs.items():
            if not options.figures or name in options.figures:
                run(place)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
