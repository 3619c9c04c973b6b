"""Bulk prediction: the same answers as over HTTP, from any format to any, whole or not at all, in constant memory."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression

import tepal
from tepal import Invalid, Malformed, ModelError, bulk, repository, sources
from tepal.errors import FileError
from tepal.wire.arrow import READ_HERE
from tests import models
from tests.parts import BULK_ROWS

MIB = 1024  # in KiB, as the kernel counts


class RunningTotal(RegressorMixin, BaseEstimator):
    """A row's answer is the sum of all rows up to it."""

    def fit(self, X, y):
        self.n_features_in_ = 1
        return self

    def predict(self, X):
        return np.cumsum(np.asarray(X)[:, 0])


@pytest.fixture(scope="module", name="version")
def _version(store, tmp_path_factory):
    own = tmp_path_factory.mktemp("store")
    X = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [2.0, 7.0, 1.0]})
    y = pd.DataFrame({"north": X.a + 1, "south": X.b * 2})
    tepal.publish(LinearRegression().fit(X, y), name="pair", X=X, y=y, store=own)
    steps = np.arange(40.0).reshape(-1, 1)
    tepal.publish(RunningTotal().fit(steps, None), name="total", X=steps, rows="sequence", store=own)
    loaded = {}

    def load(name):
        if name not in loaded:
            loaded[name] = repository.load((own if (own / name).exists() else store) / name / "1")
        return loaded[name]

    return load


@pytest.fixture(name="people")
def _people():
    frame = models.people()[0].head(60)
    frame.insert(0, "id", [f"p{i}" for i in range(len(frame))])
    return frame


def write(frame, path):
    """A table in the format that the file is named for."""
    if ".csv" in path.name:
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True, date_format="iso")
    return path


def read(path):
    if ".csv" in path.name:
        return pd.read_csv(path)
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_json(path, orient="records", lines=True)


def file(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(version, source, folder, **options):
    """What is said of a file that cannot be answered; nothing is left of the attempt."""
    before = {path.name for path in folder.iterdir()}
    with pytest.raises(tepal.TepalError) as caught:
        bulk.predict(version, source, folder / "out.csv", **options)
    assert {path.name for path in folder.iterdir()} == before
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".jsonl", ".ndjson", ".jsonl.gz", ".parquet"])
def test_the_same_rows_in_any_format_get_the_same_answers(version, people, tmp_path, ending):
    expected = version("people").runtime.predict(version("people").readers.json.read(
        people.drop(columns="id").to_json(orient="records", date_format="iso").encode(), bulk.FileNotes()
    ))  # fmt: skip

    done = bulk.predict(version("people"), write(people, tmp_path / f"in{ending}"), tmp_path / "out.csv", chunk_rows=7)

    found = read(tmp_path / "out.csv")
    assert done.rows == len(people)
    assert [(note.row, note.message) for note in done.notes.listed] == [
        (None, 'the model has no column "id"; it was ignored')
    ]
    assert done.notes.total == 1
    assert found["prediction"].tolist() == expected.labels()
    assert (found.filter(like="probability").to_numpy() == expected.probabilities[0]).all()


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".jsonl.gz", ".parquet"])
def test_the_answers_in_any_format_are_the_same(version, people, tmp_path, ending):
    source = write(people, tmp_path / "in.csv")
    bulk.predict(version("people"), source, tmp_path / "plain.csv")

    bulk.predict(version("people"), source, tmp_path / f"out{ending}", chunk_rows=7)

    found, expected = read(tmp_path / f"out{ending}"), read(tmp_path / "plain.csv")
    if ".jsonl" in ending:
        chances = pd.DataFrame(found.pop("probabilities").tolist())
        found = pd.concat([found, chances.add_prefix("probability_")], axis=1)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize(("ending", "type_"), [(".csv", "text/csv"), (".jsonl", "application/jsonlines")])
def test_a_file_is_answered_as_a_request_is(version, served, people, tmp_path, ending, type_):
    source = write(people.drop(columns="id"), tmp_path / f"in{ending}")
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    connection.request("POST", "/models/people/predict", source.read_bytes(), {"Content-Type": type_, "Accept": type_})
    answer = connection.getresponse().read()
    connection.close()

    bulk.predict(version("people"), source, tmp_path / f"out{ending}", chunk_rows=7)

    assert (tmp_path / f"out{ending}").read_bytes() == answer


def test_probabilities_can_be_left_out(version, people, tmp_path):
    bulk.predict(version("people"), write(people, tmp_path / "in.csv"), tmp_path / "out.parquet", probabilities=False)

    assert list(read(tmp_path / "out.parquet")) == ["prediction"]


def test_several_outputs_are_several_columns(version, tmp_path):
    source = file(tmp_path, "in.csv", "b,a\n3,1\n5,2\n")

    bulk.predict(version("pair"), source, tmp_path / "out.parquet")
    bulk.predict(version("pair"), source, tmp_path / "out.jsonl")

    assert read(tmp_path / "out.parquet").round(9).to_dict("list") == {"north": [2.0, 3.0], "south": [6.0, 10.0]}
    assert [list(line["prediction"]) for line in map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())] == [
        ["north", "south"]
    ] * 2


def test_labels_and_gaps_keep_their_types_in_parquet(version, tmp_path):
    bulk.predict(version("words"), file(tmp_path, "in.csv", "text\ngood\n"), tmp_path / "bool.parquet")
    bulk.predict(version("iris"), file(tmp_path, "in.csv", "5,3,1,0.2\n"), tmp_path / "text.parquet")
    bulk.predict(version("temper"), file(tmp_path, "in.csv", "-1,3\n-2,4\n3,3\n"), tmp_path / "gap.parquet", chunk_rows=1)

    assert read(tmp_path / "bool.parquet")["prediction"].tolist() == [True]
    assert read(tmp_path / "text.parquet")["prediction"].tolist() == ["setosa"]
    gaps = read(tmp_path / "gap.parquet")["prediction"]
    assert gaps.dtype == "float64"
    assert gaps.isna().tolist() == [True, True, False]


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("out", [".csv", ".jsonl", ".parquet"])
def test_columns_are_carried_along_so_that_answers_can_be_joined(version, people, tmp_path, ending, out):
    done = bulk.predict(
        version("people"),
        write(people, tmp_path / f"in{ending}"),
        tmp_path / f"out{out}",
        keep=("id", "height"),
        chunk_rows=7,
    )

    found = read(tmp_path / f"out{out}")
    assert done.notes.total == 0
    assert list(found)[:3] == ["id", "height", "prediction"]
    assert found["id"].tolist() == people["id"].tolist()
    pd.testing.assert_series_equal(pd.to_numeric(found["height"]), people["height"])


def test_arrow_keeps_the_types_of_what_is_carried_along(version, people, tmp_path):
    people["day"] = people["joined"].dt.date
    bulk.predict(version("people"), write(people, tmp_path / "in.parquet"), tmp_path / "out.parquet", keep=["joined", "day"])

    assert read(tmp_path / "out.parquet")[["joined", "day"]].equals(people[["joined", "day"]])


@pytest.mark.parametrize(
    ("name", "content", "keep", "said"),
    [
        ("in.csv", "id,a,b\n1,2,3\n", "idd", 'in.csv: there is no column "idd" to keep; it has id, a, b'),
        ("in.csv", "2,3\n", "id", 'in.csv: there is no column "id" to keep; its first line is no header'),
        ("in.jsonl", '{"a":1,"b":2}', "id", 'in.jsonl: row 0 (line 1): there is no column "id" to keep; row 0 has a, b'),
        ("in.jsonl", "[1,2]", "id", 'in.jsonl: row 0 (line 1) is no record, so that it has no column "id" to keep'),
        (
            "in.csv",
            "north,a,b\n1,2,3\n",
            "north",
            "a column 'north' cannot be kept: the predictions have a column of that name",
        ),
    ],
)
def test_what_cannot_be_carried_along_is_said(version, tmp_path, name, content, keep, said):
    assert refusal(version("pair"), file(tmp_path, name, content), tmp_path, keep=[keep]) == said


def test_a_record_of_csv_may_have_lines_wherever_a_chunk_ends(version, tmp_path):
    texts = ['"good\nday"', '"good\r\n""day"""', "good\"day", "luck", '"\n\n\n"', '"bad, day"'] * 20  # fmt: skip
    source = file(tmp_path, "in.csv", "text\r\n" + "".join(f"{text}\r\n" for text in texts))
    expected = version("words").readers.csv.read(source.read_bytes(), bulk.FileNotes())

    for chunk_rows in (1, 7, 1000):
        done = bulk.predict(version("words"), source, tmp_path / "out.jsonl", keep=["text"], chunk_rows=chunk_rows)

        kept = [json.loads(line)["text"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert done.rows == len(texts)
        assert kept == expected.columns[0].tolist()


def test_a_chunk_ends_where_it_has_bytes_enough(version, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "CHUNK_BYTES", 100_000)
    source = file(tmp_path, "in.csv", "text\n" + f'"{"good " * 2000}"\n' * 500)
    chunks = []
    request = sources.Request(source, version("words").manifest.signature, version("words").readers)

    with sources.opened(request) as opened:
        chunks.extend(len(chunk) for chunk in opened.chunks(10_000))

    assert sum(chunks) == 500
    assert len(chunks) == 5  # it looks every hundred rows


@pytest.mark.parametrize("content", ["4,5\n6,7\n", "\ufeffa,b\n4,5\n6,7\n", "a,b\r4,5\r6,7", '{"a":4,"b":5}\n\n [6,7]'])
def test_a_header_is_looked_for_once(version, tmp_path, content):
    name = "in.jsonl" if content.startswith("{") else "in.csv"
    source = file(tmp_path, name, content)

    if name == "in.jsonl":
        assert "record or vector unlike" in refusal(version("pair"), source, tmp_path, chunk_rows=1)
        return
    bulk.predict(version("pair"), source, tmp_path / "out.csv", chunk_rows=1)

    assert read(tmp_path / "out.csv").round(9).to_dict("list") == {"north": [5.0, 7.0], "south": [10.0, 14.0]}


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_sequence_is_answered_in_one_piece(version, tmp_path, ending):
    frame = pd.DataFrame({"x0": np.ones(50)})

    bulk.predict(version("total"), write(frame, tmp_path / f"in{ending}"), tmp_path / "out.csv", chunk_rows=3)

    assert read(tmp_path / "out.csv")["prediction"].tolist() == list(np.arange(1.0, 51.0))


ENDINGS = ".csv, .jsonl, .ndjson, .parquet, .csv.gz, .jsonl.gz, .ndjson.gz"
ROWS = "".join(f"{i},1\n" for i in range(20))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("in.csv", f"a,b\n{ROWS}x,1\n", "in.csv: row 20 (line 22): column 'a' expects a number, got the string \"x\""),
        ("in.csv", f"{ROWS}\n\n1,\n", "in.csv: row 20 (line 23): column 'b' expects a number, got null"),
        ("in.csv", f"{ROWS}1,x\ny,\n",
         "in.csv: row 20 (line 21): column 'b' expects a number, got the string \"x\" (2 more in rows 20 to 21)"),
        ("in.csv", f"a,b,c\n{ROWS}".replace(",1\n", ',1,"\n"\n') + 'x,1,"\n"',
         "in.csv: row 20 (line 42): column 'a' expects a number, got the string \"x\""),
        ("in.csv", f"a,b\n{ROWS}1\n", "in.csv: row 20 (line 22) has 1 value, the header has 2"),
        ("in.csv", f'a,b\n{ROWS}1,"2"3\n', "in.csv: line 22 is not CSV: ',' expected after '\"'"),
        ("in.csv", f'a,b\n{ROWS}1,"2\n{ROWS}', "in.csv: line 22 is not CSV: unexpected end of data"),
        ("in.csv", f"a,b\n{ROWS}1e999,1\n", "in.csv: row 20 (line 22): the number 1e999 is too large for a 64-bit float"),
        ("in.csv", f"a,b\n{ROWS}\xe9,1\n".encode("latin-1"),
         "in.csv: line 22 is not UTF-8; save the file as UTF-8 (in Excel: CSV UTF-8)"),
        ("in.csv", f"a,b\n{ROWS}".encode("utf-16"), "in.csv: the file is UTF-16 or UTF-32; send UTF-8"),
        ("in.csv", "a;b\n1;2\n", "in.csv: the cells of the first line are separated by ';'; send commas"),
        ("in.csv", "a,b\n", "in.csv: there are no rows to predict; the first line was read as a header"),
        ("in.csv", "", "in.csv: the file is empty"),
        ("in.csv", "\n\n", "in.csv: the file is empty"),
        ("in.csv.gz", gzip.compress(ROWS.encode() * 99)[:60], "in.csv.gz: the file is not a whole gzip"),
        ("in.csv.gz", ROWS, "in.csv.gz: the file is not a whole gzip"),
        ("in.jsonl", "[1,2]\n" * 20 + "\n[1,2,3]\n",
         "in.jsonl: row 20 (line 22) has 3 values, the model takes 2 values (a, b)"),
        ("in.jsonl", "[1,2]\n" * 20 + "[1,NaN]\n",
         "in.jsonl: row 20 (line 21): NaN is not JSON; send null for a missing value"),
        ("in.jsonl", "[1,2]\n" * 20 + '"a"\n', 'in.jsonl: row 20 (line 21) is "a"; a line takes a record or a vector'),
        ("in.jsonl", b'{"a":1,"b":2}\n' * 20 + b'{"a":1,"b":2,"\xe9":1}\n',
         "in.jsonl: line 21 is not UTF-8; save the file as UTF-8 (in Excel: CSV UTF-8)"),
        ("in.jsonl", "\n \n", "in.jsonl: the file is empty"),
        ("in.parquet", ROWS, "in.parquet: the file is not Parquet, or was cut short"),
        ("x.json", "[]",
         f"the name 'x.json' ends in no known format; it may be {ENDINGS}"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_named_by_its_place(version, tmp_path, name, content, said):
    assert refusal(version("pair"), file(tmp_path, name, content), tmp_path, chunk_rows=5) == said


def test_a_quote_that_is_never_closed_does_not_swallow_all_the_rest(version, tmp_path):
    source = file(tmp_path, "in.csv", f'a,b\n{ROWS}1,"2\n' + "1234567\n" * 3_000_000)

    said = refusal(version("pair"), source, tmp_path)

    assert said == "in.csv: line 22 is not CSV: field larger than field limit (16777216)"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"a": [1.0] * 20 + [np.inf], "b": 1.0}, "in.parquet: row 20: column 'a' expects a number, got Infinity"),
        ({"a": [1.0] * 20 + [None], "b": 1.0}, "in.parquet: row 20: column 'a' expects a number, got null"),
        (
            {"a": [True] * 20, "b": 1},
            "in.parquet: row 0: column 'a' expects a number, got the boolean true (4 more in rows 0 to 4)",
        ),
        ({"a": ["1"], "b": 1}, "in.parquet: row 0: column 'a' expects a number, got the string \"1\""),
        (
            {"a": [[1.0]], "b": 1},
            f"in.parquet: column 'a' is of Arrow's type list<element: double>, which is not read here; send {READ_HERE}",
        ),
        ({"A": [1.0], "b": 1}, "in.parquet: row 0: column 'a' is missing; the row has \"A\": did you mean 'a'?"),
        ({"a": [], "b": []}, "in.parquet: there are no rows to predict"),
    ],
)
def test_a_cell_of_parquet_is_refused_as_one_of_json_is(version, tmp_path, columns, said):
    pd.DataFrame(columns).to_parquet(tmp_path / "in.parquet")

    assert refusal(version("pair"), tmp_path / "in.parquet", tmp_path, chunk_rows=5) == said


def test_arrow_types_mean_what_their_json_means(version, people, tmp_path):
    """Dictionaries, zones, dates, decimals, small integers, and integers with gaps."""
    import decimal

    import pyarrow as pa
    from pyarrow import parquet

    people["height"] = people["height"].round(0)
    plain = write(people, tmp_path / "in.jsonl")
    table = pa.table(
        {
            "age": pa.array(people["age"], pa.int8()),
            "height": pa.array([None if pd.isna(value) else int(value) for value in people["height"]], pa.uint16()),
            "city": pa.array(people["city"]).dictionary_encode(),
            "plan": pa.array(people["plan"], pa.large_string()),
            "member": pa.array(people["member"]),
            "joined": pa.array(people["joined"].dt.date, pa.date32()),
        }
    )
    others = {
        "joined": pa.array(
            people["joined"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"), pa.timestamp("ms", "Asia/Tokyo")
        ),
        "age": pa.array([decimal.Decimal(int(age)) for age in people["age"]], pa.decimal128(10, 2)),
        "height": pa.array(people["height"], pa.float32(), from_pandas=False),
    }
    bulk.predict(version("people"), plain, tmp_path / "expected.csv")

    for name, column in (("age", table["age"]), *others.items()):
        table = table.set_column(table.column_names.index(name), name, column)
        parquet.write_table(table, tmp_path / "in.parquet")
        bulk.predict(version("people"), tmp_path / "in.parquet", tmp_path / "out.csv", chunk_rows=7)

        assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes(), name


def test_warnings_count_rows_of_the_file(version, tmp_path):
    source = file(tmp_path, "in.csv", "1,2\n" * 9 + "9,2\n" * 30)

    done = bulk.predict(version("pair"), source, tmp_path / "out.csv", chunk_rows=4)

    assert done.notes.listed[0].row == 9
    assert done.notes.listed[0].message == "9.0 is outside the range 1.0–4.0 seen in training"
    assert (len(done.notes.listed), done.notes.total) == (20, 30)


def test_an_unknown_column_is_refused_where_that_is_asked(version, tmp_path):
    source = file(tmp_path, "in.csv", "a,b,c\n" + "1,2,3\n" * 9)

    assert refusal(version("pair"), source, tmp_path, strict=True) == 'in.csv: the model has no column "c"; it has a, b'
    assert bulk.predict(version("pair"), source, tmp_path / "out.csv", strict=True, keep=["c"]).rows == 9


@pytest.mark.parametrize(
    ("rows", "kind", "said"),
    [
        ("1,1\n50,1\n", Invalid, "in.csv: rows 0 to 1: the model refused the rows: 50 is more than I can take"),
        ("500,1\n", ModelError, "in.csv: row 0 (line 1): the model failed on these rows: RuntimeError: a secret"),
    ],
)
def test_what_the_model_itself_says_is_told(version, tmp_path, rows, kind, said):
    with pytest.raises(kind, match=said.replace("(", r"\(").replace(")", r"\)")):
        bulk.predict(version("temper"), file(tmp_path, "in.csv", rows), tmp_path / "out.csv")


def test_a_failure_leaves_the_old_file(version, tmp_path):
    (tmp_path / "out.csv").write_text("old")

    with pytest.raises(Invalid):
        bulk.predict(version("pair"), file(tmp_path, "in.csv", f"{ROWS}x,1\n"), tmp_path / "out.csv", chunk_rows=5)

    assert (tmp_path / "out.csv").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", "out.csv"}


def test_a_link_stays_one(version, tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "out.csv").symlink_to("real.csv")

    bulk.predict(version("pair"), file(tmp_path, "in.csv", "1,2\n"), tmp_path / "out.csv")

    assert (tmp_path / "out.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("north,south\n")


def test_what_is_no_place_for_a_file_is_said(version, tmp_path):
    source = file(tmp_path, "in.csv", "1,2\n")
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")

    for target, said in (
        ("in.csv", "the predictions would take the place of their own rows"),
        ("folder.csv", "is no file that could be replaced"),
        ("pipe.csv", "is no file that could be replaced"),
        ("none/out.csv", "cannot be written: No such file or directory"),
        ("out.txt", "ends in no known format"),
    ):
        with pytest.raises(FileError, match=said):
            bulk.predict(version("pair"), source, tmp_path / target)


def test_a_full_disk_is_said_and_leaves_nothing(store, tmp_path):
    """A limit on the size of a file stands for the disk."""
    source = file(tmp_path, "in.csv", "5,3,1,0.2\n" * 200_000)
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "sys.argv[0] = 'tepal'; from tepal.cli import main; main()"
    )
    command = [sys.executable, "-c", script, "predict", "iris", str(source), "-o", str(tmp_path / "out.csv")]

    done = subprocess.run(
        command, env={**os.environ, "MODEL_STORE": str(store)}, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (1, f"Error: {tmp_path}/out.csv cannot be written: File too large\n")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.fixture(name="in_a_terminal")
def _in_a_terminal():
    """Ctrl-C ends a program, also where these tests were started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("in_a_terminal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_stopped_leaves_the_old_file_and_nothing_else(store, tmp_path, number):
    source = file(tmp_path, "in.csv", "0.01,0\n" * 100_000)  # so many hundredths of a second
    (tmp_path / "out.csv").write_text("old")
    command = [sys.executable, "-m", "tepal", "predict", "stall", str(source), "-o", str(tmp_path / "out.csv")]
    environ = {**os.environ, "MODEL_STORE": str(store)}
    with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as process:
        try:
            while not list(tmp_path.glob(".tepal-*")):
                assert process.poll() is None
                time.sleep(0.01)

            process.send_signal(number)

            assert process.wait(30) != 0
        finally:
            process.kill()
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", "out.csv"}
    assert (tmp_path / "out.csv").read_text() == "old"


# A process of its own, as a child's peak is never less than what its parent held when it was forked.
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak(store, source, target, *options):
    """The most memory that a run has had, in KiB."""
    command = [sys.executable, "-m", "tepal", "predict", "iris", str(source), "-o", str(target), *options]
    environ = {**os.environ, "MODEL_STORE": str(store)}
    return int(
        subprocess.run([sys.executable, "-c", PEAK, *command], env=environ, stdout=subprocess.PIPE, check=True).stdout
    )


def flowers(path, rows):
    numbers = np.random.default_rng(0).uniform(0.1, 7.9, (rows, 4)).round(1)
    return write(pd.DataFrame(numbers, columns=["sepal_length", "sepal_width", "petal_length", "petal_width"]), path)


@pytest.mark.parametrize(("ending", "out"), [(".csv", ".csv"), (".jsonl", ".parquet"), (".parquet", ".jsonl")])
def test_memory_does_not_grow_with_the_file(store, tmp_path, ending, out):
    fewer = peak(store, flowers(tmp_path / f"fewer{ending}", BULK_ROWS // 4), tmp_path / f"out{out}")
    more = peak(store, flowers(tmp_path / f"more{ending}", BULK_ROWS), tmp_path / f"out{out}")
    print(f"{ending} to {out}: {fewer // MIB} MiB for {BULK_ROWS // 4:,} rows, {more // MIB} MiB for {BULK_ROWS:,}")

    assert more < fewer + 16 * MIB


def test_memory_of_a_file_in_one_piece_would_be_seen(store, tmp_path):
    source = flowers(tmp_path / "in.csv", 200_000)

    assert (
        peak(store, source, tmp_path / "out.csv", "--chunk-rows", "200000")
        > peak(store, source, tmp_path / "out.csv") + 16 * MIB
    )


def test_a_damaged_file_of_parquet_is_said(version, tmp_path):
    flowers(tmp_path / "in.parquet", 5000)
    data = bytearray((tmp_path / "in.parquet").read_bytes())
    data[100:2000] = bytes(1900)
    (tmp_path / "in.parquet").write_bytes(data)

    with pytest.raises(Malformed, match=r"in\.parquet: the file is damaged"):
        bulk.predict(version("iris"), tmp_path / "in.parquet", tmp_path / "out.csv")
