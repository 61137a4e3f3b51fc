"""pandas, polars and DuckDB, by the lines that their users write."""

import glob
import os

import duckdb
import pandas
import polars
import pytest


def test_pandas_reads_csv_and_parquet(server):
    frame = pandas.read_csv(f"{server.url}/datasets/service-requests/versions/1.csv", dtype={"zip_code": str})
    assert len(frame) == 60_000
    assert frame["zip_code"].str.len().eq(5).all()
    permits = pandas.read_parquet(f"{server.url}/datasets/building-permits.parquet")
    assert len(permits) == 6_300


def test_polars_scans_parquet_with_ranges(server):
    url = f"{server.url}/datasets/service-requests/versions/1.parquet"
    counted = polars.scan_parquet(url).filter(polars.col("priority") == 1).select(polars.len()).collect()
    assert 10_000 < counted.item() < 20_000


def test_polars_scans_csv_with_ranges(server):
    url = f"{server.url}/datasets/building-permits/versions/3.csv"
    frame = polars.scan_csv(url, infer_schema_length=None).select("permit_number", "status").collect()
    assert frame.height == 6_300


def test_duckdb_reads_over_httpfs(server):
    package = os.path.dirname(__import__("duckdb_extension_httpfs").__file__)
    extension = glob.glob(f"{package}/extensions/*/httpfs.duckdb_extension")
    if not extension:
        pytest.skip("the httpfs extension is not installed")
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute(f"LOAD '{extension[0]}'")
    rows = connection.execute(
        f"select count(*), count(distinct district) from '{server.url}/datasets/service-requests/versions/1.parquet'"
        " where category = 'Streets'").fetchone()
    assert rows[0] > 5_000 and rows[1] == 7
    csv = connection.execute(
        f"select count(*) from read_csv('{server.url}/datasets/building-permits/versions/3.csv')").fetchone()
    assert csv[0] == 6_300
