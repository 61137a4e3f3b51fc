"""Portico, DuckDB and ROAPI on the same rows, interleaved: only ratios of one run mean anything.

Portico answers over HTTP from the files that its road in wrote; DuckDB runs in this process on one Parquet file
that it wrote itself; ROAPI serves that same Parquet file over HTTP. Each figure is the median of the rounds, after
one warm-up. DuckDB's answer is fetched as an Arrow table, the others' is read to the last byte as Arrow.
"""

import argparse
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb
import pyarrow.ipc
import requests

QUESTIONS = {
    "count all": "select count(*) as n from {t}",
    "one row": "select * from {t} where request_id = 'SR-0000777'",
    "group by district": "select district, count(*) as n, avg(days_open) as days from {t} group by district",
    "top 10 types of a month": "select request_type, count(*) as n from {t} where opened_at >= timestamp '2025-03-01' "
                               "and opened_at < timestamp '2025-04-01' group by request_type order by n desc limit 10",
    "like": "select count(*) as n from {t} where location like '%River%'",
    "distinct": "select count(distinct location) as n from {t}",
    "bounding box": "select category, count(*) as n from {t} where latitude between 36.03 and 36.05 "
                    "and longitude between -78.92 and -78.90 group by category",
    "window": "select district, opened_at, row_number() over (partition by district order by opened_at desc) as r "
              "from {t} qualify r <= 3",
    "month by month": "select date_trunc('month', opened_at) as month, department, count(*) as n from {t} group by 1, 2",
    "sort, 100 of all": "select request_id, days_open from {t} order by days_open desc, request_id limit 100",
}
# ROAPI's engine is older: what it does not parse is left out of its column.


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--portico", required=True)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="portico-bench-") as directory:
        Bench(options, pathlib.Path(directory)).run()


class Bench:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.processes = []

    def run(self):
        try:
            self.start()
            self.report()
        finally:
            for process in self.processes:
                process.terminate()

    def start(self):
        portico = subprocess.Popen(
            [self.options.portico, "demo", "--listen", "127.0.0.1:0", "--data", str(self.directory / "portal"),
             "--rows", str(self.options.rows)], stdout=subprocess.PIPE, text=True)
        self.processes.append(portico)
        for line in portico.stdout:
            found = re.match(r"portico ready (http\S+)", line)
            if found:
                self.portico = found.group(1)
                break
        else:
            sys.exit("portico did not start")
        csv = self.directory / "requests.csv"
        with requests.get(f"{self.portico}/datasets/service-requests.csv", stream=True) as answer, csv.open("wb") as out:
            shutil.copyfileobj(answer.raw, out)
        self.parquet = self.directory / "requests.parquet"
        self.duckdb = duckdb.connect()
        self.duckdb.execute("set threads to 2")
        self.duckdb.execute(f"copy (from read_csv('{csv}', types={{'zip_code': 'varchar'}})) to '{self.parquet}' "
                            "(format parquet, compression zstd)")
        self.duckdb.execute(f"create view requests as from '{self.parquet}'")
        self.roapi = self.start_roapi()

    def start_roapi(self):
        program = pathlib.Path(sys.executable).parent / "roapi"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = subprocess.Popen(
            [str(program), "--table", f"requests={self.parquet}", "--addr-http", f"127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "RUST_LOG": "error"})
        self.processes.append(process)
        for _ in range(300):
            try:
                requests.get(f"http://127.0.0.1:{port}/health", timeout=1)
                return f"http://127.0.0.1:{port}"
            except requests.ConnectionError:
                time.sleep(0.1)
        print("ROAPI did not start: its column is empty", file=sys.stderr)
        return None

    def report(self):
        print(f"{self.options.rows:,} rows, {self.options.rounds} rounds, {os.cpu_count()} cores; medians in ms\n")
        print(f"| {'question':24} | portico | duckdb | roapi | portico/duckdb | portico/roapi |")
        print(f"|{'-' * 26}|--------:|-------:|------:|---------------:|--------------:|")
        ratios = []
        for name, sql in QUESTIONS.items():
            peers = {
                "portico": lambda: self.ask_portico(sql.format(t="service_requests")),
                "duckdb": lambda: self.duckdb.execute(sql.format(t="requests")).fetch_arrow_table(),
                "roapi": lambda: self.ask_roapi(sql.format(t="requests")),
            }
            ratios.append(self.line(name, peers))
        print(f"\ngeometric mean of portico/duckdb: {statistics.geometric_mean(ratios):.2f}\n")
        counter = iter(range(10_000))
        self.line("CSV export, first time", {
            # Another filter each time, true of every row: nothing is spooled yet.
            "portico": lambda: self.export(f"?where=priority%20%3C%20{100 + next(counter)}"),
            "duckdb": lambda: self.duckdb.execute(f"copy requests to '{self.directory}/out.csv' (header)"),
        })
        self.line("CSV export, again", {
            "portico": lambda: self.export(""),
            "duckdb": lambda: self.duckdb.execute(f"copy requests to '{self.directory}/out.csv' (header)"),
        })

    def line(self, name, peers):
        times = {peer: [] for peer in peers}
        broken = set()
        for turn in range(self.options.rounds + 1):
            for peer, call in peers.items():
                if peer in broken:
                    continue
                began = time.perf_counter()
                try:
                    call()
                except Exception as error:
                    if peer == "portico":
                        raise
                    broken.add(peer)
                    continue
                if turn:
                    times[peer].append(time.perf_counter() - began)
        medians = {peer: statistics.median(values) * 1000 for peer, values in times.items() if values and peer not in broken}
        cell = lambda value, form: "" if value is None else form.format(value)
        ratio = lambda peer: medians["portico"] / medians[peer] if peer in medians else None
        print(f"| {name:24} | {medians['portico']:7.1f} | {cell(medians.get('duckdb'), '{:6.1f}')} | "
              f"{cell(medians.get('roapi'), '{:5.1f}')} | {cell(ratio('duckdb'), '{:.2f}')} | {cell(ratio('roapi'), '{:.2f}')} |")
        return ratio("duckdb")

    def ask_portico(self, sql):
        answer = requests.post(f"{self.portico}/sql?format=arrow", data=sql, headers={"Content-Type": "application/sql"})
        if answer.status_code != 200:
            raise RuntimeError(answer.text)
        return pyarrow.ipc.open_stream(answer.content).read_all()

    def ask_roapi(self, sql):
        if not self.roapi:
            raise RuntimeError("no ROAPI")
        answer = requests.post(f"{self.roapi}/api/sql", data=sql, headers={"Accept": "application/vnd.apache.arrow.stream"})
        if answer.status_code != 200:
            raise RuntimeError(answer.text)
        return pyarrow.ipc.open_stream(answer.content).read_all()

    def export(self, parameters):
        read = 0
        with requests.get(f"{self.portico}/datasets/service-requests.csv{parameters}", stream=True,
                          headers={"Accept-Encoding": "identity"}) as answer:
            for chunk in answer.iter_content(1 << 20):
                read += len(chunk)
        if not read:
            raise RuntimeError("an empty export")


if __name__ == "__main__":
    main()
