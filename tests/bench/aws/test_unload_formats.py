"""The grammar of UNLOAD and what its options write (docs/aws-behaviour.md#unload)."""

import bz2
import gzip
import io
import json
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
import zstandard

from .sql_testing import cluster
from .unload_testing import BUCKET, FIRST, LAST, WRITING, Link

ONE = "select 1 as i"
MIXED = (
    "select i, case when i = 2 then null else 'a|b' || chr(10) || '\"c\\\\' end as t, i = 1 as b, 1.50::decimal(8,2) as d "
    "from generate_series(1, 2) i"
)


@pytest.fixture(scope="module")
def link(_bench):
    """One world for all: each unload goes to a prefix of its own."""
    _bench.post("reset")
    _bench.post("world")
    _bench.post("settings", unload_slices=1)
    made = Link(_bench)
    made.may(*WRITING, "s3:DeleteObject")
    made.number = 0
    return made


def unloaded(link, query, options):
    """The files of an UNLOAD by their names below its prefix."""
    link.number += 1
    prefix = f"{link.number}/"
    link.ok(query, prefix=prefix, options=options)
    return {key.removeprefix(prefix): body for key, body in link.files(prefix).items()}


def only(link, query, options):
    files = unloaded(link, query, options)
    assert len(files) == 1, files
    return next(iter(files.values())).decode()


# Grammar


@pytest.mark.parametrize(
    "text",
    [
        "UNLOAD 'select 1' TO '{to}' IAM_ROLE '{role}'",
        "UNLOAD (select 1) TO '{to}' IAM_ROLE '{role}'",
        "UNLOAD ($$select 1$$) TO '{to}' IAM_ROLE '{role}'",
        "UNLOAD (E'select 1') TO '{to}' IAM_ROLE '{role}'",
        "UNLOAD (\"select 1\") TO '{to}' IAM_ROLE '{role}'",
        "UNLOAD ('select 1', 'select 2') TO '{to}' IAM_ROLE '{role}'",
        "UNLOAD ('select 1') '{to}' IAM_ROLE '{role}'",
        "UNLOAD ('select 1') TO {to} IAM_ROLE '{role}'",
        "UNLOAD ('select 1') TO '{to}' IAM_ROLE {role}",
        "UNLOAD ('select 1') TO '{to}' IAM_ROLE '{role}' VERBOSE",
        "UNLOAD ('select 1') TO '{to}' IAM_ROLE '{role}' FORMAT AS ORC",
        "UNLOAD ('select 1') TO '{to}' IAM_ROLE '{role}' COMPRESSED",
        "UNLOAD ('select 1') TO '{to}' IAM_ROLE '{role}' PARTITION BY ('i')",
        "UNLOAD ('select 1') TO '{to}' IAM_ROLE '{role}' PARTITION BY i",
        "UNLOAD ('select 1') TO '{to}' IAM_ROLE '{role}' MAXFILESIZE '5 MB'",
        "UNLOAD ('select 1') TO '{to}' IAM_ROLE '{role}' PARALLEL MAYBE",
        "UNLOAD ('select 1') TO '{to}' IAM_ROLE '{role}' DELIMITER",
        "UNLOAD ('selec 1') TO '{to}' IAM_ROLE '{role}'",
        "UNLOAD ('delete from t') TO '{to}' IAM_ROLE '{role}'",
        "UNLOAD ('') TO '{to}' IAM_ROLE '{role}'",
    ],
)
def test_what_the_grammar_lacks_is_a_syntax_error(link, text):
    error = link.sql.error(text.format(to=f"s3://{BUCKET}/never/", role=f"{FIRST},{LAST}"))
    assert error.startswith("ERROR: syntax error at"), error


@pytest.mark.parametrize(
    "text, words",
    [
        ("UNLOAD ('select 1') TO '{to}'", "IAM_ROLE is required"),
        ("UNLOAD ('select 1') TO '{to}' CREDENTIALS 'x'", "CREDENTIALS is not supported"),
        ("UNLOAD ('select 1') TO '{to}' IAM_ROLE '{role}' MASTER_SYMMETRIC_KEY 'x'", "MASTER_SYMMETRIC_KEY is not supported"),
        ("UNLOAD ('select 1') TO '/tmp/x' IAM_ROLE '{role}'", "UNLOAD destination is not supported"),
        ("UNLOAD ('select 1') TO 's3://alias-s3alias/x' IAM_ROLE '{role}'", "access point aliases"),
        ("UNLOAD ('select 1') TO '{to}' IAM_ROLE '{spaced}'", "Invalid IAM role ARN"),
        ("UNLOAD ('select 1') TO '{to}' IAM_ROLE 'unload-first'", "Invalid IAM role ARN"),
        ("UNLOAD ('select 1') TO '{to}' IAM_ROLE '{role}'; select 1", "cannot insert multiple commands"),
        ("UNLOAD ('select 1; select 2') TO '{to}' IAM_ROLE '{role}'", "cannot insert multiple commands"),
        ("UNLOAD ('select 1) TO '{to}' IAM_ROLE '{role}'", "unterminated quoted string"),
        ("UNLOAD ('select 1') TO '{to} IAM_ROLE {role}", "unterminated quoted string"),
        ("UNLOAD /* ('select 1') TO '{to}'", "unterminated /* comment"),
    ],
)
def test_other_statements_are_refused(link, text, words):
    arns = {"role": f"{FIRST},{LAST}", "spaced": f"{FIRST}, {LAST}"}
    error = link.sql.error(text.format(to=f"s3://{BUCKET}/never/", **arns))
    assert words in error, error
    assert link.files("never/") == {}


@pytest.mark.parametrize(
    "options, words",
    [
        *((f"CSV {other}", "CSV") for other in ("ESCAPE", "FIXEDWIDTH 'i:3'", "ADDQUOTES")),
        *(
            (f"{kind} {other}", kind)
            for kind in ("PARQUET", "JSON")
            for other in ("DELIMITER ','", "FIXEDWIDTH 'i:3'", "ADDQUOTES", "ESCAPE", "NULL AS 'x'", "HEADER")
        ),
        *((f"PARQUET {other}", "PARQUET") for other in ("GZIP", "BZIP2", "ZSTD")),
        ("FIXEDWIDTH 'i:3' DELIMITER ','", "FIXEDWIDTH"),
        ("FIXEDWIDTH 'i:3' HEADER", "FIXEDWIDTH"),
        ("ALLOWOVERWRITE CLEANPATH", "CLEANPATH"),
        ("ENCRYPTED AUTO KMS_KEY_ID 'k'", "AUTO"),
        ("KMS_KEY_ID 'k'", "requires the ENCRYPTED option"),
        ("ENCRYPTED", "requires KMS_KEY_ID or AUTO"),
        ("GZIP BZIP2", "redundant"),
        ("CSV JSON", "redundant"),
        ("HEADER HEADER", "redundant"),
        ("DELIMITER '||'", "single ASCII character"),
        ("DELIMITER ''", "single ASCII character"),
        ("DELIMITER 'é'", "single ASCII character"),
        ("FIXEDWIDTH 'i'", "Invalid FIXEDWIDTH"),
        ("FIXEDWIDTH 'i:0'", "Invalid FIXEDWIDTH"),
        ("FIXEDWIDTH 'i:3,j:4'", "specifies 2 columns"),
        ("FIXEDWIDTH 'j:3'", 'where the query has "i"'),
        ("MAXFILESIZE 4.9", "from 5 MB to 6.2 GB"),
        ("MAXFILESIZE AS 6.3 GB", "from 5 MB to 6.2 GB"),
        ("PARQUET MAXFILESIZE 31 MB", "at least 32 MB"),
        ("ROWGROUPSIZE 32", "PARQUET"),
        ("PARQUET ROWGROUPSIZE 32", "node type ra3.xlplus"),
        ("PARQUET ROWGROUPSIZE 31", "from 32 MB to 128 MB"),
        ("PARQUET ROWGROUPSIZE 129 MB", "from 32 MB to 128 MB"),
        ("PARQUET ROWGROUPSIZE 32.5", "from 32 MB to 128 MB"),
        ("PARTITION BY (j)", 'column "j" specified in PARTITION BY'),
        ("PARTITION BY (i)", "at least one column"),
    ],
)
def test_options_that_exclude_or_need_others_are_refused(link, options, words):
    error = link.error(ONE, prefix="never/", options=options)
    assert error.startswith("ERROR: ") and words in error, error
    assert link.files("never/") == {}


@pytest.mark.parametrize(
    "query, options, words",
    [
        ("select 1 limit 1", "", "Limit clause is not supported in the outermost select of an UNLOAD statement"),
        ("(select 1) union all select 2 LIMIT 5", "", "Limit clause"),
        ("select 1 fetch first row only", "", "Limit clause"),
        ("select 1 as a, 2 as a", "JSON", "must be unique"),
        ("select 1 as a, 2 as a", "PARQUET", "must be unique"),
        ("select 1 as a, 2::float8 as b", "PARTITION BY (b)", "float8 is not supported in PARTITION BY"),
        ("select 1 as a, now() as b", "PARTITION BY (b)", "timestamptz is not supported in PARTITION BY"),
        ("select 1 as a, '\\x01'::bytea as b", "PARTITION BY (b)", "varbyte is not supported in PARTITION BY"),
        ("select 1 as a, 2 as b", "PARTITION BY (b, b)", "twice"),
        ("select '\\x01'::bytea as b", "PARQUET", "VARBYTE"),
        ("select '\\x01'::bytea as b", "JSON", "VARBYTE"),
        ("select '\\x01'::bytea as b", "FIXEDWIDTH 'b:9'", "VARBYTE"),
        ("select 'long'::varchar as b", "FIXEDWIDTH 'b:3'", "wider than its FIXEDWIDTH column"),
        ("select null::varchar as b", "FIXEDWIDTH 'b:3' NULL AS 'null'", "wider than its FIXEDWIDTH column"),
    ],
)
def test_queries_that_do_not_fit_are_refused(link, query, options, words):
    error = link.error(query, prefix="never/", options=options)
    assert words in error, error
    assert link.files("never/") == {}


def test_a_limit_inside_is_allowed(link):
    assert only(link, "select * from (select i from generate_series(1, 9) i order by i limit 2) x", "") == "1\n2\n"
    assert only(link, "(select 1 as i) union all (select 2 limit 1)", "") == "1\n2\n"
    assert only(link, "with x as (select 3 as limit1 limit 1) select * from x -- limit", "") == "3\n"


def test_case_order_comments_and_the_default_role_do_not_matter(link):
    text = f"/* a 'job' */ unload (/**/'select ''it''''s'' as t'/**/) to 's3://{BUCKET}/free/x_' gzip header -- 'no'\n"
    link.sql.ok(text + f"manifest delimiter as ';' iam_role '{FIRST},{LAST}' csv null 'n' ;")
    files = link.files("free/")
    assert list(files) == ["free/x_0000_part_00.gz", "free/x_manifest"]
    assert gzip.decompress(files["free/x_0000_part_00.gz"]) == b"t\nit's\n"


def test_backslashes_in_the_query_count_twice_or_not(link):
    assert only(link, r"select 'a\\b' as t", "CSV") == "a\\b\n"
    link.bench.post("settings", standard_conforming_strings=True)
    try:
        link.sql.ok(f"UNLOAD ('select ''a\\b'' as t') TO 's3://{BUCKET}/once/' IAM_ROLE '{FIRST},{LAST}'")
    finally:
        link.bench.post("settings", standard_conforming_strings=False)
    assert link.lines("once/") == ["a\\b"]


# Text


def test_delimited_text(link):
    assert only(link, MIXED, "") == '1|a|b\n"c\\|t|1.50\n2||f|1.50\n'
    assert only(link, MIXED, "ESCAPE") == '1|a\\|b\\\n"c\\\\|t|1.50\n2||f|1.50\n'
    assert only(link, MIXED, "ADDQUOTES ESCAPE") == '"1"|"a\\|b\\\n\\"c\\\\"|"t"|"1.50"\n"2"||"f"|"1.50"\n'
    assert only(link, MIXED, r"DELIMITER '\t' NULL AS '@'") == '1\ta|b\n"c\\\tt\t1.50\n2\t@\tf\t1.50\n'
    assert only(link, MIXED, "ADDQUOTES DELIMITER ';'") == '"1";"a|b\n"c\\";"t";"1.50"\n"2";;"f";"1.50"\n'


def test_csv(link):
    assert only(link, MIXED, "CSV") == '1,"a|b\n""c\\",t,1.50\n2,,f,1.50\n'
    assert only(link, MIXED, "FORMAT AS CSV DELIMITER '|' NULL AS 'a|b'") == '1|"a|b\n""c\\"|t|1.50\n2|"a|b"|f|1.50\n'
    assert only(link, "select 'a,b' as \"x,y\", 1 as z", "CSV HEADER") == '"x,y",z\n"a,b",1\n'


def test_fixed_width(link):
    query = "select 1 as a, 'xy'::varchar as b, null::int as c"
    assert only(link, query, "FIXEDWIDTH 'a:3,b:4,c:2'") == "1  xy    \n"
    assert only(link, query, "FIXEDWIDTH AS '0:3,1:4,2:2' NULL AS '-'") == "1  xy  - \n"
    assert only(link, query, "FIXEDWIDTH '1:3,2:4,3:2' NULL AS 'none'") == "1  xy    \n"


def test_json(link):
    query = "select 1 as a, 'ü\"\\n'::varchar as b, true as c, null::int as d, 1.50::decimal(5,2) as e, '{\"x\": [1]}'::json as s"
    text = only(link, query, "FORMAT JSON")
    assert text.count("\n") == 1 and '"e":1.50' in text
    assert json.loads(text) == {"a": 1, "b": 'ü"\n', "c": "t", "d": None, "e": 1.5, "s": {"x": [1]}}


def test_a_header_is_in_every_file_and_counted(link):
    link.bench.post("settings", unload_slices=3)
    files = unloaded(link, "select i as number from generate_series(1, 6) i", "HEADER MANIFEST VERBOSE")
    link.bench.post("settings", unload_slices=1)
    manifest = json.loads(files.pop("manifest"))
    assert list(files.values()) == [f"number\n{i}\n{i + 1}\n".encode() for i in (1, 3, 5)]
    assert manifest["meta"]["record_count"] == 9 and manifest["entries"][0]["meta"]["record_count"] == 3


@pytest.mark.parametrize(
    "option, name, read",
    [
        ("GZIP", "0000_part_00.gz", gzip.decompress),
        ("BZIP2", "0000_part_00.bz2", bz2.decompress),
        ("ZSTD", "0000_part_00.zst", zstandard.decompress),
        ("GZIP EXTENSION 'csv.gz'", "0000_part_00.csv.gz", gzip.decompress),
        ("GZIP EXTENSION 'csv'", "0000_part_00.csv", gzip.decompress),
        ("EXTENSION 'csv'", "0000_part_00.csv", bytes),
    ],
)
def test_compression_and_extensions(link, option, name, read):
    files = unloaded(link, ONE, option)
    assert list(files) == [name] and read(files[name]) == b"1\n"


# Names and sizes


def test_serial_files_have_other_names_and_one_order(link):
    link.bench.post("settings", unload_slices=4)
    for option in ("PARALLEL OFF", "parallel false"):
        files = unloaded(link, "select i from generate_series(1, 9) i order by i desc", option)
        assert files == {"000": "".join(f"{i}\n" for i in range(9, 0, -1)).encode()}
    assert list(unloaded(link, ONE, "PARALLEL OFF PARQUET")) == ["000.parquet"]
    for option in ("PARALLEL", "PARALLEL ON", "PARALLEL TRUE"):
        assert list(unloaded(link, "select i from generate_series(1, 4) i", option)) == [f"000{n}_part_00" for n in range(4)]
    link.bench.post("settings", unload_slices=1)


def test_files_are_no_larger_than_allowed(link):
    query = "select repeat('x', 999) as t from generate_series(1, 12000)"
    files = unloaded(link, query, "MAXFILESIZE 5 MB HEADER")
    assert list(files) == ["0000_part_00", "0000_part_01", "0000_part_02"]
    assert all(len(body) <= 5 * 1024 * 1024 and body.startswith(b"t\n") for body in files.values())
    assert sum(map(len, files.values())) == 12000 * 1000 + 6
    assert list(unloaded(link, query, "MAXFILESIZE AS 0.01 GB PARALLEL OFF")) == ["000", "001"]


def test_manifests_list_what_is_there(link):
    plain = json.loads(unloaded(link, ONE, "MANIFEST")["manifest"])
    assert plain == {"entries": [{"url": f"s3://{BUCKET}/{link.number}/0000_part_00"}]}
    query = "select 'x'::varchar(7) as v, 'y'::char(2) as c, 1::decimal(12,3) as d, date '2026-01-01' as e"
    elements = json.loads(unloaded(link, query, "MANIFEST VERBOSE")["manifest"])["schema"]["elements"]
    assert [(e["name"], e["type"]["base"]) for e in elements] == [
        ("v", "character varying"),
        ("c", "character"),
        ("d", "numeric"),
        ("e", "date"),
    ]
    assert elements[0]["type"]["max_length"] == 7 and elements[2]["type"] == {"base": "numeric", "precision": 12, "scale": 3}


# Partitions


def test_partitions_are_folders(link):
    query = (
        "select i, case when i = 3 then null else 'k ' || (i % 2) end as k, date '2026-01-02' as d from generate_series(1, 4) i"
    )
    files = unloaded(link, query, "PARTITION BY (k, d) CSV HEADER MANIFEST")
    assert files.pop("manifest")
    assert files == {
        "k=__HIVE_DEFAULT_PARTITION__/d=2026-01-02/0000_part_00": b"i\n3\n",
        "k=k 0/d=2026-01-02/0000_part_00": b"i\n2\n4\n",
        "k=k 1/d=2026-01-02/0000_part_00": b"i\n1\n",
    }
    kept = unloaded(link, query, "PARTITION BY (K) INCLUDE")
    assert kept["k=k 1/0000_part_00"] == b"1|k 1|2026-01-02\n"


def test_a_partitioned_prefix_gets_its_slash_and_one_manifest(link):
    link.ok("select 1 as i, 2 as k", prefix="root", options="PARTITION BY (k) PARQUET MANIFEST")
    assert list(link.files("root")) == ["root/k=2/0000_part_00.parquet", "root/manifest"]


def test_cleaning_with_partitions_spares_other_folders(link):
    link.ok("select i, i as k from generate_series(1, 2) i", prefix="clean/", options="PARTITION BY (k)")
    link.s3.put_object(Bucket=BUCKET, Key="clean/k=2/old", Body=b"")
    link.ok("select 7 as i, 2 as k", prefix="clean/", options="PARTITION BY (k) CLEANPATH")
    assert link.files("clean/") == {"clean/k=1/0000_part_00": b"1\n", "clean/k=2/0000_part_00": b"7\n"}


# Parquet


def test_parquet(link):
    query = (
        "select 1::smallint as a, 2::bigint as b, 1.50::decimal(8,2) as c, 'x' as d, true as e, date '2026-01-02' as f, "
        "timestamp '2026-01-02 03:04:05.678' as g, timestamptz '2026-01-02 03:04:05+02' as h, 0.5::float8 as i, null::int as n"
    )
    files = unloaded(link, query, "FORMAT AS PARQUET")
    file = pq.ParquetFile(io.BytesIO(files["0000_part_00.parquet"]))
    assert file.metadata.format_version == "1.0" and file.metadata.row_group(0).column(0).compression == "SNAPPY"
    kinds = "int16 int64 decimal128(8, 2) string bool date32[day] timestamp[us] timestamp[us] double int32"
    assert " ".join(str(field.type) for field in file.schema_arrow) == kinds
    row = file.read().to_pylist()[0]
    assert (row["a"], row["b"], row["c"], row["d"], row["e"], row["n"]) == (1, 2, Decimal("1.50"), "x", True, None)
    assert str(row["g"]) == "2026-01-02 03:04:05.678000" and str(row["h"]) == "2026-01-02 01:04:05"


def test_parquet_files_are_split_in_steps_of_32_mb(link):
    query = "select repeat('x', 9000) || i as t from generate_series(1, 4500) i"
    files = unloaded(link, query, "PARQUET MAXFILESIZE 63 MB MANIFEST VERBOSE")
    counts = [e["meta"]["record_count"] for e in json.loads(files.pop("manifest"))["entries"]]
    assert list(files) == ["0000_part_00.parquet", "0000_part_01.parquet"] and sum(counts) == 4500
    assert [pq.ParquetFile(io.BytesIO(body)).metadata.num_rows for body in files.values()] == counts


def test_row_groups_have_a_size_on_large_nodes(link):
    query = "select repeat('x', 9000) || i as t from generate_series(1, 9000) i"
    groups = lambda options: pq.ParquetFile(io.BytesIO(next(iter(unloaded(link, query, options).values())))).num_row_groups
    assert groups("PARQUET") == 3
    link.bench.post("cluster", **cluster(nodeType="ra3.4xlarge"))
    assert groups("PARQUET ROWGROUPSIZE 64 MB") == 2
