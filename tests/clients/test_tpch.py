"""TPC-H at scale factor 0.01: the published answers, asked over /sql of tables that went through the road in."""

import csv
import io
import pathlib
import tarfile

import duckdb
import duckdb_extension_tpch
import pytest
import requests
from conftest import Server, corpus, publish

TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]


@pytest.fixture(scope="module")
def tpch(tmp_path_factory):
    """A portal with the eight tables, published from CSV as DuckDB's generator makes them."""
    archive = corpus() / "sql" / "tpch-duckdb-queries-answers-sf0.01.tar.gz"
    directory = tmp_path_factory.mktemp("tpch")
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    package = pathlib.Path(duckdb_extension_tpch.__file__).parent
    connection.execute(f"load '{next(package.rglob('tpch.duckdb_extension'))}'")
    connection.execute("call dbgen(sf = 0.01)")
    for table in TABLES:
        connection.execute(f"copy {table} to '{directory}/{table}.csv' (header)")
        publish(directory / "portal", directory / f"{table}.csv", table)
    server = Server(["serve", "--data", str(directory / "portal"), "--listen", "127.0.0.1:0"])
    with tarfile.open(archive) as tar:
        files = {member.name.split("tpch/dbgen/")[-1]: tar.extractfile(member).read().decode()
                 for member in tar.getmembers() if member.isfile()}
    yield server, files
    server.stop()


def close(mine, theirs):
    if mine == theirs:
        return True
    try:
        mine, theirs = float(mine), float(theirs)
    except (TypeError, ValueError):
        return False
    return abs(mine - theirs) <= 0.01 + abs(theirs) * 1e-6


@pytest.mark.parametrize("number", range(1, 23))
def test_answers_are_the_published_ones(tpch, number):
    server, files = tpch
    sql = files[f"queries/q{number:02}.sql"].strip().rstrip(";")
    expected = list(csv.reader(io.StringIO(files[f"answers/sf0.01/q{number:02}.csv"]), delimiter="|"))[1:]
    answer = requests.post(f"{server.url}/sql", data=sql, params={"format": "csv"},
                           headers={"Content-Type": "application/sql"}, timeout=120)
    assert answer.status_code == 200, answer.text
    rows = list(csv.reader(io.StringIO(answer.text)))[1:]
    assert len(rows) == len(expected)
    for mine, theirs in zip(rows, expected):
        # A row of one null is an empty line to the csv module.
        theirs = theirs or [""]
        assert len(mine) == len(theirs)
        assert all(close(a.strip(), b.strip()) for a, b in zip(mine, theirs)), (mine, theirs)
