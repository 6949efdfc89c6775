"""Tables in files: what is read, and one line for whatever is wrong with them."""

import gzip
import io
import re
import sys
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from fastgmm.data.columns import Request
from fastgmm.data.csv_layout import TextFormat
from fastgmm.data.table import KINDS, is_file, read_table

pytestmark = pytest.mark.one_backend

AB = [[1.0, 2.5], [-3.0, 40.0]]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(in_a_folder):
    """Write a file, text as UTF-8, and return its name."""

    def write(content, name="x.csv"):
        content = content.encode() if isinstance(content, str) else content
        (in_a_folder / name).write_bytes(content)
        return name

    return write


def values(table):
    return table.X.tolist(), table.names


def error_of(source, *args, **options):
    """Return the message of an error, which has one line and begins with the file's name."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read_table(source, *args, **options)
    message = str(caught.value)
    assert message.startswith(source)
    assert "\n" not in message
    return message.removeprefix(source)


# text


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2.5\n-3,4e1\n",
        "a,b\n1,2.5\n-3,4e1",
        "a,b\r\n1,2.5\r\n-3,40\r\n",
        "a,b\r1,2.5\r-3,40\r",
        "\n\na,b\n1,2.5\n\n-3,40\n\n",
        "\r\n\r\na,b\r\n1,2.5\r\n\r\n-3,40\r\n",
        '\ufeff"a","b"\n"1","2.5"\n-3,40\n',
        "# a,b\n1,2.5\n-3,40\n",
        " a , b \n 1 , +2.5 \n-3,.4e2\n",
        "a;b\n1,0;2,5\n-3;40\n",
        "a;b\n1;2.5\n-3;40\n",
        "a\tb\n1\t2.5\n-3\t40\n",
        "a|b\n1|2.5\n-3|40\n",
        "a b\n1 2.5\n-3 40\n",
    ],
)
def test_text_as_people_write_it(write, text):
    assert values(read_table(write(text))) == (AB, ["a", "b"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "shift-jis"])
def test_encodings(write, encoding):
    names = ["größe", "b"] if encoding != "shift-jis" else ["長さ", "b"]
    source = write((",".join(names) + "\n1,2.5\n-3,40\n").encode(encoding))
    given = encoding if encoding in ("cp1252", "shift-jis") else None
    table = read_table(source, text_format=TextFormat(encoding=given))
    assert values(table) == (AB, names)


def test_wrong_encodings(write):
    source = write("größe\n1\n".encode("cp1252"))
    assert error_of(source) == (
        ": expected text in UTF-8 (invalid start byte). --encoding names another one, such as "
        "cp1252."
    )
    for encoding in ("utf-99", "rot13"):
        with pytest.raises(ValueError, match=f"^--encoding: Python knows no encoding '{encoding}'"):
            read_table(source, text_format=TextFormat(encoding=encoding))
    source = write(("id,a\n" + "x,1\n" * 30_000).encode() + b"\xff,1\n")
    assert error_of(source, Request(ids=["id"])) == (
        ", row 30002, column 'id': expected text in UTF-8."
    )


@pytest.mark.parametrize("name", ["x.csv.gz", "x.tsv.gz", "X.CSV.GZ"])
def test_compressed_text(write, name):
    mark = "\t" if "tsv" in name else ","
    text = "a,b\n1,2.5\n-3,40\n".replace(",", mark)
    assert values(read_table(write(gzip.compress(text.encode()), name))) == (AB, ["a", "b"])


def test_tsv_has_tabs_and_a_given_separator_wins(write):
    assert read_table(write("a,b\tc\n1\t2\n", "x.tsv")).names == ["a,b", "c"]
    given = TextFormat(separator=":")
    assert values(read_table(write("a:b\n1:2.5\n-3:40\n", "x.tsv"), text_format=given))[0] == AB


@pytest.mark.parametrize("content", ["a,b\n1,2.5\n-3,40\n", ""])
def test_standard_input(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    if content:
        assert values(read_table("-")) == (AB, ["a", "b"])
    else:
        with pytest.raises(
            ValueError, match=r"^standard input: expected rows of numbers, got none"
        ):
            read_table("-")


def test_many_rows_and_wide_ones(write):
    X = np.random.default_rng(0).normal(size=(300, 200))
    X[5] *= 1e300
    lines = [
        ",".join(f"c{i}" for i in range(200)),
        *(",".join(map(repr, row)) for row in X.tolist()),
    ]
    table = read_table(write("\n".join(lines)))
    np.testing.assert_array_equal(table.X, X, strict=True)
    wide = np.arange(20_000.0)
    source = write("\n".join(2 * [",".join(map(repr, wide.tolist()))]))
    table = read_table(source, text_format=TextFormat(header=False))
    np.testing.assert_array_equal(table.X, [wide, wide])


# headers


@pytest.mark.parametrize("first", ["0,1,2", "2019,2020,2021", "400.5,401.0,401.5"])
def test_a_header_of_numbers_is_not_read_in_silence(write, first):
    source = write(f"{first}\n1,2,3\n4,5,6\n")
    message = (
        f"x.csv: the first row holds numbers ({first.replace(',', ', ')}) and is read as a sample. "
        "Say --header if they are names, or --no-header."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$"):
        assert len(read_table(source).X) == 3
    named = read_table(source, text_format=TextFormat(header=True))
    assert values(named) == ([[1, 2, 3], [4, 5, 6]], first.split(","))
    plain = read_table(source, text_format=TextFormat(header=False))
    assert (len(plain.X), plain.names) == (3, None)
    plain = read_table(write("1,1\n2,3\n"))  # equal numbers are no names
    assert (len(plain.X), plain.names) == (2, None)


def test_a_first_row_of_text_and_numbers(write):
    source = write("id,2020\nx,1\ny,2\n")
    assert error_of(source) == (
        ": the first row has both text ('id') and numbers ('2020'): say --header if it holds "
        "names, or --no-header if it is a sample."
    )
    request = Request(["2020"], ids=["id"])
    table = read_table(source, request, text_format=TextFormat(header=True))
    assert (values(table), table.ids["id"].to_pylist()) == (([[1.0], [2.0]], ["2020"]), ["x", "y"])


# columns


TEXT = 'id,b,weight,a\n007,1,0.5,2\n"x, y",3,1.5,4\n'


def test_columns_by_name_and_by_number(write):
    source = write(TEXT)
    for chosen in (["a", "b"], ["4", "b"], ["4", "2"]):
        table = read_table(source, Request(chosen, weights="weight", ids=["id", "b"]))
        assert values(table) == ([[2.0, 1.0], [4.0, 3.0]], ["a", "b"])
        assert table.weights.tolist() == [0.5, 1.5]
        assert {name: list(column.to_pylist()) for name, column in table.ids.items()} == {
            "id": ["007", "x, y"],
            "b": ["1", "3"],
        }
    rest = read_table(source, Request(weights="3", ids=["1"]))
    assert rest.names == ["b", "a"]


def test_columns_of_a_model_are_found_by_name(write):
    source = write(TEXT)
    table = read_table(source, Request(model_features=["a", "b"]))
    assert values(table) == ([[2.0, 1.0], [4.0, 3.0]], ["a", "b"])
    table = read_table(source, Request(["b", "a"], model_features=["a", "b"]))
    assert values(table) == ([[2.0, 1.0], [4.0, 3.0]], ["a", "b"])
    np.save("x.npy", np.array(AB))
    assert values(read_table("x.npy", Request(model_features=["a", "b"]))) == (AB, None)
    assert error_of(source, Request(model_features=["a", "c"])) == (
        ": the model needs the columns a, c, but there is no 'c'."
    )
    assert error_of(source, Request(["b"], model_features=["a", "b"])) == (
        ": the model needs the columns a, b, but --columns chooses b."
    )
    assert error_of(write("a,b,a\n1,2,3\n"), Request(model_features=["a", "b"])) == (
        ": the model needs the columns a, b, but 2 are named 'a'. Choose by number, with --columns."
    )


@pytest.mark.parametrize(
    "text, request_, message",
    [
        (TEXT, Request(["aa"]), ": no column 'aa'. Did you mean 'a'?"),
        (TEXT, Request(["zzz"]), ": no column 'zzz': it has id, b, weight, a."),
        (TEXT, Request(["5"]), ": no column '5': it has id, b, weight, a."),
        (TEXT, Request(weights="w8"), ": no column 'w8': it has id, b, weight, a."),
        (TEXT, Request(ids=["ID"]), ": no column 'ID'. Did you mean 'id'?"),
        (TEXT, Request(["a", "4"]), ": column 'a' is chosen twice."),
        (TEXT, Request(), ", row 3, column 'id': expected a number, got 'x, y'. "
         "Choose features with --columns, or leave it out with --id."),
        ("1,1\n", Request(["a"]), ": no column 'a': expected a number from 1 to 2, as the columns "
         "have no names."),
        ("a\n1\n", Request(weights="a"), ": expected a feature at least, got no column."),
        ("a,b,a\n1,2,3\n", Request(["a"]), ": 2 columns are named 'a'. Choose one of them by "
         "number."),
        ("a,b,a\n1,2,3\n", Request(), ": 2 columns are named 'a'. Rename them, or choose one of "
         "them by number, with --columns."),
        (",a,b\n0,1,2\n1,3,4\n", Request(), ": column 1 has no name, as the index of a data frame. "
         "Choose features with --columns, or leave it out with --id."),
        ("a,b,\n1,2,\n", Request(), ": column 3 has no name, as the index of a data frame. "
         "Choose features with --columns, or leave it out with --id."),
    ],
)  # fmt: skip
def test_wrong_columns(write, text, request_, message):
    assert error_of(write(text), request_) == message


def test_some_of_many_columns(write):
    assert read_table(write("a,b,a\n1,2,3\n"), Request(["1", "2"])).names == ["a", "b"]
    assert read_table(write(",a,b\n0,1,2\n"), Request(["a", "b"])).names == ["a", "b"]
    X = np.arange(12.0).reshape(3, 4)
    np.save("x.npy", X)
    np.testing.assert_array_equal(read_table("x.npy", Request(["4", "2"])).X, X[:, [3, 1]])
    table = read_table("x.npy", Request(weights="1", ids=["2"]))
    np.testing.assert_array_equal(table.X, X[:, 2:])
    assert isinstance(table.X, np.memmap)
    assert (table.weights.tolist(), table.ids["column 2"].tolist()) == ([0, 4, 8], [1, 5, 9])


# cells


@pytest.mark.parametrize(
    "text, message",
    [
        ("a,b\n1,2\n\n3,x\n", ", row 3, column 'b': expected a number, got 'x'. "
         "Choose features with --columns, or leave it out with --id."),
        ("1,1\n3,4,5\n", ", row 2: expected 2 columns, got 3."),
        ("a,b\n1,2\n3\n", ", row 3: expected 2 columns, got 1."),
        ("a,b\n1,2\n3,true\n", ", row 3, column 'b': expected a number, got 'true'. "
         "Choose features with --columns, or leave it out with --id."),
        ("a,b\n1,2\n3,2024-01-01\n", ", row 3, column 'b': expected a number, got '2024-01-01'. "
         "Choose features with --columns, or leave it out with --id."),
        ("a;b\n1;1.000,5\n", ", row 2, column 'b': expected a number, got '1.000,5'. "
         "Choose features with --columns, or leave it out with --id."),
        ("a,b\n1,2\n3,inf\n", ", row 3, column 'b': expected a finite number, got inf."),
        ("a,b\n1,-1e999\n", ", row 2, column 'b': expected a finite number, got -inf."),
        ("", ": expected rows of numbers, got none."),
        ("\n\n", ": expected rows of numbers, got none."),
        ("a,b\n", ": expected rows of numbers, got a header alone."),
        ("a,b", ": expected rows of numbers, got a header alone."),
        ("a,b\n\n\n", ": expected rows of numbers, got a header alone."),
    ],
)  # fmt: skip
def test_bad_text(write, text, message):
    assert error_of(write(text)) == message


def test_missing_values(write):
    source = write("id,a,b,w\nx,1,,1\ny,3,4,1\nz,NA,nan,1\nt,5,6,\nu,7,8,2\n")
    request = Request(["a", "b"], weights="w", ids=["id"])
    what = "3 of 5 rows with missing values, the first in row 2, column 'b'."
    remedy = "--drop-missing leaves such rows out, --missing marginalize uses what they have."
    assert error_of(source, request) == f": found {what} {remedy}"
    with pytest.warns(UserWarning, match=rf"^x\.csv: left out {what}$"):
        table = read_table(source, request, drop_missing=True)
    assert values(table) == ([[3.0, 4.0], [7.0, 8.0]], ["a", "b"])
    assert (table.weights.tolist(), table.ids["id"].to_pylist()) == ([1, 2], ["y", "u"])
    assert error_of(write("a,b\n,\n"), drop_missing=True) == (": no row has all values.")
    np.save("x.npy", np.array([[1.0, 2], [3, np.nan]]))
    assert error_of("x.npy") == (
        f": found 1 of 2 rows with missing values, the first in row 2, column 2. {remedy}"
    )


def test_dtypes(write):
    source = write("a\n1.1\n1e39\n")
    assert read_table(source).X.dtype == np.float64
    assert error_of(source, dtype="float32") == (
        ", row 3, column 'a': expected a finite number, got inf (as float32)."
    )
    np.testing.assert_array_equal(
        read_table(write("a\n1.1\n"), dtype="float32").X, np.float32([[1.1]]), strict=True
    )


# Parquet


COLUMNS = {
    "float64": pa.array([0.1, -2.0]),
    "float32": pa.array([0.1, -2.0], pa.float32()),
    "float16": pa.array(np.float16([0.5, -2.0])),
    "int": pa.array([2**53, -2]),
    "uint8": pa.array([255, 0], pa.uint8()),
    "bool": pa.array([True, False]),
    "decimal": pa.array([Decimal("0.10"), Decimal("-2.00")]),
    "category": pa.array([0.25, 3.0]).dictionary_encode(),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_numbers_in_parquet(name):
    parquet.write_table(pa.table({"other": ["x", "y"], name: COLUMNS[name]}), "x.parquet")
    table = read_table("x.parquet", Request([name]))
    narrow = name in ("float32", "float16")
    assert (table.X.dtype, table.names) == (np.float32 if narrow else np.float64, [name])
    expected = [float(value) for value in COLUMNS[name].to_pylist()]
    np.testing.assert_array_equal(table.X[:, 0], expected)


@pytest.mark.parametrize(
    "column, kind",
    [
        (pa.array(["x"]), "string"),
        (pa.array([np.datetime64("2024-01-01", "ns")]), "timestamp[ns]"),
        (pa.array([date(2024, 1, 1)]), "date32[day]"),
        (pa.array([{"b": 1.0}]), "struct<b: double>"),
        (pa.array([[1.0]]), "list<element: double>"),
        (pa.array(["x"]).dictionary_encode(), "string"),
    ],
)
def test_other_columns_in_parquet(column, kind):
    parquet.write_table(pa.table({"a": [1.0], "other": column}), "x.parquet")
    message = error_of("x.parquet")
    assert message.startswith(", column 'other': expected numbers, got ")
    assert kind in message
    assert message.endswith("Choose features with --columns, or leave it out with --id.")
    table = read_table("x.parquet", Request(["a"], ids=["other"]))
    assert (table.X.tolist(), len(table.ids["other"])) == ([[1.0]], 1)


def test_parquet_columns_nulls_and_the_index_of_a_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [3, None]}, index=["x", "y"])
    frame.to_parquet("x.parquet")
    assert error_of("x.parquet") == (
        ": found 1 of 2 rows with missing values, the first in row 2, column 'b'. "
        "--drop-missing leaves such rows out, --missing marginalize uses what they have."
    )
    with pytest.warns(UserWarning, match="left out 1 of 2 rows"):
        table = read_table("x.parquet", Request(ids=["__index_level_0__"]), drop_missing=True)
    assert values(table) == ([[1.0, 3.0]], ["a", "b"])
    assert table.ids["__index_level_0__"].to_pylist() == ["x"]
    parquet.write_table(pa.table([pa.array([1.0])] * 2, names=["a", "a"]), "x.parquet")
    assert error_of("x.parquet", Request(["1"])) == ": several columns are named 'a'."
    parquet.write_table(pa.table({"a": pa.array([], pa.float64())}), "x.parquet")
    assert error_of("x.parquet") == ": expected rows of numbers, got none."


# NumPy's files


@pytest.mark.parametrize("dtype", ["f8", ">f8", "f4", "f2", "i2", "u8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_mapped_and_read_only(dtype, order):
    X = np.array([[0, 1, 1], [1, 0, 1]], dtype, order=order)
    np.save("x.npy", X)
    table = read_table("x.npy")
    assert isinstance(table.X, np.memmap)
    assert not table.X.flags.writeable
    assert table.names is None
    np.testing.assert_array_equal(table.X, X, strict=True)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(save):
    X = np.random.default_rng(0).normal(size=(5, 3))
    save("one.npz", X=X)
    np.testing.assert_array_equal(read_table("one.npz").X, X, strict=True)
    save("two.npz", X=X, y=np.asfortranarray(-X), words=np.array(["a"]))
    np.testing.assert_array_equal(read_table("two.npz:y").X, -X)
    with pytest.raises(ValueError, match=(
        r"^two\.npz: expected one array, found X, words, y\. FILE\.npz:NAME names one of several\."
    )):  # fmt: skip
        read_table("two.npz")
    with pytest.raises(ValueError, match=r"^two\.npz: expected an array 'z', found X, words, y\."):
        read_table("two.npz:z")
    assert error_of("two.npz:words") == ": expected real numbers, got dtype <U1."


@pytest.mark.parametrize(
    "array, message",
    [
        (np.array([["a"]]), ": expected real numbers, got dtype <U1."),
        (np.ones((2, 2)) * 1j, ": expected real numbers, got dtype complex128."),
        (np.array([{}]), ": expected real numbers, got dtype object."),
        (np.array([["2024"]], "M8[Y]"), ": expected real numbers, got dtype datetime64[Y]."),
        (np.ones(5), ": expected a table of shape (n_samples, n_features), got an array of shape "
         "(5,)."),
        (np.ones((0, 3)), ": expected rows of numbers, got an array of shape (0, 3)."),
        (np.array([[1, 2], [3, np.inf]]), ", row 2, column 2: expected a finite number, got inf."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_bad_arrays(array, message, name):
    if name == "x.npy":
        np.save(name, array)
    else:
        np.savez(name, array)
    assert error_of(name) == message


# all kinds


def test_names_of_files():
    for name in ("w.npy", "w.NPZ", "a.npz:w", "w.csv", "w.tsv.gz", "w.parquet"):
        assert is_file(name)
    for name in ("w", "weight", "w.txt", "3", "npy"):
        assert not is_file(name)
    assert error_of("x.txt") == f": expected {KINDS}."


@pytest.mark.parametrize("name", ["w.npy", "w.npz", "w.csv", "w.parquet"])
def test_weights_of_a_file(write, name):
    w = np.array([1.0, 2.0])
    if name == "w.npy":
        np.save(name, w)
    elif name == "w.npz":
        np.savez(name, w[:, np.newaxis])
    elif name == "w.csv":
        write("1\n2\n", name)
    else:
        parquet.write_table(pa.table({"w": w}), name)
    source = write("a,b\n1,2.5\n-3,40\n")
    assert read_table(source, weights_file=name).weights.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read_table(write("a\n1\n2\n3\n"), weights_file=name)
    shape = "(2,)" if name == "w.npy" else "(2, 1)"
    assert str(caught.value) == (
        f"{name}: expected 3 weights, one for each sample, got an array of shape {shape}."
    )


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "-"])
def test_pyarrow_missing(write, monkeypatch, name):
    write("a\n1\n", "x.csv")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n1\n")))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        ImportError, match=r"reading it needs pyarrow: pip install 'fastgmm\[cli\]'$"
    ):
        read_table(name)


def test_rows_of_weight_zero_are_absent(write):
    source = write("a,w\n1,1\n,0\ninf,0\n4,2\n")
    table = read_table(source, Request(weights="w"))
    assert (table.X.tolist(), table.weights.tolist()) == ([[1.0], [4.0]], [1.0, 2.0])
    assert error_of(write("a,w\n1,1\n2,inf\n"), Request(weights="w")) == (
        ", row 3: expected a finite weight of at least 0, got inf."
    )
