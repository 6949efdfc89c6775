"""The version: in one place, and rising."""

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import fastgmm
from fastgmm._kernels import build

CHANGELOG = Path(__file__).parent.parent / "CHANGELOG.md"
NUMBER = re.compile(r"(\d+)\.(\d+)\.(\d+)(\.dev\d+)?")


def test_installed_version_is_that_of_the_source():
    try:
        installed = version("fastgmm")
    except PackageNotFoundError:
        pytest.skip("fastgmm is not installed")
    public, _, local = installed.partition("+")
    assert public == fastgmm.__version__, "install fastgmm again, and remove fastgmm.egg-info"
    assert local in ("", build.BACKEND)


def test_changelog_begins_with_this_version_and_versions_fall():
    number = NUMBER.fullmatch(fastgmm.__version__)
    sections = re.findall(r"^## \[(.*?)\] - (.*)$", CHANGELOG.read_text("utf-8"), re.MULTILINE)
    first, day = sections[0]
    assert first == ".".join(number.groups()[:3])
    assert (day == "not released") == bool(number[4])
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", day) for _, day in sections[1:])
    numbers = [tuple(map(int, name.split("."))) for name, _ in sections]
    assert numbers == sorted(set(numbers), reverse=True)
