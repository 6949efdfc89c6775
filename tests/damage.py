"""Damaged model files: flipped bits, truncations, tampered headers, bombs, and wrong values."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, Any]


def read(path: Path) -> Arrays:
    return dict(np.load(path, allow_pickle=False))


def rewrite(path: Path, header: Any = None, **changes: Any) -> None:
    """Write a file again, without a seal; some entries or arrays changed, or left out (None)."""
    arrays = read(path)
    content = json.loads(str(arrays["header"])) | (header or {})
    arrays |= {"header": np.array(json.dumps(content))} | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})


def with_header_text(path: Path, text: str) -> None:
    np.savez(path, **read(path) | {"header": np.array(text)})


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(array))
    return file.getvalue()


def with_members(path: Path, members: dict[str, bytes], **options: Any) -> None:
    """Write a file again with other bytes for some members."""
    whole = {f"{name}.npy": npy(array) for name, array in read(path).items()} | members
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, content in whole.items():
            file.writestr(name, content)


def flipped(content: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Yield copies with one bit flipped, at places drawn at random."""
    rng = np.random.default_rng(seed)
    for bit in rng.choice(8 * len(content), count, replace=False):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << (bit % 8)
        yield bytes(damaged)


def truncated(content: bytes, count: int) -> Iterator[bytes]:
    """Yield beginnings, from nothing to all but one byte."""
    for length in np.linspace(0, len(content) - 1, count).astype(int):
        yield content[:length]


DEEP = "[" * 50_000
#: What no number of a header may be.
WRONG: list[Any] = ["x", [], {}, -1, 0.5, True, float("nan"), 10**30, -(10**400), None]
#: The values among them that are allowed after all.
ALLOWED = {
    ("parameters", "random_state"): [None],
    ("parameters", "acceleration"): [None],
    ("parameters", "fixed"): [[]],
    ("parameters", "fixed_components"): [[]],
    ("parameters", "prior"): [None],
    ("parameters", "step_sizes"): [None],
    ("parameters", "covariance_floor"): [0.5],
    ("parameters", "n_jobs"): [-1, None],
    ("parameters", "max_time"): [0.5, None],
    ("parameters", "tol"): [0.5],
    ("parameters", "reg_covar"): [0.5],
    ("parameters", "warm_start"): [True],
    ("parameters", "verbose"): [True],
    ("scalars", "lower_bound_"): [-1, 0.5],
    ("scalars", "n_samples_seen_"): [0.5],
    ("scalars", "converged_"): [True],
    ("scalars", "collapsed_"): [[]],
}


#: What files of earlier versions lack.
LATER = (
    "collapsed_",
    "covariance_floor",
    "fixed",
    "fixed_components",
    "max_time",
    "missing",
    "posterior",
    "exact_iter",
    "n_reseeded_",
    "n_samples_seen_",
    "prior",
    "step_sizes",
)


def tampered_headers(header: dict[str, Any]) -> Iterator[str]:
    """Yield headers of which one entry is wrong, or missing."""
    for part in ("parameters", "scalars"):
        for key in header[part]:
            others = {name: value for name, value in header[part].items() if name != key}
            if key not in LATER:
                yield json.dumps(header | {part: others})
            for value in WRONG:
                allowed = ALLOWED.get((part, key), [])
                if not any(type(value) is type(good) and value == good for good in allowed):
                    yield json.dumps(header | {part: others | {key: value}})
    for key in ("format", "class", "parameters", "scalars"):
        yield json.dumps({name: value for name, value in header.items() if name != key})
        for value in (*WRONG, 2, float("inf"), [DEEP[:100]]):
            yield json.dumps(header | {key: value})
    yield from ("", "null", "[]", "{", '{"format": 1', DEEP, '{"format":' * 20_000, "9" * 5000)


def npy_header(descr: str, shape: str, order: str = "False", version: bytes = b"\1\0") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text


def tampered_members(size: int) -> dict[str, bytes]:
    """Return .npy files in place of a (3, 4) array of float64, each wrong in its header."""
    data = bytes(size)
    return {
        "huge shape": npy_header("'<f8'", "(4000000000000, 4)") + data,
        "overflowing shape": npy_header("'<f8'", f"({2**62}, {2**62})") + data,
        "negative shape": npy_header("'<f8'", "(-3, -4)") + data,
        "shape of strings": npy_header("'<f8'", "('3', 4)") + data,
        "no shape": npy_header("'<f8'", "None") + data,
        "long type": npy_header("'<U2000000000'", "(3, 4)") + data,
        "object": npy_header("'|O'", "(3, 4)") + data,
        "unknown type": npy_header("'<q99'", "(3, 4)") + data,
        "structured": npy_header("[('a', '<f8')]", "(3, 4)") + data,
        "big-endian": npy_header("'>f8'", "(3, 4)") + data,
        "float32": npy_header("'<f4'", "(3, 4)") + data,
        "complex": npy_header("'<c16'", "(3, 4)") + data,
        "date": npy_header("'<M8[s]'", "(3, 4)") + data,
        "order": npy_header("'<f8'", "(3, 4)", "7") + data,
        "nested": npy_header("(" * 5000 + ")" * 5000, "(3, 4)") + data,
        "no dictionary": npy_header("'<f8'", "(3, 4)").replace(b"{", b"[") + data,
        "call": npy_header("__import__('os').abort()", "(3, 4)") + data,
        "not UTF-8": npy_header("'<f8'", "(3, 4)").replace(b"descr", b"\xff\xfe\xfd\xfc\xfb")
        + data,
        "version 2": npy_header("'<f8'", "(3, 4)", version=b"\2\0") + data,
        "version 9": npy_header("'<f8'", "(3, 4)", version=b"\x09\0") + data,
        "magic": b"NUMPY" + data,
        "short": npy_header("'<f8'", "(3, 4)") + data[:-1],
        "long": npy_header("'<f8'", "(3, 4)") + data + b"\0",
        "header longer than the file": b"\x93NUMPY\1\0\xff\xff{",
        "empty": b"",
    }


def header_of(path: Path) -> dict[str, Any]:
    return dict(json.loads(str(read(path)["header"])))
