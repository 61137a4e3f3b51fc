"""Arrow Flight and Flight SQL clients."""

import concurrent.futures

import adbc_driver_flightsql.dbapi
import pandas
import pyarrow
import pyarrow.flight as flight
import pytest
import requests

from conftest import run


@pytest.fixture
def connection(server):
    with adbc_driver_flightsql.dbapi.connect(server.grpc) as connection:
        yield connection


def test_flights_are_the_catalog(server):
    client = flight.connect(server.grpc)
    names = {info.descriptor.path[0].decode() for info in client.list_flights()}
    assert {"service-requests", "parks", "budget"} <= names


def test_endpoints_together_are_the_whole_table(server):
    client = flight.connect(server.grpc)
    info = client.get_flight_info(flight.FlightDescriptor.for_path("service-requests"))
    assert info.total_records == 60_000 and info.endpoints
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        tables = list(pool.map(lambda end: client.do_get(end.ticket).read_all(), info.endpoints))
    table = pyarrow.concat_tables(tables)
    assert table.num_rows == 60_000
    assert len(set(table["request_id"].to_pylist())) == 60_000
    assert table.schema.equals(info.schema, check_metadata=False)


def test_a_path_names_a_version(server):
    client = flight.connect(server.grpc)
    info = client.get_flight_info(flight.FlightDescriptor.for_path("building-permits", "versions", "1"))
    assert sum(client.do_get(end.ticket).read_all().num_rows for end in info.endpoints) == 5_400
    with pytest.raises(pyarrow.lib.ArrowKeyError):
        client.get_flight_info(flight.FlightDescriptor.for_path("no-such-thing"))


def test_a_ticket_of_plain_sql_is_served(server):
    client = flight.connect(server.grpc)
    table = client.do_get(flight.Ticket(b"select count(*) as n from parks")).read_all()
    assert table.column(0).to_pylist() == [64]


def test_adbc_executes_with_parameters(connection):
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from building_permits where status = $1", ("Issued",))
        assert cursor.fetchone()[0] > 500
        cursor.execute("select district, count(*) n from service_requests group by district order by district")
        table = cursor.fetch_arrow_table()
        assert table.num_rows == 7 and sum(table["n"].to_pylist()) == 60_000


def test_adbc_answers_have_the_types_of_the_bound_values(connection):
    import datetime
    import decimal

    with connection.cursor() as cursor:
        for value in ["x", 7, 1.5, True, decimal.Decimal("12.50"), datetime.date(2026, 1, 31)]:
            cursor.execute("select $1 as given, count(*) as n from parks", (value,))
            assert cursor.fetchone() == (value, 64), value
        # A number beside a text column is the text that it is.
        cursor.execute("select count(*) from building_permits where status = $1", (5,))
        assert cursor.fetchone() == (0,)


def test_adbc_reads_the_catalog(connection):
    objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    tables = {table["table_name"] for catalog in objects for schema in catalog["catalog_db_schemas"]
              for table in schema["db_schema_tables"]}
    assert {"service_requests", "parks"} <= tables
    schema = connection.adbc_get_table_schema("building_permits")
    assert schema.field("declared_value").type == pyarrow.decimal128(
        schema.field("declared_value").type.precision, 2)
    assert "table" in {kind.lower() for kind in connection.adbc_get_table_types()}


def test_pandas_reads_sql_over_flight(connection):
    frame = pandas.read_sql("select kind, avg(score) as score from restaurant_inspections group by kind", connection)
    assert len(frame) == 8 and frame["score"].between(80, 100).all()


def test_adbc_gives_the_schema_without_running(connection):
    with connection.cursor() as cursor:
        schema = cursor.adbc_execute_schema("select pm25, measured_at from air_quality")
        assert schema.names == ["pm25", "measured_at"]


def test_updates_are_refused_with_a_clear_status(connection):
    with connection.cursor() as cursor:
        with pytest.raises(Exception, match="(?i)read-only|not allowed|only"):
            cursor.execute("delete from parks")
        with pytest.raises(Exception):
            cursor.adbc_ingest("parks", pyarrow.table({"a": [1]}), mode="append")
        cursor.execute("select 1")
        assert cursor.fetchone()[0] == 1


def test_flightsql_dbapi_reads(server):
    try:
        from flightsql import FlightSQLClient
    except ImportError as error:
        pytest.skip(f"flightsql-dbapi does not import here: {error}")
    host, port = server.host.split(":")
    client = FlightSQLClient(host=host, port=int(port), insecure=True)
    info = client.execute("select count(*) as n from bus_stops")
    assert client.do_get(info.endpoints[0].ticket).read_all().to_pylist() == [{"n": 860}]


def test_batches_of_staff_become_a_revision(start, tmp_path):
    def field(number, text):
        return bytes([number << 3 | 2, len(text)]) + text

    data = str(tmp_path / "portal")
    server = start("serve", "--data", data, "--listen", "127.0.0.1:0")
    made = run("token", "create", "ana", "--role", "steward", "--department", "Parks", "--data", data)
    bearer = "Bearer " + made.stdout.strip()
    command = field(1, b"type.googleapis.com/portico.v1.StageCommand") + field(2, field(1, b"trees") + field(2, b"Parks"))
    species = pyarrow.array(["oak", "ash", None] * 10_000).dictionary_encode()
    table = pyarrow.table({"id": pyarrow.array(range(30_000)), "species": species})
    options = flight.FlightCallOptions(headers=[(b"authorization", bearer.encode())])
    client = flight.connect(server.grpc)
    writer, reader = client.do_put(flight.FlightDescriptor.for_command(command), table.schema, options)
    writer.write_table(table, max_chunksize=8_192)
    writer.done_writing()
    revision = bytes(reader.read())[2:28].decode()
    writer.close()
    api = f"{server.url}/api/staff/revisions/{revision}"
    screened = requests.post(f"{api}/screen", headers={"authorization": bearer}).json()
    assert (screened["state"], screened["profile"]["rows"]) == ("screened", 30_000)
    rows = requests.get(f"{api}/rows", headers={"authorization": bearer}).json()
    assert rows["rows"][:3] == [{"id": 0, "species": "oak"}, {"id": 1, "species": "ash"}, {"id": 2, "species": None}]
