"""The documentation: examples run, links lead somewhere; methods, notes and promises have tests."""

import ast
import doctest
import re
import shlex
import shutil
from collections import Counter
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from typing import NamedTuple

import pytest
from backends import skip_without
from sklearn.base import BaseEstimator

import fastgmm
from fastgmm import em
from fastgmm.cli.main import main

ROOT = Path(__file__).parent.parent
INDEX = ROOT / "docs" / "index.md"  # README, with a table of contents
PAGES = [ROOT / "README.md", *sorted(set((ROOT / "docs").glob("*.md")) - {INDEX})]
METHODS = ROOT / "docs" / "methods.md"
NOTES = ROOT / "docs" / "notes.md"
PROMISES = ROOT / "docs" / "promises.md"
DATA = [ROOT / "docs" / "data" / "penguins.csv", ROOT / "tests" / "data" / "faithful.csv"]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LISTED = re.compile(r"^   ([a-zA-Z_.]+)$", re.MULTILINE)
TEST_LINK = re.compile(r"\[`(\w+\.py)::(\w+)`\]")
MODULES = ("__version__", "em", "sources")  # have pages of their own, or need none
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")

PACKAGE = Path(fastgmm.__file__).parent
WITH_EXAMPLES = sorted(
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
    for file in PACKAGE.rglob("*.py")
    if ">>> " in file.read_text(encoding="utf-8")
)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


class Method(NamedTuple):
    """A row of the table of methods."""

    name: str
    public: str
    equation: str
    cost: str
    tests: str


class Claim(NamedTuple):
    """A row of the tables of what the course notes say."""

    number: str
    section: str
    claim: str
    where: str
    tests: str


class Slip(NamedTuple):
    """A row of the tables of what the course notes should say."""

    claims: str
    printed: str
    right: str
    tests: str


def blocks(page):
    """Yield each example, after as many empty lines as stand before it: errors tell the line."""
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        yield "\n" * (text[: match.start(1)].count("\n")) + match[1]


def anchors(page):
    """Return what the headings of a page are called in links."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows(page, first_column, kind):
    """Return the rows of the tables of a page whose first column has this name."""
    found, header = [], ""
    for line in page.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            header = ""
        elif not header:
            header = line
        elif header.startswith(f"| {first_column} |") and not line.startswith("|--"):
            found.append(kind(*(cell.strip() for cell in line[1:-1].split("|"))))
    return found


METHOD_ROWS = rows(METHODS, "method", Method)
CLAIMS = rows(NOTES, "no.", Claim)
SLIPS = rows(NOTES, "slip in", Slip)


def quoted(cell):
    """Return what stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def promises():
    """Return the lines of the tables of promises."""
    tables = PROMISES.read_text(encoding="utf-8").split("| what holds | shown by |\n|---|---|\n")
    return [line for table in tables[1:] for line in table.split("\n\n")[0].splitlines()]


def functions_in(name):
    """Return the names of the tests in a file."""
    tree = ast.parse((Path(__file__).parent / name).read_text(encoding="utf-8"))
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [function for function in functions if function.startswith("test_")]


def named(table, column):
    """Return a parameter for each quoted name in a column, with the first cell of its row."""
    pairs = [(row[0], name) for row in table for name in quoted(getattr(row, column))]
    return [pytest.param(name, id=f"{first}: {name}") for first, name in pairs]


@pytest.fixture
def with_data(tmp_path, monkeypatch):
    """Go to an empty folder with the tables that pages read."""
    for table in DATA:
        shutil.copy(table, tmp_path)
    monkeypatch.chdir(tmp_path)


#: Programs of pages that Numba takes long to compile: test_embed_numba.py and test_open_kernels.py
#: compile the same functions in a quick run.
COMPILED_PAGES = {"embedding.md", "kernels.md"}
#: Programs of pages that take 5 to 10 s.
LONG_PAGES = {"many_components.md", "coming_from_mclust.md", "missing_values.md", "asking.md"}


def marks_of(page):
    """Return the marks of a page: most run in a quick run, with both backends."""
    if page.name in LONG_PAGES:
        return pytest.mark.slow, pytest.mark.one_backend
    return pytest.mark.slow if page.name in COMPILED_PAGES else ()


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=marks_of(page)) for page in PAGES],
    ids=lambda page: page.name,
)
def test_examples(page, with_data):
    namespace = {"__name__": page.stem}
    for block in blocks(page):
        if "import numba" in block or "from numba" in block:
            pytest.importorskip("numba")
        if "import skl2onnx" in block:
            pytest.importorskip("skl2onnx")
            pytest.importorskip("onnxruntime")
        if "CModel" in block:
            skip_without("cython")
        exec(compile(block, page.name, "exec"), namespace)


@pytest.mark.parametrize("page", [ROOT / "docs" / "tutorial.md"], ids=lambda page: page.name)
def test_commands(page, with_data, capsys):
    pytest.importorskip("pyarrow")
    text = page.read_text(encoding="utf-8")
    for block in COMMANDS.findall(text):
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "fastgmm"
            assert main(arguments) == 0, capsys.readouterr().err


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_docstrings(name):
    file = PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py")
    if re.search(r">>> .*numba", file.read_text(encoding="utf-8")):
        skip_without("numba")
    if name == "fastgmm.embed.c_model":
        skip_without("cython")
    assert doctest.testmod(import_module(name)).failed == 0


@each_page
def test_relative_links(page):
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.name)
def test_every_page_is_reached_from_the_readme(page):
    text = PAGES[0].read_text(encoding="utf-8")
    assert f"docs/{page.name}" in LINK.findall(text)


@pytest.mark.parametrize(
    "name", ["fastgmm", "fastgmm.em", "fastgmm.embed", "fastgmm.embed.numba", "fastgmm.distributed"]
)
def test_reference_lists_every_public_name(name):
    if name == "fastgmm.embed.numba":
        skip_without("numba")
    page = "_".join(name.split(".")[1:]) or name
    text = (ROOT / "docs" / "reference" / f"{page}.rst").read_text(encoding="utf-8")
    public = {name for name in import_module(name).__all__ if name not in MODULES}
    listed = [name for name in LISTED.findall(text) if "." not in name]
    assert sorted(listed) == sorted(public)


def test_reference_lists_every_source():
    text = (ROOT / "docs" / "reference" / "sources.rst").read_text(encoding="utf-8")
    assert sorted(LISTED.findall(text)) == sorted(fastgmm.sources.__all__)


def test_citation_names_the_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    (version,) = re.findall(r"^version: (.+)$", text, re.MULTILINE)
    assert version == fastgmm.__version__.split(".dev")[0].split("+")[0]


@pytest.mark.parametrize("row", METHOD_ROWS, ids=lambda row: row.name)
def test_rows_of_methods_are_complete(row):
    assert quoted(row.public)
    assert row.equation
    assert row.cost
    assert quoted(row.tests)


@pytest.mark.parametrize("expression", named(METHOD_ROWS, "public") + named(CLAIMS, "where"))
def test_public_names(expression):
    """Each can be imported from fastgmm; an estimator accepts the parameters that are shown."""
    names = {name: getattr(fastgmm, name) for name in fastgmm.__all__} | {"em": em}
    value = eval(expression, names)
    if isinstance(value, BaseEstimator):
        value._validate_params()


@pytest.mark.parametrize(
    "test", [test for table in (METHOD_ROWS, CLAIMS, SLIPS) for test in named(table, "tests")]
)
def test_tests(test):
    name, _, function = test.partition("::")
    found = functions_in(name)
    assert function in found if function else found


@pytest.mark.parametrize("row", CLAIMS, ids=lambda row: row.number)
def test_claims_of_the_notes_are_complete(row):
    """Each has a home in the library and a test, or is marked as one to come."""
    assert row.section
    assert row.claim.endswith(".")
    if "<!-- TODO-" in row.where:
        assert row.where.startswith("not yet")
    else:
        assert quoted(row.where)
        assert quoted(row.tests)


def test_claims_of_the_notes_are_numbered():
    """In each section of the page from 1; slips name the claims that they are in."""
    numbers = [tuple(map(int, row.number.split("."))) for row in CLAIMS]
    sizes = Counter(section for section, _ in numbers)
    assert list(sizes) == [1, 2, 3, 4, 5]
    assert numbers == [(s, number) for s in sizes for number in range(1, sizes[s] + 1)]
    corrected = [number for row in SLIPS for number in row.claims.split(", ")]
    assert set(corrected) <= {row.number for row in CLAIMS}
    assert all(row.printed.endswith(".") and row.right.endswith(".") for row in SLIPS)


@pytest.mark.parametrize("line", promises())
def test_promises_are_shown_by_tests(line):
    """Each names what holds, and tests that exist, with a link to their file."""
    what, shown_by = (cell.strip() for cell in line.strip("|").split("|"))
    assert what.endswith(".")
    assert shown_by
    links = TEST_LINK.findall(shown_by)
    assert ", ".join(f"[`{name}::{test}`](../tests/{name})" for name, test in links) == shown_by
    for name, test in links:
        assert test in functions_in(name), f"{name} has no {test}"


def test_every_section_of_promises_has_promises():
    """But the last, which says what is not promised."""
    sections = PROMISES.read_text(encoding="utf-8").split("\n## ")[1:]
    assert all("| what holds | shown by |" in section for section in sections[:-1])
    assert sections[-1].startswith("What is not promised\n")


def test_every_policy_is_in_the_table_of_methods():
    listed = {name for row in METHOD_ROWS for name in quoted(row.public)}
    policies = (em.Posterior, em.Update, em.Acceleration, em.Convergence)
    for name in em.__all__:
        value = getattr(em, name)
        if isinstance(value, type) and issubclass(value, policies) and not isabstract(value):
            assert any(entry.startswith(f"em.{name}") for entry in listed), name
