"""Statements that a stranger may send to do harm, with the answer that each must get.

Every row goes through HTTP, a plain Flight ticket and Flight SQL; meanwhile a neighbour asks a small question. The
codes are those of docs/problems.md. Tables are the sample city's.
"""

import dataclasses
import time

from attacks.target import LIMIT_MS, PROBLEMS, Figure, Probe, flight_code, flight_text, leaks

OK = {"ok"}
STATEMENT = {"statement_not_allowed"}
FUNCTION = {"function_not_allowed"}
COMPLEX = {"query_too_complex"}
TIME = {"query_timeout", "broken"}
MEMORY = {"query_memory"}
BIG = {"answer_too_large"}
NOT_FOUND = {"not_found"}
SIZE = {"too_large"}
INVALID = {"invalid_sql"}
FAILED = {"query_failed"}
VALUE = {"invalid_sql", "invalid_parameter", "query_failed", "unknown_column"}
# A value that is too large may be refused by its literal, by its size as it is made, or by the memory that it takes.
BOUND = VALUE | MEMORY | COMPLEX | FUNCTION
# Where a function is not offered at all, that is an answer too.
OR_ABSENT = VALUE | FUNCTION


@dataclasses.dataclass
class Row:
    """One attack: its number, the statement, the codes that are right."""

    name: str
    sql: str | bytes
    expect: set
    # What must be true of a right answer.
    check: object = None
    # Statements that no Flight client can send as text, or that are about HTTP alone.
    http_only: bool = False
    # What the text of the refusal must say.
    says: str = ""


def nested(opening, inside, closing, levels=100):
    return "select " + opening * levels + inside + closing * levels


def doubling(levels, join="a, c{0} b"):
    steps = ["c0 as (select 1 as x)"]
    steps += [f"c{i} as (select a.x from c{i - 1} " + join.format(i - 1) + ")" for i in range(1, levels + 1)]
    return "with " + ", ".join(steps) + f" select count(*) from c{levels}"


D = "service_requests"
N = ", ".join(f"{i} a{i}" for i in range(20))
NAMES = ", ".join(f"a{i}" for i in range(20))
LONG = "(select repeat(location, 5000) s from service_requests)"

ROWS = [
    # Writing, and everything else that is no query.
    Row("S01", "COPY (SELECT 1) TO '/tmp/portico-attack.csv'", STATEMENT),
    Row("S01", "copy parks to 's3://bucket/x.parquet' stored as parquet", STATEMENT),
    Row("S01", "COPY parks FROM '/etc/passwd'", STATEMENT),
    Row("S02", "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/portico-attack.csv'", STATEMENT),
    Row("S02", "EXPLAIN COPY (SELECT 1) TO '/tmp/portico-attack.csv'", STATEMENT),
    Row("S03", "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", STATEMENT),
    Row("S03", "create or replace external table parks stored as parquet location 's3://bucket/'", STATEMENT),
    Row("S04", "CREATE TABLE t AS SELECT 1", STATEMENT),
    Row("S04", "SELECT 1 INTO t", STATEMENT | {"invalid_sql"}),
    Row("S04", "SELECT * INTO TEMP t FROM parks", STATEMENT | {"invalid_sql"}),
    Row("S04", "CREATE VIEW v AS SELECT 1", STATEMENT),
    Row("S04", "CREATE FUNCTION f(int) RETURNS int RETURN $1", STATEMENT),
    Row("S04", "WITH a AS (SELECT 1) INSERT INTO parks SELECT * FROM a", STATEMENT | {"invalid_sql"}),
    Row("S04", "WITH a AS (DELETE FROM parks RETURNING *) SELECT * FROM a", STATEMENT | {"invalid_sql"}),
    Row("S05", "INSERT INTO parks VALUES(1)", STATEMENT),
    Row("S05", "UPDATE parks SET acres = 1", STATEMENT),
    Row("S05", "DELETE FROM parks", STATEMENT),
    Row("S05", "DELETE FROM no_such_thing", STATEMENT),
    Row("S05", "TRUNCATE TABLE parks", STATEMENT),
    Row("S05", "MERGE INTO parks USING budget ON true WHEN MATCHED THEN DELETE", STATEMENT),
    Row("S06", "DROP TABLE parks", STATEMENT),
    Row("S06", "ALTER TABLE parks ADD COLUMN x int", STATEMENT),
    Row("S06", "ALTER TABLE parks RENAME TO x", STATEMENT),
    Row("S07", "SET datafusion.execution.batch_size=1", STATEMENT),
    Row("S07", "RESET datafusion.execution.batch_size", STATEMENT),
    Row("S07", "SET TIME ZONE 'x'", STATEMENT),
    Row("S07", "SET SESSION AUTHORIZATION admin", STATEMENT),
    Row("S08", "PREPARE p AS SELECT 1", STATEMENT),
    Row("S08", "EXECUTE p(1)", STATEMENT),
    Row("S08", "DEALLOCATE p", STATEMENT),
    Row("S09", "BEGIN", STATEMENT),
    Row("S09", "COMMIT", STATEMENT),
    Row("S09", "CALL system()", STATEMENT),
    Row("S09", "DO $$ BEGIN PERFORM 1; END $$", STATEMENT | {"invalid_sql"}),
    Row("S09", "GRANT ALL ON parks TO public", STATEMENT),
    Row("S09", "VACUUM", STATEMENT),
    Row("S09", "LOAD 'x'", STATEMENT),
    Row("S09", "INSTALL httpfs", STATEMENT),
    Row("S09", "ATTACH 'x.db' AS x", STATEMENT),
    Row("S09", "PRAGMA database_list", STATEMENT),
    Row("S09", "USE portico", STATEMENT),
    Row("S09", "KILL 1", STATEMENT),
    Row("S10", "SELECT 1; DROP TABLE parks", STATEMENT),
    Row("S10", "SELECT 1;;SELECT 2", STATEMENT),
    Row("S10", "SELECT 1; -- x\nSELECT 2", STATEMENT),
    Row("S10", "SELECT 1 /* */ ; -- ", OK),
    Row("S10", "/* a */ -- b\n SELECT 1;", OK),
    Row("S11", "SHOW ALL", STATEMENT),
    Row("S11", "SHOW datafusion.runtime.temp_directory", STATEMENT),
    Row("S11", "SHOW FUNCTIONS", STATEMENT),
    Row("S11", "SHOW CREATE TABLE parks", STATEMENT),
    Row("S11", "SHOW DATABASES", STATEMENT),
    Row("S11", "SHOW VARIABLES", STATEMENT),
    Row("S12", "SELECT * FROM information_schema.df_settings", NOT_FOUND),
    Row("S12", "SELECT * FROM information_schema.views", NOT_FOUND),
    Row("S12", "SELECT * FROM information_schema.routines", NOT_FOUND),
    Row("S12", "SELECT * FROM information_schema.parameters", NOT_FOUND),
    Row("S12", "SELECT count(*) FROM information_schema.tables", OK),
    Row("S13", "SHOW TABLES", OK, lambda rows: len([row for row in rows if not row[2].startswith("rnd_")]) == 8),
    Row("S13", "DESCRIBE parks", OK),
    Row("S13", "DESCRIBE SELECT 1", STATEMENT),
    Row("S13", "DESCRIBE no_such_thing", NOT_FOUND),
    Row("S14", "EXPLAIN SELECT * FROM parks", OK),
    Row("S14", f"EXPLAIN SELECT a.district, count(*) FROM {D} a JOIN parks b USING (district) GROUP BY 1", OK),
    Row("S15", "EXPLAIN ANALYZE SELECT * FROM parks", STATEMENT),
    Row("S15", "EXPLAIN VERBOSE SELECT * FROM parks", STATEMENT),
    Row("S15", "EXPLAIN FORMAT JSON SELECT * FROM parks", STATEMENT),
    Row("S15", "EXPLAIN (ANALYZE true) SELECT * FROM parks", STATEMENT),
    Row("S15", "EXPLAIN EXPLAIN SELECT 1", STATEMENT),
    # Functions that tell of the server, or read files.
    Row("S16", "SELECT input_file_name() FROM parks", FUNCTION),
    Row("S16", "SELECT file_row_index() FROM parks", FUNCTION),
    Row("S16", "SELECT version()", FUNCTION),
    Row("S16", "SELECT arrow_metadata(name) FROM parks", FUNCTION),
    Row("S16", "SELECT arrow_field(name) FROM parks", FUNCTION),
    Row("S16", "SELECT \"version\"()", FUNCTION),
    Row("S16", "SELECT pg_sleep(10)", FUNCTION),
    Row("S16", "SELECT current_setting('x')", FUNCTION),
    Row("S16", "SELECT ts_rewrite('a', 'select 1')", FUNCTION),
    Row("S16", "SELECT getenv('PATH')", FUNCTION),
    Row("S16", "SELECT no_such_function(1)", FUNCTION),
    Row("S17", "SELECT * FROM '/etc/passwd'", NOT_FOUND | {"invalid_sql"}),
    Row("S17", "SELECT * FROM \"/etc/passwd\"", NOT_FOUND),
    Row("S17", "SELECT * FROM \"/proc/self/environ\"", NOT_FOUND),
    Row("S17", "SELECT * FROM \"file:///etc/passwd\"", NOT_FOUND),
    Row("S17", "SELECT * FROM \"s3://b/x.parquet\"", NOT_FOUND),
    Row("S17", "SELECT * FROM \"http://169.254.169.254/latest/meta-data\"", NOT_FOUND),
    Row("S17", "SELECT * FROM 's3://b/x.parquet'", NOT_FOUND | {"invalid_sql"}),
    Row("S18", "SELECT * FROM read_csv('/etc/passwd')", FUNCTION | NOT_FOUND),
    Row("S18", "SELECT * FROM read_parquet('s3://b/x.parquet')", FUNCTION | NOT_FOUND),
    Row("S18", "SELECT * FROM parquet_metadata('x')", FUNCTION | NOT_FOUND),
    Row("S18", "SELECT * FROM metadata_cache()", FUNCTION | NOT_FOUND),
    Row("S18", "SELECT * FROM generate_series(1, 9223372036854775807)", OR_ABSENT | COMPLEX),
    Row("S19", "SELECT * FROM pg_catalog.pg_tables", NOT_FOUND),
    Row("S19", "SELECT * FROM other_catalog.secret.t", NOT_FOUND),
    Row("S19", 'SELECT * FROM "..".".."."t"', NOT_FOUND),
    Row("S19", 'SELECT * FROM portico.staging.parks', NOT_FOUND),
    Row("S19", 'SELECT * FROM a.b.c.d', NOT_FOUND | {"invalid_sql"}),
    Row("S20", "SELECT * FROM draft_dataset", NOT_FOUND),
    Row("S20", "SELECT inspector_ssn FROM restaurant_inspections", {"unknown_column"}),
    # Small statements for large values.
    Row("S22", "SELECT repeat('x',2000000000)", BOUND),
    Row("S22", "SELECT length(repeat('x',1000000000)) FROM parks", BOUND),
    Row("S22", "SELECT count(*) FROM parks WHERE repeat(name,100000000) = 'x'", BOUND),
    Row("S23", "SELECT length(repeat(repeat('x',1000000),2000))", BOUND),
    Row("S24", "SELECT lpad('x',2000000000)", BOUND),
    Row("S24", "SELECT rpad('x',2000000000,'y')", BOUND),
    Row("S25", f"SELECT max(length(rpad('x',cast(v as int)))) FROM (VALUES (2000000)) t(v), {D}", BOUND | TIME),
    Row("S25", f"SELECT max(length(lpad(location,1900000,location))) FROM {D}", BOUND | TIME),
    Row("S26", "SELECT array_repeat('x',2000000000)", BOUND),
    Row("S26", "SELECT array_resize([1],2000000000,1)", BOUND),
    Row("S26", "SELECT cardinality(array_repeat(array_repeat(1, 100000), 100000))", BOUND),
    Row("S27", "SELECT arrow_cast(null,'FixedSizeBinary(2000000000)')", FUNCTION),
    Row("S27", "SELECT arrow_cast(null,'FixedSizeList(2000000000 x Int64)')", FUNCTION),
    Row("S27", "SELECT cast(null as char(2000000000))", OK | VALUE),
    Row("S28", "SELECT approx_percentile_cont(0.5,1000000000) WITHIN GROUP (ORDER BY priority) FROM service_requests",
        BOUND),
    Row("S28", "SELECT approx_percentile_cont(priority, 0.5, 1000000000) FROM service_requests", BOUND),
    Row("S29", "SELECT generate_series(1,9876543210)", OR_ABSENT | COMPLEX),
    Row("S29", "SELECT unnest(range(1,300000000))", OR_ABSENT | COMPLEX),
    Row("S29", "SELECT count(x+1) FROM (SELECT unnest(range(1,300000000)) x)", OR_ABSENT | COMPLEX),
    Row("S29", f"SELECT count(*) FROM (SELECT unnest(range(1, 1000000)) FROM {D})", BOUND | TIME | OK),
    Row("S30", f"SELECT length(string_agg(repeat(location, 1000), ',')) FROM {D}", BOUND | TIME),
    Row("S30", f"SELECT cardinality(array_agg(repeat(location, 10000))) FROM {D}", BOUND | TIME),
    Row("S31", f"SELECT array_agg(priority) OVER () FROM {D}", COMPLEX),
    Row("S31", f"SELECT array_agg(priority) OVER (ORDER BY request_id) FROM {D}", COMPLEX),
    Row("S31", f"SELECT array_agg(priority) OVER w FROM {D} WINDOW w AS (ORDER BY request_id)", COMPLEX),
    Row("S31", f"SELECT array_agg(priority) OVER (ROWS BETWEEN 1000000 PRECEDING AND CURRENT ROW) FROM {D}", COMPLEX),
    Row("S32", f"SELECT string_agg(location,',') OVER (ORDER BY request_id) FROM {D}", COMPLEX),
    Row("S32", f"SELECT median(priority) OVER () FROM {D}", COMPLEX),
    Row("S33", f"SELECT count(distinct location) OVER (ORDER BY request_id) FROM {D}", COMPLEX | VALUE | OK | TIME | MEMORY),
    Row("S34", f"SELECT sum(s) FROM (SELECT sum(a.priority) OVER (PARTITION BY a.priority % 2) s FROM {D} a "
        "CROSS JOIN (VALUES (1),(2),(3),(4),(5),(6),(7),(8)) b)", OK | MEMORY | TIME),
    Row("S35", f"SELECT max(length(concat(s,s,s,s,s,s,s,s))) FROM {LONG}", BOUND | TIME),
    Row("S35", f"SELECT max(length(s || s || s || s || s || s || s || s)) FROM {LONG}", BOUND | TIME),
    Row("S36", f"SELECT max(length(replace(s,'e',s))) FROM {LONG}", BOUND | TIME),
    Row("S36", f"SELECT max(length(translate(s,'e','éé'))) FROM {LONG}", BOUND | TIME | OK),
    Row("S36", f"SELECT max(length(regexp_replace(s,'.',s,'g'))) FROM {LONG}", BOUND | TIME),
    Row("S36", "SELECT length(replace(repeat('x',50000),'x',repeat('x',50000)))", BOUND),
    Row("S37", "SELECT length(array_to_string(array_repeat('x',100000000),repeat('y',1000)))", BOUND),
    Row("S37", "SELECT length(array_to_string(array_repeat('x',900000),repeat('y',900000)))", BOUND | TIME),
    Row("S38", f"SELECT count(*) FROM (SELECT {N}) t GROUP BY CUBE({NAMES})", COMPLEX),
    Row("S38", f"SELECT count(*) FROM (SELECT {N}) t GROUP BY ROLLUP({NAMES}), CUBE(a0,a1,a2)", COMPLEX),
    Row("S38", f"SELECT count(*) FROM (SELECT {N}) t GROUP BY CUBE(a0,a1,a2,a3), CUBE(a4,a5,a6)", COMPLEX),
    Row("S39", "SELECT md5(repeat('x',1000000000))", BOUND),
    Row("S39", "SELECT to_char(now(), repeat('%c', 1000000))", BOUND | TIME | OK),
    # Statements that are hard to plan.
    Row("S40", "SELECT " + "+".join(["1"] * 20_000), COMPLEX),
    Row("S40", "SELECT " + "+".join(["1"] * 2_000), COMPLEX),
    Row("S40", "SELECT " + "||".join(["'a'"] * 10_000), COMPLEX),
    Row("S41", "SELECT 1 FROM parks WHERE " + " OR ".join(["acres > 1"] * 20_000), SIZE),
    Row("S41", "SELECT 1 FROM parks WHERE " + " OR ".join(["acres=1"] * 5_000), COMPLEX),
    Row("S41", "SELECT 1 FROM parks WHERE " + " OR ".join(["(a and b)"] * 4_000), COMPLEX),
    Row("S43", nested("(", "1", ")"), COMPLEX),
    Row("S43", nested("abs(", "1", ")"), COMPLEX),
    Row("S43", nested("case when true then ", "1", " end"), COMPLEX),
    Row("S43", nested("(select ", "1", ")"), COMPLEX),
    Row("S43", "select 1 where " + "exists (select 1 where " * 100 + "true" + ")" * 100, COMPLEX),
    Row("S43", nested("[", "1", "]"), COMPLEX),
    Row("S43", "select " + "not " * 100 + "true", COMPLEX),
    Row("S43", "select " + "- " * 100 + "1", COMPLEX),
    Row("S43", "select " + "(" * 30_000, COMPLEX | VALUE),
    Row("S43", "select * from " + "(select * from " * 100 + "parks" + ") a" * 100, COMPLEX),
    Row("S43", "select cast(null as " + "array<" * 100 + "int" + ">" * 100 + ")", COMPLEX | VALUE),
    Row("S44", doubling(20), COMPLEX),
    Row("S44", doubling(60), COMPLEX),
    Row("S44", doubling(12, "a where x in (select x from c{0})"), COMPLEX),
    Row("S44", "with recursive r as (select 1 n union all select n + 1 from r) select count(*) from r", STATEMENT),
    Row("S45", " union all ".join(["select 1"] * 3_000), COMPLEX),
    Row("S45", " union all ".join(["select 1"] * 120), COMPLEX),
    Row("S45", "select count(*) from " + ", ".join(f"parks p{i}" for i in range(70)), COMPLEX),
    Row("S46", "SELECT " + ",".join(["1"] * 20_000), COMPLEX),
    Row("S46", "SELECT " + ",".join(["*"] * 200) + f" FROM {D}", COMPLEX | VALUE),
    Row("S47", "SELECT 1 FROM parks WHERE opened IN (" + ",".join(["1"] * 31_000) + ")", COMPLEX | SIZE),
    Row("S47", "SELECT 1 FROM parks WHERE opened IN (" + ",".join(["1"] * 100_000) + ")", SIZE | COMPLEX),
    Row("S47", "VALUES " + ",".join(["(1)"] * 15_000), COMPLEX),
    Row("S47", "VALUES " + ",".join(["(1)"] * 100_000), SIZE | COMPLEX),
    Row("S47", "SELECT length('" + "x" * 32_000 + "')", OK),
    Row("S47", "SELECT length('" + "x" * 60_000 + "')", COMPLEX | SIZE | OK),
    # Statements that compute without end.
    Row("S49", f"SELECT sum(a.priority*b.priority*c.priority) FROM {D} a CROSS JOIN {D} b CROSS JOIN {D} c", TIME),
    Row("S49", f"SELECT count(*) FROM {D} a, {D} b, parks c WHERE a.priority + b.priority + c.acres < 0", TIME),
    Row("S50", f"SELECT count(*) FROM {D} a JOIN {D} b ON a.latitude < b.latitude*0.5 JOIN parks c ON c.acres > 0",
        TIME | OK),
    Row("S50", f"SELECT count(*) FROM {D} a JOIN {D} b ON a.priority <> b.priority JOIN {D} c ON b.priority <> c.priority",
        TIME | MEMORY),
    Row("S51", f"SELECT count(*) FROM {D} a JOIN {D} b ON a.priority = b.priority JOIN {D} c ON c.district = b.district",
        TIME | MEMORY),
    Row("S52", "SELECT levenshtein(s, reverse(s)) FROM (SELECT repeat('abcdefghij', 20000) s)", BOUND | TIME),
    Row("S52", f"SELECT max(levenshtein(repeat(a.location, 30), repeat(b.location, 30))) FROM {D} a, parks b", BOUND | TIME),
    Row("S53", f"SELECT a.request_id, b.park_id FROM {D} a, parks b ORDER BY random()", MEMORY | TIME | BIG | OK),
    Row("S53", f"SELECT a.*, b.* FROM {D} a, {D} b ORDER BY a.location, b.location", MEMORY | TIME | BIG),
    Row("S54", f"SELECT row_number() OVER (ORDER BY a.location || b.location) FROM {D} a, {D} b", MEMORY | TIME | BIG),
    Row("S54", f"SELECT count(distinct a.request_id || b.request_id) FROM {D} a, {D} b", MEMORY | TIME),
    Row("S55", f"SELECT regexp_replace(location,'('||location||'|[a-z]{{1,500}}){{1,50}}','x') FROM {D}", BOUND),
    Row("S55", f"SELECT count(*) FROM {D} a JOIN parks b ON regexp_like(a.location, b.name)", BOUND),
    Row("S55", f"SELECT count(*) FROM {D} WHERE location ~ district", BOUND),
    Row("S56", "SELECT regexp_like('a','(a{1000}){1000}')", BOUND),
    Row("S56", f"SELECT count(*) FROM {D} WHERE regexp_like(location,'(a{{1000}}){{1000}}')", BOUND),
    Row("S56", "SELECT regexp_like(name, '(\\w{50}){20}') FROM parks", BOUND | OK),
    Row("S56", "SELECT regexp_like(name, '(') FROM parks", VALUE),
    Row("S56", "SELECT regexp_like(name, '" + "(a|b)?" * 400 + "') FROM parks", BOUND | OK),
    Row("S57", f"SELECT count(*) FROM {D} WHERE location LIKE '" + "%a" * 2_000 + "'", OK | TIME | BOUND),
    # Values that are not public, and oracles on them.
    Row("S58", "SELECT park_id FROM parks WHERE cast(name AS int) > 0", VALUE),
    Row("S58", "SELECT cast(name AS date) FROM parks", VALUE),
    Row("S58", "SELECT to_timestamp(name) FROM parks", OR_ABSENT),
    Row("S58", "SELECT cast(park_id AS decimal(5,2)) FROM parks", VALUE | OK),
    Row("S59", "SELECT count(*) FROM parks WHERE 1/(CASE WHEN name='CANARY' THEN 0 ELSE 1 END) > 0", OK),
    Row("S61", "SELECT * FROM parks VERSION AS OF 3", NOT_FOUND | STATEMENT | VALUE),
    Row("S61", 'SELECT * FROM "parks@99"', NOT_FOUND),
    Row("S61", 'SELECT * FROM "parks@v3"', NOT_FOUND | VALUE),
    Row("S61", 'SELECT * FROM "parks@-1"', NOT_FOUND | VALUE),
    Row("S61", "SELECT * FROM parks FOR VERSION AS OF 18446744073709551616", NOT_FOUND | VALUE),
    Row("S61", "SELECT * FROM parks FOR SYSTEM_TIME AS OF '2020-01-01'", NOT_FOUND | STATEMENT | VALUE),
    # Numbers at their ends.
    Row("S62", "SELECT * FROM parks LIMIT 18446744073709551615", INVALID, says="LIMIT takes a whole number"),
    Row("S62", "SELECT * FROM parks LIMIT 9223372036854775808", INVALID, says="LIMIT takes a whole number"),
    Row("S62", "SELECT * FROM parks LIMIT -1", INVALID, says="LIMIT takes a whole number"),
    Row("S62", "SELECT * FROM parks LIMIT 2.5", INVALID, says="LIMIT takes a whole number"),
    Row("S62", "SELECT * FROM parks OFFSET -1", INVALID, says="OFFSET takes a whole number"),
    Row("S62", "SELECT * FROM parks OFFSET 18446744073709551615", INVALID, says="OFFSET takes a whole number"),
    Row("S62", "SELECT * FROM parks LIMIT 9223372036854775807 OFFSET 9223372036854775807", OK, lambda rows: rows == []),
    Row("S62", "SELECT park_id FROM parks ORDER BY park_id LIMIT 9223372036854775807 OFFSET 60", OK, lambda rows: len(rows) == 4),
    Row("S62", "SELECT * FROM parks OFFSET 9223372036854775807", OK, lambda rows: rows == []),
    Row("S62", "SELECT * FROM parks LIMIT 1e400", INVALID),
    Row("S64", "SELECT 9223372036854775807+1", FAILED, says="range of its type"),
    Row("S64", "SELECT 9223372036854775807*2", FAILED, says="range of its type"),
    Row("S64", "SELECT -9223372036854775807-2", FAILED, says="range of its type"),
    Row("S64", "SELECT -9223372036854775808", OK, lambda rows: str(rows[0][0]) == "-9223372036854775808"),
    Row("S64", "SELECT 18446744073709551616 + 1", OK, lambda rows: rows[0][0] == "18446744073709551617"),
    Row("S64", "SELECT -9223372036854775809", OK, lambda rows: rows[0][0] == "-9223372036854775809"),
    Row("S64", "SELECT 99999999999999999999999999999999999999 + 1", FAILED),
    Row("S64", "SELECT CAST(99999999999999999999999999999999999999 + 1 AS VARCHAR)", FAILED),
    Row("S64", "SELECT coalesce(CAST(NULL AS DECIMAL(10, 2)), 1e-20)", OK, lambda rows: rows == [[1e-20]]),
    Row("S64", "SELECT 1e400", INVALID, says="larger than every DOUBLE"),
    Row("S64", "SELECT avg(v) FROM (VALUES (9223372036854775807),(9223372036854775807)) t(v)", OK,
        lambda rows: rows[0][0] == 9223372036854775807.0),
    Row("S64", "SELECT sum(v) FROM (VALUES (9223372036854775807),(1)) t(v)", VALUE | OK,
        lambda rows: str(rows[0][0]) == "9223372036854775808"),
    Row("S64", "SELECT cast(2147483647 as int) * cast(2 as int)", VALUE | OK, lambda rows: str(rows[0][0]) == "4294967294"),
    Row("S65", "SELECT 1/0", VALUE),
    Row("S65", "SELECT 1 % 0", VALUE),
    Row("S65", "SELECT cast('x' as int)", VALUE),
    Row("S65", b"SELECT '\xff\xfe'", VALUE | {"invalid_request"}, http_only=True),
    Row("S65", b"SELECT 1\x00", VALUE | {"invalid_request"}, http_only=True),
    Row("S65", "\ufeffSELECT 1", OK),
    Row("S65", "SELECT '\u202e1'", OK),
    Row("S65", "(" * 60_000, COMPLEX | VALUE, http_only=True),
    Row("S65", "(" * 1_000_000, SIZE, http_only=True),
    Row("S65", "SELECT 'abc", VALUE),
    Row("S65", "SELECT /* abc", VALUE),
    Row("S65", "SELECT $$abc", VALUE),
    Row("S65", "SELECT \"abc", VALUE),
    # An empty ticket, and one of brackets, are read as (damaged) messages of Flight SQL.
    Row("S65", "", VALUE | {"invalid_request"}, http_only=True),
    Row("S65", ";", VALUE),
    Row("S66", "SELECT interval '9223372036854775807 years'", VALUE),
    Row("S66", "SELECT date '2020-01-01' + interval '999999999 months'", VALUE),
    Row("S66", "SELECT date '99999999-01-01'", VALUE),
    Row("S66", "SELECT cast(1e300 as bigint)", VALUE),
    Row("S66", "SELECT cast('nan' as decimal(10,2))", VALUE),
    Row("S66", "SELECT round(1.5, 2147483647)", VALUE | OK),
    Row("S66", "SELECT power(10, 400), factorial(1000)", VALUE | OK | FUNCTION),
    Row("S66", "SELECT substr('abc', -9223372036854775808, 9223372036854775807)", VALUE | OK),
    Row("S66", "SELECT left('abc', -9223372036854775808)", VALUE | OK),
    Row("S66", "SELECT date_bin(interval '0 days', now(), now())", OR_ABSENT),
    Row("S66", "SELECT chr(-1), chr(1114112)", VALUE),
    Row("S66", "SELECT abs(-9223372036854775808)", VALUE),
    Row("S66", "SELECT -9223372036854775808 / -1", VALUE),
    Row("S66", "SELECT array_slice([1,2,3], -9223372036854775808, 9223372036854775807)", VALUE | OK | FUNCTION),
    Row("S66", "SELECT nth_value(name, -9223372036854775808) OVER () FROM parks", VALUE | OK | FUNCTION),
    Row("S66", "SELECT lag(name, 9223372036854775807) OVER (ORDER BY name) FROM parks", VALUE | OK),
    Row("S66", "SELECT ntile(9223372036854775807) OVER (ORDER BY name) FROM parks", VALUE | OK),
    Row("S66", "SELECT sum(opened) OVER (ORDER BY name ROWS BETWEEN 18446744073709551615 PRECEDING AND CURRENT ROW) "
        "FROM parks", VALUE | OK),
    Row("S66", "SELECT sum(opened) OVER (ORDER BY name ROWS BETWEEN CURRENT ROW AND 18446744073709551614 FOLLOWING) FROM parks",
        INVALID, says="UNBOUNDED"),
    Row("S66", "SELECT nth_value(name, 0) FROM parks", INVALID, says="counts from 1"),
    Row("S66", "SELECT array_agg(k ORDER BY x) FROM (SELECT 1 AS k, [[1]] AS x UNION ALL SELECT 2, [[2]]) t", INVALID),
    Row("S66", "SELECT array_sum([[1],[2,3]])", INVALID, says="lists of numbers"),
    Row("S66", "SELECT generate_series(DATE '2024-01-01', DATE '2024-02-01', INTERVAL '1 month -28 days')",
        FAILED, says="one direction"),
    # Names of any length.
    Row("S69", f"SELECT {'x' * 4_000} FROM parks", {"unknown_column"}),
    Row("S69", f"SELECT {'x' * 12_000} FROM parks", COMPLEX),
    Row("S69", f"SELECT {'x' * 30_000} FROM parks", COMPLEX),
    Row("S69", f"SELECT {'x' * 4_000} FROM (SELECT 1 AS {'x' * 4_000}) a, (SELECT 2 AS {'x' * 4_000}) b", INVALID),
    Row("S69", f"SELECT {'x' * 12_000} FROM (SELECT 1 AS {'x' * 12_000}) a, (SELECT 2 AS {'x' * 12_000}) b", COMPLEX),
    # What is compared is what was written, and a condition guards another.
    Row("S74", "SELECT count(*) FROM building_permits WHERE issued_on - applied_on > 30", OK, lambda rows: rows == [[3599]]),
    Row("S74", f"SELECT (SELECT count(*) FROM {D} WHERE CAST(latitude AS INT) = 36) - "
        f"(SELECT count(*) FROM {D} WHERE latitude >= 36 AND latitude < 37)", OK, lambda rows: rows == [[0]]),
    Row("S74", "SELECT count(*) FROM parks WHERE acres::int = 50", OK, lambda rows: rows == [[3]]),
    *(Row("S74", f"SELECT count(*) FILTER (WHERE days_open BETWEEN 1 AND 10) - (SELECT count(*) FROM {D} WHERE {guarded}) FROM {D}",
          OK, lambda rows: rows == [[0]])
      for guarded in ("days_open <> 0 AND 10 / days_open >= 1", "CASE WHEN days_open <> 0 THEN 10 / days_open >= 1 END")),
    Row("S74", "SELECT count(*) FROM bus_stops WHERE routes NOT LIKE '%;%' AND CAST(routes AS INT) > 5", OK),
    # Answers of every form.
    Row("S73", "SELECT repeat('x', 67108864)", BOUND | BIG),
    Row("S73", "SELECT " + ", ".join(f"sum(case when opened={i} then 1 end) c{i}" for i in range(1_200)) + " FROM parks",
        COMPLEX | SIZE),
    Row("S73", "SELECT " + ", ".join(f"max(case when name='{i}' then opened end) c{i}" for i in range(100)) + " FROM parks", OK,
        lambda rows: len(rows[0]) == 100),
    Row("S73", "SELECT count(*) FROM parks WHERE CASE " + " ".join(f"WHEN name = '{i}' THEN {i}" for i in range(480)) + " ELSE -1 END = -1",
        OK, lambda rows: rows == [[64]]),
    Row("S73", "SELECT " + "+".join(["1.5"] * 480), OK | TIME, lambda rows: rows == [[720.0]]),
    Row("S73", "SELECT named_struct('a', [1, 2], 'b', map(['k'], [named_struct('c', [[NULL, 'x']])])) AS v", OK,
        lambda rows: rows[0][0] == {"a": [1, 2], "b": {"k": {"c": [[None, "x"]]}}}),
    Row("S73", "SELECT " + "make_array(" * 30 + "1" + ")" * 30, OK | COMPLEX | FUNCTION),
    Row("S74", "SELECT cast('nan' as double), cast('inf' as double), -0.0, date '9999-12-31'", OK,
        lambda rows: rows == [[None, None, 0.0, "9999-12-31"]]),
    Row("S74", "SELECT cast('-inf' as double)", OK, lambda rows: rows == [[None]]),
    Row("S74", "SELECT date '0001-01-01', timestamp '9999-12-31 23:59:59.999999'", OK,
        lambda rows: rows == [["0001-01-01", "9999-12-31T23:59:59.999999"]]),
    Row("S74", "SELECT date '262143-01-01'", VALUE | OK),
    Row("S74", "SELECT count(*) FROM service_requests WHERE opened_at < timestamp '9999-12-31 00:00:00' AND opened_at > date '1900-01-01'",
        OK, lambda rows: int(rows[0][0]) > 0),
    Row("S74", "SELECT date_trunc('month', timestamp '9999-12-31 23:59:59')", OK, lambda rows: rows == [["9999-12-01T00:00:00"]]),
    Row("S74", "SELECT DATE '2024-01-01' + INTERVAL '10 hours'", OK, lambda rows: rows == [["2024-01-01T10:00:00"]]),
    Row("S74", "SELECT DATE '2024-01-01' + (INTERVAL '10 hours' + 1 * INTERVAL '1 hour')", OK,
        lambda rows: rows == [["2024-01-01T11:00:00"]]),
    Row("S74", "SELECT INTERVAL '25 hours' > INTERVAL '1 day', timestamp '2024-01-09 00:00:00' - timestamp '2024-01-01 00:00:00' > "
        "INTERVAL '7 days'", OK, lambda rows: rows == [[True, True]]),
    Row("S74", "SELECT count(*) FROM service_requests WHERE extract(year from to_timestamp(opened_at)) = 9999", OK,
        lambda rows: rows == [[0]]),
    Row("S74", "SELECT count(*) > 0 FROM bus_stops WHERE first_bus > TIME '06:00:00'", OK, lambda rows: rows == [[True]]),
    Row("S74", "SELECT cast('99999999999999999999999999999999999999' as decimal(38,0))", OK,
        lambda rows: rows[0][0] == "99999999999999999999999999999999999999"),
    Row("S75", "SELECT * FROM parks FOR UPDATE", STATEMENT | {"invalid_sql"}),
    Row("S75", "SELECT * FROM parks TABLESAMPLE (10 PERCENT)", STATEMENT | {"invalid_sql"}),
    Row("S75", "TABLE parks", STATEMENT),
    Row("S75", "SELECT * FROM parks, LATERAL (SELECT count(*) FROM parks p WHERE p.opened < parks.opened) x",
        OK | VALUE),
]

# The forbidden statements that every way to send SQL must refuse with the same words.
FORBIDDEN = [
    "COPY (SELECT 1) TO '/tmp/portico-attack.csv'", "CREATE TABLE t AS SELECT 1", "INSERT INTO parks VALUES (1)",
    "DELETE FROM parks", "SET datafusion.execution.batch_size=1", "SHOW ALL", "EXPLAIN ANALYZE SELECT 1",
    "SELECT 1; SELECT 2", "WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n FROM r) SELECT * FROM r", "DROP TABLE parks",
]


def surfaces(portal):
    """The ways to ask that carry a whole statement."""
    return {"http": portal.ask, "flight": portal.ask_flight, "flight-sql": portal.ask_flight_sql}


def judge(row, surface, outcome, portal, probe):
    """What is wrong with an outcome, or nothing."""
    wrong = []
    said = row.sql if isinstance(row.sql, str) else row.sql.decode("utf-8", "replace")
    if outcome.code not in row.expect:
        wrong.append(f"got {outcome.code} ({outcome.status}), expected {'|'.join(sorted(row.expect))}: {outcome.detail()[:160]}")
    elif outcome.code == "ok" and surface == "http" and row.check and not row.check(outcome.rows):
        wrong.append(f"a wrong answer: {outcome.text[:160]}")
    elif row.says and row.says not in outcome.detail():
        wrong.append(f"the text does not say {row.says!r}: {outcome.detail()[:160]}")
    if outcome.status in {500, 502} or outcome.code in {"internal", "closed", "hang"}:
        wrong.append(f"a fault of the server: {outcome.code} {outcome.status}")
    if surface == "http" and outcome.code in PROBLEMS and PROBLEMS[outcome.code] != outcome.status:
        wrong.append(f"{outcome.code} came with {outcome.status}")
    if outcome.code != "ok" or said.upper().startswith("EXPLAIN"):
        leak = leaks(outcome.detail(), said)
        if leak:
            wrong.append(f"the text says {leak!r}: {outcome.detail()[:200]}")
    if outcome.seconds > LIMIT_MS / 1000 + 6:
        wrong.append(f"took {outcome.seconds:.1f} s")
    if not portal.alive():
        wrong.append("THE SERVER DIED")
    with probe.paused():
        quiet = portal.quiet_within(2.0)
    if quiet is None:
        wrong.append("workers still compute, or hold spilled bytes, after 2 s")
    return wrong


def run_rows(portal, rows, say=print, sampled=False):
    """Sends the rows; `(sent, failures)` where a failure is `(row, surface, text)`.

    Sampled: every fourth row takes each of the two ways of Flight, and only those that end at once.
    """
    sent, failures = 0, []
    with Probe(portal) as probe:
        for index, row in enumerate(rows):
            for place, (surface, ask) in enumerate(surfaces(portal).items()):
                if row.http_only and surface != "http":
                    continue
                if sampled and place and (index % 4 != place or row.expect & (TIME | MEMORY)):
                    continue
                sent += 1
                outcome = ask(row.sql)
                for text in judge(row, surface, outcome, portal, probe):
                    failures.append((row, surface, text))
                    say(f"  {row.name} over {surface}: {text}\n     {row.sql[:120]!r}")
                if not portal.alive():
                    return sent, failures
    for failure in probe.failures:
        failures.append((Row("probe", probe.sql, OK), "http", failure))
        say(f"  the neighbour's question failed: {failure}")
    return sent, failures


def run_paths(portal, say=print):
    """Every way in that carries SQL, with every forbidden statement; `(sent, failures)`."""
    import urllib.parse

    import pyarrow.flight as flight

    from attacks.target import field

    quote = urllib.parse.quote
    prepared = b"type.googleapis.com/arrow.flight.protocol.sql.ActionCreatePreparedStatementRequest"

    def prepare(sql):
        body = field(1, prepared) + field(2, field(1, sql.encode()))
        try:
            list(portal.client().do_action(flight.Action("CreatePreparedStatement", body)))
        except Exception as error:  # noqa: BLE001 - each kind of status is another class
            return flight_code(error)
        return "ok"

    def describe(sql):
        from attacks.target import statement_query
        try:
            portal.client().get_flight_info(flight.FlightDescriptor.for_command(statement_query(sql)))
        except Exception as error:  # noqa: BLE001 - each kind of status is another class
            return flight_code(error)
        return "ok"

    paths = {
        "POST /sql as SQL": lambda sql: portal.ask(sql).code,
        "POST /sql as JSON": lambda sql: portal.ask(sql, params=[]).code,
        "GET /sql": lambda sql: portal.ask_get(sql).code,
        "GET /sql/explain": lambda sql: portal.request("GET", "/sql/explain?q=" + quote(sql)).code,
        "where of a download": lambda sql: portal.request("GET", "/datasets/parks.csv?where=" + quote(sql)).code,
        "order of a download": lambda sql: portal.request("GET", "/datasets/parks.csv?order=" + quote(sql)).code,
        "select of a download": lambda sql: portal.request("GET", "/datasets/parks.csv?select=" + quote(sql)).code,
        "where with a bracket": lambda sql: portal.request(
            "GET", "/datasets/parks.csv?where=" + quote(f"true) UNION ALL ({sql}) --")).code,
        "a Flight ticket": lambda sql: portal.ask_flight(sql).code,
        "a Flight SQL statement": lambda sql: portal.ask_flight_sql(sql).code,
        "a prepared statement": prepare,
        "the schema of a statement": describe,
    }
    refused = STATEMENT | {"invalid_sql", "invalid_request", "unknown_column", "invalid_parameter"}
    whole = {"POST /sql as SQL", "POST /sql as JSON", "GET /sql", "a Flight ticket", "a Flight SQL statement",
             "a prepared statement", "the schema of a statement"}
    sent, failures = 0, []
    for path, send in paths.items():
        for sql in FORBIDDEN:
            sent += 1
            code = send(sql)
            if code not in (STATEMENT if path in whole else refused):
                failures.append((path, sql, code))
                say(f"  {path}: {sql!r} got {code}")
    return sent, failures


# S67: a statement, what is bound, and the codes that are right; a list is bound by number.
MISBOUND = {"invalid_parameter"}
PARAMETERS = [
    ("SELECT count(*) FROM parks WHERE opened = $1", [], MISBOUND),
    ("SELECT count(*) FROM parks WHERE opened = $1", [1, 2], MISBOUND),
    ("SELECT count(*) FROM parks WHERE opened = $1", ["x"], MISBOUND),
    ("SELECT count(*) FROM parks WHERE opened = $1", [None], OK),
    ("SELECT count(*) FROM parks WHERE opened = $1", [True], VALUE),
    ("SELECT count(*) FROM parks WHERE opened = $1", [1.5], OK),
    ("SELECT count(*) FROM parks WHERE opened = $1", [10**30], OK),
    ("SELECT count(*) FROM parks WHERE opened = $1", [[1, 2]], MISBOUND),
    ("SELECT count(*) FROM parks WHERE opened = $1", [{"a": {"b": [1]}}], MISBOUND),
    ("SELECT count(*) FROM parks WHERE opened = $1", [list(range(100_000))], MISBOUND),
    ("SELECT count(*) FROM parks WHERE opened = $1", [list(range(200_000))], SIZE),
    ("SELECT count(*) FROM parks WHERE opened = $1", {"1": 1, "2": 2}, MISBOUND),
    ("SELECT count(*) FROM parks WHERE opened = $1", {"a b": 1}, MISBOUND),
    ("SELECT $1, $3", [1, 2, 3], MISBOUND),
    ("SELECT $0", [1], MISBOUND),
    ("SELECT $99999999999999999999", [1], MISBOUND),
    ("SELECT $a", {"b": 1}, MISBOUND),
    ("SELECT 1", [1], MISBOUND),
    ("SELECT $1 + 1", [9223372036854775807], FAILED),
    ("SELECT name FROM parks LIMIT $1", [-1], VALUE),
    ("SELECT name FROM parks LIMIT $1", ["x"], VALUE),
    ("SELECT repeat('x', $1)", [2_000_000_000], VALUE),
    ("SELECT regexp_like(name, $1) FROM parks", ["("], VALUE),
    ("SELECT cast($1 AS date)", ["2024-13-45"], FAILED),
    ("SELECT 1 WHERE $1", ["x"], VALUE),
    ("SELECT $1 || 'y'", ["x' OR 1=1 --"], OK),
]


def run_parameters(portal, say=print):
    """S67 over HTTP, and as a prepared statement of Flight SQL; `(sent, failures)`."""
    import adbc_driver_flightsql.dbapi
    import pyarrow

    sent, failures = 0, []

    def judge_bound(surface, sql, bound, expect, code, text):
        nonlocal sent
        sent += 1
        leak = leaks(text, sql) if code != "ok" else None
        if code not in expect or leak:
            failures.append((surface, sql, code))
            say(f"  S67 over {surface}: {sql[:80]} with {str(bound)[:60]}: got {code}, leak {leak!r}: {text[:200]}")

    for sql, bound, expect in PARAMETERS:
        answer = portal.ask(sql, params=bound)
        judge_bound("http", sql, bound, expect, answer.code, answer.detail() if answer.code != "ok" else "")
    sql = "SELECT count(*) FROM parks WHERE opened = $1"
    columns = [
        ({"1": [1999]}, OK), ({"1": [None]}, OK), ({"1": [1], "2": [2]}, MISBOUND), ({"1": ["x"]}, MISBOUND | FAILED),
        ({"1": pyarrow.array([], "int64")}, MISBOUND | OK), ({"1": [1, 2, 3]}, MISBOUND | OK), ({"1": [b"\xff"]}, MISBOUND | VALUE),
        ({"1": [[1, 2]]}, MISBOUND | VALUE), ({"1": [list(range(200_000))]}, MISBOUND | VALUE | SIZE),
        ({"1": [{"a": {"b": [1, None]}}]}, MISBOUND | VALUE),
    ]
    address = f"grpc://{portal.address[0]}:{portal.address[1]}"
    for bound, expect in columns:
        code, text = "ok", ""
        try:
            with adbc_driver_flightsql.dbapi.connect(address) as connection, connection.cursor() as cursor:
                cursor.execute(sql, pyarrow.record_batch(bound))
                cursor.fetchall()
        except Exception as error:  # noqa: BLE001 - each kind of status is another class
            code, text = flight_code(error), flight_text(error)
        judge_bound("a prepared statement", sql, bound, expect, code, text)
    return sent, failures


def figures(portal, short, say=print):
    """F1 over the statements, and F4."""
    began = time.monotonic()
    rows = ROWS if not short else [row for index, row in enumerate(ROWS) if short_row(index, row)]
    sent, failures = run_rows(portal, rows, say=say, sampled=short)
    bad = {(row.name, row.sql, surface) for row, surface, _ in failures}
    took = time.monotonic() - began
    sent_bound, failed_bound = run_parameters(portal, say)
    sent_paths, failed_paths = run_paths(portal, say)
    command = "tests/attack statements"
    return [
        Figure("F1/S", "attack statements answered as they must be", "100 %",
               f"{sent - len(bad)} of {sent} ({len(rows)} statements, {took:.0f} s)", not failures, command),
        Figure("F1/S67", "bound values answered as they must be", "100 %", f"{sent_bound - len(failed_bound)} of {sent_bound}",
               not failed_bound, command),
        Figure("F4", "forbidden statements refused on every way in", "100 %",
               f"{sent_paths - len(failed_paths)} of {sent_paths}", not failed_paths, command),
    ], failures


def short_row(index, row):
    """The rows of the short run: one of each number, and all that is answered within milliseconds is every third."""
    first = index == 0 or ROWS[index - 1].name != row.name
    return first or (index % 3 == 0 and not row.expect & (TIME | MEMORY))
