"""State as JSON and arrays: what is read is what was written, to the bit and the stride."""

import json
from collections import namedtuple
from types import MappingProxyType

import numpy as np
import pytest

from fastgmm.em.checkpoints.decoding import decode
from fastgmm.em.checkpoints.encoding import Encoded, encode, learn

pytestmark = pytest.mark.one_backend

Pair = namedtuple("Pair", "first second")
BOX = np.arange(24.0).reshape(2, 3, 4)


class Holder:
    """An object of any attributes."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


class Slotted:
    """An object of slots."""

    __slots__ = ("value",)


def through_json(encoded):
    """Return what is read from a file; arrays are as they are in it."""
    trees = json.loads(json.dumps(encoded.trees))
    return Encoded(trees, [array.copy() for array in encoded.arrays])


def round_trip(value):
    return decode(learn(), through_json(encode(learn(), value=value)))["value"]


@pytest.mark.parametrize(
    "array",
    [
        BOX,
        BOX.T,
        BOX.swapaxes(1, 2),
        BOX[:, ::2],
        BOX[::-1, :, 1],
        np.asfortranarray(BOX[0]),
        np.broadcast_to(BOX[0, 0], (5, 4)),
        np.array(-0.0),
        np.zeros((3, 0)),
        np.array([np.nan, np.inf, 5e-324]),
        np.array(["a", "bcd"]),
        np.array([True, False]),
        np.arange(3, dtype=">i2"),
    ],
    ids=lambda array: f"{array.dtype} {array.shape} {array.strides}",
)
def test_arrays(array):
    read = round_trip(array)
    np.testing.assert_array_equal(read, array, strict=True)
    assert read.tobytes() == array.tobytes()
    assert read.flags.writeable == array.flags.writeable
    if array.size:
        assert read.strides == array.strides


@pytest.mark.parametrize(
    "value",
    [
        None, True, 2**80, -0.0, float("inf"), "é\n\0", (), (1, (2.0, [3])), {1: {2: "x"}}, {1, 2},
        frozenset({(1, "a")}), slice(1, None, 2), {("a", None): [np.float32(0.1)]}, np.int64(3),
        np.dtype(np.float32), MappingProxyType({"a": 1}),
    ],
    ids=repr,
)  # fmt: skip
def test_values(value):
    read = round_trip(value)
    assert read == value
    assert type(read) is type(value)
    assert repr(read) == repr(value)


def test_one_object_by_two_names_stays_one():
    array, ring = np.zeros(3), []
    ring.append(ring)
    read = round_trip([array, {"again": array}, ring, array.copy()])
    assert read[0] is read[1]["again"]
    assert read[0] is not read[3]
    assert read[2][0] is read[2]


def test_objects_keep_their_identity_where_they_are_known():
    """The state goes back into the object that its user holds, and functions stay what they are."""
    inner = Holder(count=1, n_threads=4)
    outer = Holder(inner=inner, function=np.sin, pair=Pair(inner, [1.0]), slotted=Slotted())
    outer.slotted.value = 1
    known = learn(outer=outer)
    outer.made = [Holder(of=inner)]
    outer.slotted.value = 2
    encoded = through_json(encode(known, outer=outer))
    inner.count, inner.n_threads, inner.later = 7, 2, "is forgotten"
    outer.slotted.value = 9
    del outer.made
    read = decode(known, encoded)["outer"]
    assert read is outer
    assert outer.inner is inner is outer.pair.first is outer.made[0].of
    assert vars(inner) == {"count": 1, "n_threads": 2}
    assert outer.function is np.sin
    assert outer.slotted.value == 2


@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_streams(kind):
    for make in (np.random.Generator, np.random.RandomState):
        stream = make(kind(1))
        stream.standard_normal(3)  # of which RandomState keeps one for later
        known = learn(stream=stream)
        kept, new = encode(known, stream=stream), encode(learn(), stream=stream)
        expected = stream.standard_normal(5)
        assert decode(known, through_json(kept))["stream"] is stream
        np.testing.assert_array_equal(stream.standard_normal(5), expected)
        other = decode(learn(), through_json(new))["stream"]
        np.testing.assert_array_equal(other.standard_normal(5), expected)


def test_arrays_are_copies_unless_nothing_can_change_them():
    changing, still = np.zeros(3), np.zeros(3)
    still.flags.writeable = False
    encoded = encode(learn(), changing=changing, still=still, view=still[:2])
    assert not np.shares_memory(encoded.arrays[0], changing)
    assert np.shares_memory(encoded.arrays[1], still)
    assert not np.shares_memory(encoded.arrays[2], still)


@pytest.mark.parametrize("value", [iter([]), np.array([None]), open, np.ma.zeros(2)])
def test_what_cannot_be_stored(value):
    with pytest.raises(TypeError, match=r"^checkpoint cannot keep found\[0\], which is "):
        encode(learn(), found=[value])
