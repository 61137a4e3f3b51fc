"""What the neighbours of an attacker notice: their latency, their downloads, and how fast bombs are refused.

Attackers and downloads are processes of their own, each attacker with an address of its own. They run on the machine of
the portal, at the same priority; what the attackers compute themselves, which is little, is said with the figures.
"""

import decimal
import multiprocessing
import random
import socket
import threading
import time

import psutil

from attacks.statements import COMPLEX, FUNCTION, ROWS, VALUE
from attacks.target import PROBE_ADDRESS, Figure, Portal, Probe, percentile

ATTACKERS = 8
# Statements a second that one attacker sends at most: most are refused at once, and this machine also runs the attackers.
PACE_PER_S = 5
DOWNLOADS = 8
# Clients that come at once, each with the heaviest statement that is legal.
CROWD = 200
HEAVIEST = ("select count(*) from service_requests a cross join service_requests b "
            "where a.request_id || b.request_id like '%7_7_7%'")


def attack(url, pid, index, until, outcomes):
    """Loops over the statements in an order of its own, over HTTP and Flight."""
    portal, chance = Portal(url, pid), random.Random(index)
    address = f"127.0.0.{40 + index}"
    counted = {}
    before = time.process_time()
    while time.time() < until:
        began = time.monotonic()
        row = chance.choice(ROWS)
        if chance.random() < 0.25 and not row.http_only:
            answer = portal.ask_flight(row.sql)
        else:
            answer = portal.ask(row.sql, source=address, most=8 << 20)
        key = answer.code if answer.status not in {500, 502} else "fault"
        counted[key] = counted.get(key, 0) + 1
        time.sleep(max(0.0, 1 / PACE_PER_S - (time.monotonic() - began)))
    outcomes.put((counted, time.process_time() - before))


def download(address, path, until, received):
    """Takes a file again and again, and counts the bytes."""
    buffer, total = bytearray(1 << 20), 0
    request = f"GET {path} HTTP/1.1\r\nHost: portico\r\nConnection: close\r\nAccept-Encoding: identity\r\n\r\n".encode()
    while time.time() < until:
        with socket.create_connection(address, timeout=30, source_address=("127.0.0.80", 0)) as connection:
            connection.sendall(request)
            while time.time() < until and (got := connection.recv_into(buffer)):
                total += got
    received.put(total)


def start(target, arguments):
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def attackers(portal, seconds):
    """Starts the attackers; returns what ends them and gives their counts, and the processors that they took themselves."""
    outcomes = multiprocessing.get_context("spawn").Queue()
    until = time.time() + seconds + 3
    running = [start(attack, (portal.url, portal.pid, index, until, outcomes)) for index in range(ATTACKERS)]
    time.sleep(3)

    def finish():
        counted, computed = {}, 0.0
        for _ in running:
            codes, seconds_of_one = outcomes.get(timeout=120)
            computed += seconds_of_one
            for code, count in codes.items():
                counted[code] = counted.get(code, 0) + count
        for process in running:
            process.join(10)
        return counted, computed / (seconds + 3)

    return finish


def rate(portal, path, seconds):
    """Megabytes a second of all downloads together."""
    received = multiprocessing.get_context("spawn").Queue()
    until = time.time() + seconds + 1.5
    began = time.time() + 1.5
    running = [start(download, (portal.address, path, until, received)) for _ in range(DOWNLOADS)]
    total = sum(received.get(timeout=seconds + 60) for _ in running)
    for process in running:
        process.join(10)
    return total / (until - began) / 1e6


class Memory:
    """The most memory of a worker and of the server, four times a second."""

    def __init__(self, portal):
        self.portal, self.worker_peak, self.first = portal, 0, portal.process.memory_info().rss
        self.server_peak = self.first
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        while not self._stop.wait(0.25):
            for worker in self.portal.workers():
                try:
                    memory = worker.memory_info()
                    self.worker_peak = max(self.worker_peak, memory.rss - memory.shared)
                except psutil.Error:
                    continue
            self.server_peak = max(self.server_peak, self.portal.process.memory_info().rss)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def latency(portal, minutes):
    """F8, with the memory seen meanwhile (F5)."""
    seconds = minutes * 60
    for _ in range(10):
        portal.ask("select count(*) from service_requests")
    with Probe(portal) as idle:
        time.sleep(min(20, max(6, seconds / 4)))
    # What the first attacks make the allocator keep is no growth: it is counted from then on.
    attackers(portal, max(6, seconds / 10))()
    with Memory(portal) as memory:
        finish = attackers(portal, seconds)
        with Probe(portal) as probe:
            time.sleep(seconds)
        counted, processors = finish()
    # Drift is what stays: what answers under way took is back after a moment.
    time.sleep(5)
    drift = (portal.process.memory_info().rss - memory.first) / 2**20
    calm, busy = percentile(idle.seconds, 0.99) * 1000, percentile(probe.seconds, 0.99) * 1000
    faults = counted.get("fault", 0) + counted.get("internal", 0) + counted.get("closed", 0) + counted.get("hang", 0)
    command = f"tests/attack neighbours --minutes {minutes:g}"
    print(f"  what the attackers got: {dict(sorted(counted.items()))}")
    print(f"  the attackers' own processes took {processors:.2f} processors")
    print(f"  probe idle p50/p99 {percentile(idle.seconds, 0.5) * 1000:.0f}/{calm:.0f} ms, under attack p50/p99/p100 "
          f"{percentile(probe.seconds, 0.5) * 1000:.0f}/{busy:.0f}/{max(probe.seconds) * 1000:.0f} ms ({len(probe.seconds)} probes)")
    return [
        Figure("F8", f"p99 of a neighbour's count(*) beside {ATTACKERS} attackers, {seconds:.0f} s", "<= 500 ms, <= 3x idle, 0 fail",
               f"{busy:.0f} ms, idle {calm:.0f} ms ({busy / calm:.1f}x), {len(probe.failures)} failed of {len(probe.seconds)}",
               busy <= 500 and busy <= 3 * calm and not probe.failures, command),
        Figure("F1/loop", "faults (500, 502, cut connections) that the attackers got", "0",
               f"{faults} of {sum(counted.values())}", faults == 0 and portal.alive(), command),
        Figure("F5/worker", "most memory of a worker meanwhile", "<= 1.05 GiB", f"{memory.worker_peak / 2**30:.2f} GiB",
               memory.worker_peak <= 1.05 * 2**30, command),
        Figure("F5/server", "drift of the server's memory meanwhile", "<= 64 MiB",
               f"{drift:+.0f} MiB; at most {(memory.server_peak - memory.first) / 2**20:+.0f} MiB for a moment", drift <= 64, command),
    ]


def downloads(portal, minutes):
    """F9."""
    seconds = min(30, max(6, minutes * 20))
    path = "/datasets/service-requests.parquet"
    portal.request("GET", path, most=1 << 30)
    calm = rate(portal, path, seconds)
    finish = attackers(portal, seconds + 4)
    busy = rate(portal, path, seconds)
    _, processors = finish()
    return Figure("F9", f"{DOWNLOADS} downloads of Parquet beside {ATTACKERS} attackers, {seconds:.0f} s", ">= 80 % of idle",
                  f"{busy:.0f} of {calm:.0f} MB/s ({100 * busy / calm:.0f} %); the attackers themselves took {processors:.2f} "
                  "processors", busy >= 0.8 * calm, f"tests/attack neighbours --minutes {minutes:g}")


def crowd(portal, clients, own_address):
    """S70: everybody comes at once with the heaviest statement, from one address or each from its own."""
    codes, lock = {}, threading.Lock()

    def one(number):
        source = f"127.0.{2 + number // 200}.{1 + number % 200}" if own_address else "127.0.0.99"
        answer = portal.ask(f"{HEAVIEST} and {number} = {number}", source=source, timeout=120)
        with lock:
            codes[answer.code] = codes.get(answer.code, 0) + 1

    for _ in range(10):
        portal.ask(Probe.SQL, source=PROBE_ADDRESS)
    threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
    with Probe(portal) as probe:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    p99 = percentile(probe.seconds, 0.99) * 1000
    allowed = {"query_timeout", "query_memory", "too_many_requests", "unavailable"}
    return Figure("S70", f"p99 of a neighbour's count(*) beside {clients} clients with the heaviest statement, "
                  f"{'an address each' if own_address else 'one address'}", "<= 500 ms, 0 fail, 422 429 503",
                  f"{p99:.0f} ms, p100 {max(probe.seconds) * 1000:.0f} ms, {len(probe.failures)} failed of {len(probe.seconds)}, "
                  f"{dict(sorted(codes.items()))}", p99 <= 500 and not probe.failures and set(codes) <= allowed,
                  "tests/attack neighbours")


def bombs(portal, runs):
    """F7: the longest that a bomb of complexity took to be refused."""
    slowest, seen, wrong = (0.0, ""), 0, 0
    rows = [row for row in ROWS if row.expect == COMPLEX and len(row.sql) <= 65_536]
    for number, row in enumerate(rows):
        for _ in range(runs):
            # From an address for each: all together are more than one may ask.
            answer = portal.ask(row.sql, source=f"127.0.5.{1 + number}")
            seen += 1
            wrong += answer.code not in row.expect
            slowest = max(slowest, (answer.seconds, row.name))
    return Figure("F7", f"refusal of {len(rows)} bombs of complexity, {runs} times each, the slowest", "<= 200 ms",
                  f"{slowest[0] * 1000:.0f} ms ({slowest[1]}), {wrong} wrong of {seen}", slowest[0] <= 0.2 and wrong == 0,
                  "tests/attack neighbours")


BIG = 2**63 - 1
D38 = "9" * 38


def overflow_cases():
    """Calculations at the ends of their types, with the exact result: `(sql, exact)`; `None` where there is none."""
    cases = []
    for kind, bits in [("tinyint", 8), ("smallint", 16), ("int", 32), ("bigint", 64)]:
        most = 2 ** (bits - 1) - 1
        def one(value, kind=kind):
            return f"cast({value} as {kind})"
        low = f"(cast({-most} as {kind}) - cast(1 as {kind}))"
        cases += [(f"select {one(most)} + {one(1)}", most + 1), (f"select {one(-most)} - {one(2)}", -most - 2),
                  (f"select {one(most)} * {one(2)}", most * 2), (f"select {one(-most)} * {one(3)}", -most * 3),
                  (f"select - {low}", most + 1), (f"select abs({low})", most + 1), (f"select {low} / {one(-1)}", most + 1),
                  (f"select {low} % {one(-1)}", 0)]
        table = f"(values ({one(most)}), ({one(most)}), ({one(1)})) t(v)"
        cases += [(f"select sum(v) from {table}", 2 * most + 1), (f"select v + v from {table} limit 1", 2 * most),
                  (f"select max(v + {one(1)}) from {table}", most + 1), (f"select max(v * v) from {table}", most * most)]
    for kind, value in [("tinyint", 128), ("smallint", 40_000), ("int", 3_000_000_000), ("tinyint", -129),
                        ("int", -3_000_000_000)]:
        cases.append((f"select cast({value} as {kind})", None))
        cases.append((f"select cast(v as {kind}) from (values ({value}), (1)) t(v)", None))
    table = f"(values ({BIG}), ({BIG}), (1)) t(v)"
    cases += [
        (f"select sum(v) over () from {table} limit 1", 2 * BIG + 1), (f"select sum(distinct v) from {table}", BIG + 1),
        (f"select avg(v) from (values ({BIG}), ({BIG})) t(v)", BIG), (f"select sum(v) filter (where v > 0) from {table}", 2 * BIG + 1),
        (f"select sum(v) over (order by v rows between 1 preceding and current row) from {table} order by 1 desc limit 1", 2 * BIG),
        ("select cast(1e19 as bigint)", None), ("select cast('9223372036854775808' as bigint)", None),
        ("select cast(-1e19 as bigint)", None), ("select cast('nan' as bigint)", None), ("select cast(cast('inf' as double) as int)", None),
        (f"select cast('{D38}' as decimal(38,0)) + cast(1 as decimal(38,0))", 10**38),
        (f"select cast('{D38}' as decimal(38,0)) * cast(10 as decimal(38,0))", int(D38) * 10),
        (f"select sum(v) from (values (cast('{D38}' as decimal(38,0))), (cast('{D38}' as decimal(38,0)))) t(v)", 2 * int(D38)),
        ("select cast(1000 as decimal(4,2))", None), ("select cast(999.999 as decimal(5,2))", None),
        ("select cast('1e40' as decimal(38,0))", None), ("select date '9999-12-31' + interval '1000000000 months'", None),
        ("select date '2000-01-01' + interval '999999999999 days'", None), ("select date '2000-01-01' - interval '2000000000 years'", None),
        ("select timestamp '9999-12-31 00:00:00' + interval '9223372036854775807 days'", None),
        (f"select {BIG} + 0.5", decimal.Decimal(BIG) + decimal.Decimal("0.5")), (f"select power({BIG}, 2)", BIG**2),
        ("select factorial(25)", None), (f"select gcd({BIG}, 3) * {BIG}", BIG), (f"select lcm({BIG}, {BIG - 1})", BIG * (BIG - 1)),
        (f"select round({BIG}) + 1", BIG + 1), (f"select ceil({BIG}) + 1", BIG + 1),
        ("select date '2000-01-01' + 2147483647", None), ("select to_timestamp(9223372036854775807)", None),
        (f"select least({BIG}, 1) - {BIG} - 10", 1 - BIG - 10), (f"select coalesce(null, {BIG}) + 1", BIG + 1),
        (f"select case when true then {BIG} end + 1", BIG + 1), (f"select (select {BIG}) + 1", BIG + 1),
        (f"select v + 1 from {table} where v + 1 < 0", None), (f"select {BIG} - -1", BIG + 1),
    ]
    return cases


def honest(answer, exact):
    """Whether a calculation was refused, or its result is exact (a float within its own precision)."""
    if answer.code != "ok":
        return answer.code in VALUE | FUNCTION
    rows = answer.rows
    if not rows:
        return True
    value = rows[0][0]
    if exact is None or value is None:
        return False
    try:
        seen, exact = decimal.Decimal(str(value)), decimal.Decimal(exact)
    except decimal.InvalidOperation:
        return False
    return seen == exact or ("float" in answer.text[:300] and abs(seen - exact) <= abs(exact) * decimal.Decimal("1e-14"))


def overflow(portal):
    """F18."""
    cases, wrong = overflow_cases(), 0
    for sql, exact in cases:
        answer = portal.ask(sql)
        if not honest(answer, exact):
            wrong += 1
            print(f"  {sql}: {answer.code} {answer.rows[:1] if answer.code == 'ok' else answer.detail()[:120]}, exact is {exact}")
    return Figure("F18", f"calculations beyond their type: exact, wider, or refused ({len(cases)} cases)", "0 silent",
                  f"{wrong} silent", wrong == 0, "tests/attack neighbours")


def figures(portal, minutes, short):
    """F7, F8, F9, F18, S70, each told as soon as it is known."""
    yield bombs(portal, 3 if short else 100)
    yield overflow(portal)
    yield from latency(portal, minutes)
    if short:
        yield crowd(portal, 40, own_address=True)
        return
    yield downloads(portal, minutes)
    for own in (False, True):
        yield crowd(portal, CROWD, own)
