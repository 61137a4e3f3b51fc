"""Hostile files on the road in, through `portico publish`: refused soon, in little memory, with a message, and nothing
left outside of the portal's own directories.

Files that are merely damaged are tried too: some thousand mutants of good ones (F12's own corpus is in the crates' tests).
"""

import gzip
import io
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import tempfile
import threading
import time
import zipfile
import zlib

import psutil
import pyarrow
import pyarrow.parquet
from conftest import binary

from attacks.target import Figure, leaks

RSS_MAX = 256 << 20
# How long a refusal may take; an unoptimised build on a busy machine is given more.
SECONDS = 2.0 if "debug" not in os.environ.get("PORTICO_BIN", "debug") else 15.0
CRASH = re.compile(r"panicked|stack backtrace|RUST_BACKTRACE|thread '.*' |core dumped|memory allocation of|SIG(SEGV|ABRT)")


def zipped(entries, compression=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def symlink(name, target):
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    return entry, target


def zeros(size, head=b"a,b\n"):
    """Zeros, packed a thousand times."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as packed:
        packed.write(head)
        block = b"0" * (1 << 20)
        for _ in range(size >> 20):
            packed.write(block)
    return out.getvalue()


def lying_zip():
    """An entry whose header says 10 bytes and whose content unpacks to 64 MiB."""
    content = bytearray(zipped([("a.csv", b"a\n" + b"0" * (64 << 20))]))
    for mark, offset in [(b"PK\x03\x04", 22), (b"PK\x01\x02", 24)]:
        at = content.index(mark)
        content[at + offset:at + offset + 4] = struct.pack("<I", 10)
    return bytes(content)


def two_ends(entries):
    """A directory of many entries, and in the comment of its end an end that speaks of one."""
    def end(count, size, start, comment):
        return b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, size, start, len(comment)) + comment

    entry = b"PK\1\2" + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 33, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0)
    directory = b"".join(entry + b"%07d" % number for number in range(entries))
    local = b"PK\3\4" + bytes(26)
    at = len(local) + len(directory)
    record = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, entries, entries, len(directory), len(local))
    locator = b"PK\6\7" + struct.pack("<IQI", 0, at, 1)
    return local + directory + record + locator + end(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, end(1, 60, 0xFFFFFFF0, b""))


def overlapping_zip(entries=2_000):
    """Many entries of the directory that all point to one body."""
    body = zlib.compress(b"a\n" + b"0" * (8 << 20), 9)[2:-4]
    size, crc = (8 << 20) + 2, zlib.crc32(b"a\n" + b"0" * (8 << 20))
    fixed = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0x21, crc, len(body), size, 5, 0)
    content = b"PK\x03\x04" + fixed + b"a.csv" + body
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + fixed + struct.pack("<HHHII", 0, 0, 0, 0, 0)
    directory = b"".join(entry + b"%05d" % number for number in range(entries))
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, entries, entries, len(directory), len(content), 0)
    return content + directory + end


def workbook(sheet, **parts):
    """The least that a workbook needs, around one sheet's XML."""
    return zipped([
        ("[Content_Types].xml", '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>'),
        ("_rels/.rels", '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>'),
        ("xl/workbook.xml", '<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>' + parts.get("sheets", '<sheet name="a" sheetId="1" r:id="rId1"/>') + "</sheets></workbook>"),
        ("xl/_rels/workbook.xml.rels", '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'),
        ("xl/worksheets/sheet1.xml", sheet), *parts.get("more", []),
    ])


SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>{0}</t></is></c></row><row r="2"><c r="A2"><v>1</v></c></row></sheetData></worksheet>'
LAUGHS = "<!DOCTYPE x [<!ENTITY a0 \"ha\">" + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12)) + "]>"


def parquet(change=None, **more):
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"a": list(range(1000)), "b": ["x", "yy"] * 500}), out, **more)
    content = bytearray(out.getvalue())
    if change:
        change(content)
    return bytes(content)


def arrow_stream():
    out = io.BytesIO()
    table = pyarrow.table({"a": list(range(1000))})
    with pyarrow.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def put(at, content):
    def change(into):
        start = at if at >= 0 else len(into) + at
        into[start:start + len(content)] = content
    return change


def long_run():
    """A column of one value, repeated 2^27 times in a few bytes, read with a dictionary of one entry."""
    out = io.BytesIO()
    column = pyarrow.array(["x" * 1000]).dictionary_encode()
    whole = pyarrow.DictionaryArray.from_arrays(pyarrow.repeat(pyarrow.scalar(0, pyarrow.int32()), 20_000_000), column.dictionary)
    pyarrow.parquet.write_table(pyarrow.table({"a": whole}), out, row_group_size=20_000_000)
    return out.getvalue()


def files(short):
    """`(row, name, content, codes that are right)`: 0 stands where the file may as well be read whole."""
    refuse, either = {1, 2}, {0, 1, 2}
    big = 16 if short else 256
    yield "U01", "up.zip", zipped([("../../portico-escaped.csv", "a\n1\n")]), either
    yield "U01", "absolute.zip", zipped([("/tmp/portico-escaped.csv", "a\n1\n")]), either
    yield "U01", "backslash.zip", zipped([("..\\..\\portico-escaped.csv", "a\n1\n")]), either
    yield "U01", "link.zip", zipped([symlink("a.csv", "/etc/passwd")]), refuse
    yield "U01", "twice.zip", zipped([("a.csv", "a\n1\n"), ("a.csv", "a\n2\n")]), refuse
    yield "U01", "two.zip", zipped([("a.csv", "a\n1\n"), ("b.csv", "a\n2\n")]), refuse
    yield "U02", "bomb.zip", zipped([("a.csv", b"a\n" + b"0" * (big << 20))]), refuse
    yield "U02", "nested.zip", zipped([("a.zip", zipped([("a.csv", "a\n1\n")]))]), refuse
    yield "U02", "lie.zip", lying_zip(), refuse
    yield "U02", "overlap.zip", overlapping_zip(), refuse
    yield "U02", "two-ends.zip", two_ends(1_500_000), refuse
    yield "U02", "empty.zip", zipped([]), refuse
    yield "U02", "many.zip", zipped([(f"{i}.csv", "a\n1\n") for i in range(5_000)]), refuse
    yield "U02", "cut.zip", zipped([("a.csv", "a\n" + "1\n" * 1000)])[:-30], refuse
    yield "U03", "bomb.csv.gz", zeros(big << 20), refuse
    yield "U03", "twice.csv.gz", gzip.compress(zeros(big << 20)), refuse
    yield "U03", "cut.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 100_000)[:-20], refuse
    yield "U03", "not.csv.gz", b"\x1f\x8b\x08" + b"x" * 100, refuse
    yield "U03", "not.csv.zst", b"\x28\xb5\x2f\xfd" + b"\xff" * 100, refuse
    yield "U04", "hidden.xlsx", workbook(SHEET.format("a"), sheets='<sheet name="a" sheetId="1" r:id="rId1"/><sheet name="b" sheetId="2" state="veryHidden" r:id="rId1"/>'), refuse
    yield "U05", "laughs.xlsx", workbook('<?xml version="1.0"?>' + LAUGHS + SHEET.format("&a11;")), refuse
    yield "U05", "outside.xlsx", workbook('<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + SHEET.format("&a;")), either
    yield "U05", "bomb.xlsx", workbook(SHEET.format("a"), more=[("xl/sharedStrings.xml", b" " * (300 << 20))]), either
    yield "U05", "far.xlsx", workbook(SHEET.format("a").replace("A2", "XFD1048576").replace('row r="2"', 'row r="1048576"')), either
    yield "U05", "cut.xlsx", workbook(SHEET.format("a"))[:600], refuse
    yield "U07", "line.csv", b"a" * (20 << 20), refuse
    yield "U07", "columns.csv", b",".join(b"c%d" % i for i in range(200_000)) + b"\n", refuse
    yield "U07", "quote.csv", b'a,b\n1,"' + b"x\n" * 2_000_000, refuse
    yield "U07", "nul.csv", b"a,b\n1,\x00\n", either
    yield "U07", "mixed.csv", b"a\n\xc3\xa9\n\xe9\n" * 100, either
    yield "U07", "nothing.csv", b"", refuse
    yield "U07", "mark.csv", b"\xef\xbb\xbf", refuse
    yield "U07", "twice.csv", b"a,a,A\n1,2,3\n", either
    yield "U07", "header.csv", b"x" * (10 << 20) + b",b\n1,2\n", refuse
    yield "U07", "ragged.csv", b"a,b\n1,2\n1\n1,2,3\n", either
    yield "U10", "footer.parquet", parquet(put(-8, struct.pack("<I", 2**31 - 1))), refuse
    yield "U10", "negative.parquet", parquet(put(-8, struct.pack("<i", -5))), refuse
    yield "U10", "footer2.parquet", parquet(put(-200, os.urandom(100))), refuse
    yield "U10", "page.parquet", parquet(put(4, b"\xff" * 24)), refuse
    yield "U10", "short.parquet", b"PAR1PAR1", refuse
    yield "U10", "deep.parquet", b"PAR1" + b"\x1c" * 100_000 + struct.pack("<I", 100_000) + b"PAR1", refuse
    yield "U10", "run.parquet", long_run(), either
    yield "U11", "names.parquet", parquet(store_schema=True), either
    yield "U12", "cut.arrow", b"ARROW1\0\0" + b"\xff" * 500 + b"ARROW1", refuse
    yield "U12", "no-end.arrows", arrow_stream()[:-8], refuse
    yield "U12", "two.arrows", arrow_stream() * 2, refuse
    yield "U12", "length.arrow", b"\xff\xff\xff\xff" + struct.pack("<I", 2**31 - 1) + b"x" * 100, either
    yield "U13", "deep.json", b"[" * 100_000, refuse
    yield "U13", "deep.ndjson", b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"\n", refuse
    yield "U13", "text.json", b'[{"a":"' + b"x" * (20 << 20) + b'"}]', refuse
    yield "U13", "keys.json", b"[{" + b",".join(b'"k%d":1' % i for i in range(100_000)) + b"}]", refuse
    yield "U13", "half.json", b'[{"a":"\\ud800"}]', either
    yield "U13", "number.json", b'[{"a":1e999999}]', either
    yield "U13", "deep.geojson", b'{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},"geometry":{"type":"Polygon","coordinates":' + b"[" * 5_000 + b"]" * 5_000 + b"}}]}", refuse
    yield "U14", "page.csv", b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>\n", either
    yield "U14", "zip.parquet", zipped([("a.csv", "a\n1\n")]), either
    yield "U14", "gif.csv", b"GIF89a/*" + b"\0" * 500 + b"*/=1;", either
    yield "U14", "program.csv", b"\x7fELF" + os.urandom(5_000), refuse
    yield "U22", "names.csv", ('__proto__,,"' + "x" * 10_000 + '","a""b","c\nd",select,A,a\n1,2,3,4,5,6,7,8\n').encode(), either


def watched(arguments, directory):
    """Runs the program; `(exit code, text, seconds, most memory of it and its children)`."""
    began = time.monotonic()
    process = subprocess.Popen([binary(), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=directory,
                               env={**os.environ, "TMPDIR": str(directory / "tmp"), "USER": "attacker"})
    peak = 0
    done = threading.Event()

    def watch():
        nonlocal peak
        own = psutil.Process(process.pid)
        while not done.wait(0.02):
            try:
                for one in [own, *own.children(recursive=True)]:
                    memory = one.memory_info()
                    peak = max(peak, memory.rss - memory.shared)
            except psutil.Error:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        text, _ = process.communicate(timeout=120)
        code = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        text, code = process.communicate()[0], "hang"
    done.set()
    watcher.join()
    return code, text.decode("utf-8", "replace"), time.monotonic() - began, peak


def tree(directory):
    """What lies under a directory, apart from the portal and its scratch."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*")
            if path.relative_to(directory).parts[0] not in {"portal", "tmp", "in"}}


def judge(codes, result, directory, before):
    """What is wrong with a run, or nothing."""
    code, text, seconds, peak = result
    wrong = []
    if code not in codes:
        wrong.append(f"ended with {code}, expected {sorted(codes)}: {text.strip()[-200:]}")
    if CRASH.search(text):
        wrong.append(f"crashed: {text.strip()[-300:]}")
    if code in {1, 2} and len(text.strip()) < 10:
        wrong.append("says nothing")
    if code in {1, 2} and (seconds > SECONDS):
        wrong.append(f"took {seconds:.1f} s")
    if peak > RSS_MAX:
        wrong.append(f"took {peak >> 20} MiB")
    if tree(directory) != before or any(pathlib.Path("/tmp").glob("portico-escaped*")):
        wrong.append(f"left {sorted(tree(directory) - before)}")
    left = [path for path in (directory / "tmp").rglob("*") if path.is_file()]
    if left:
        wrong.append(f"left {len(left)} files in the temporary directory")
    return wrong


def mutants(count):
    """Good files with some bytes changed, cut or doubled."""
    chance = random.Random(5)
    sink = io.BytesIO()
    table = pyarrow.table({"a": [1, 2, None], "b": ["x", None, "z"], "c": [[1], [], None]})
    with pyarrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    seeds = {"m.parquet": parquet(), "m.arrow": sink.getvalue(), "m.xlsx": workbook(SHEET.format("a")),
             "m.csv.gz": gzip.compress(b"a,b\n1,2\n" * 50), "m.json": json.dumps([{"a": 1, "b": "x"}] * 20).encode()}
    for number in range(count):
        name = chance.choice(list(seeds))
        content = bytearray(seeds[name])
        for _ in range(chance.randint(1, 8)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        if chance.random() < 0.2:
            content = content[:chance.randrange(1, len(content))]
        yield "U10/m", f"{number}-{name}", bytes(content), {0, 1, 2}


def figures(short, say=print):
    """F20: hostile files, and mutants."""
    sent, failures, slowest, most = 0, 0, (0.0, ""), (0, "")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="attack-uploads-") as place:
        directory = pathlib.Path(place)
        for name in ("in", "tmp", "portal"):
            (directory / name).mkdir()
        before = tree(directory)
        everything = [*files(short)] + [*mutants(8 if short else 400)]
        if short:
            everything = [one for index, one in enumerate(everything) if index % 2 == 0 and one[1] != "run.parquet"]
        for row, name, content, codes in everything:
            file = directory / "in" / name
            file.write_bytes(content)
            result = watched(["publish", str(file), "--dataset", "hostile", "--dry-run", "--data", str(directory / "portal"),
                              "--steward-email", "steward@city.example"], directory)
            sent += 1
            wrong = judge(codes, result, directory, before)
            if result[0] in {1, 2}:
                slowest = max(slowest, (result[2], name))
            most = max(most, (result[3], name))
            leak = leaks(result[1], str(file) + name) if result[0] == 1 else None
            # Whoever types the command may read the path that was typed.
            if leak and not str(directory).startswith(leak.rstrip("/")):
                wrong.append(f"the text says {leak!r}: {result[1].strip()[:200]}")
            if wrong:
                failures += 1
                say(f"  {row} {name}: {'; '.join(wrong)}")
            file.unlink()
            # What a killed run left is told once.
            shutil.rmtree(directory / "tmp")
            (directory / "tmp").mkdir()
    return [Figure("F20", f"hostile files refused in {SECONDS:g} s and {RSS_MAX >> 20} MiB, nothing outside staging", "100 %",
                   f"{sent - failures} of {sent}; slowest {slowest[0]:.1f} s ({slowest[1]}), most {most[0] >> 20} MiB ({most[1]}) "
                   f"({time.monotonic() - began:.0f} s)", failures == 0, "tests/attack uploads")]
