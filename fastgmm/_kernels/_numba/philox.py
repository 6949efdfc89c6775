"""Uniform numbers from a counter: Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011).

A number depends on the seed and its place alone, so that each sample has a stream of its own, and
the order of the work does not matter.
"""

from .jit import U, part
from .primitives import vector_loop

_M0, _M1 = U(0xD2511F53), U(0xCD9E8D57)
_W0, _W1 = U(0x9E3779B9), U(0xBB67AE85)
_LOW, _SHIFT = U(0xFFFFFFFF), U(32)
_HIGH_BITS, _LOW_BITS = U(5), U(6)
_TWO_26, _TWO_MINUS_53 = 67108864.0, 1.0 / 9007199254740992.0
_ROUNDS = 10


@part
def philox(c0, c1, c2, c3, k0, k1):
    """Return four numbers of 32 bits for a counter and a key."""
    for _ in range(_ROUNDS):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c2 = (p1 >> _SHIFT) ^ c1 ^ k0, (p0 >> _SHIFT) ^ c3 ^ k1
        c1, c3 = p1 & _LOW, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@part
def _uniform(high, low):
    """Return a number in [0, 1) of 53 random bits."""
    return (float(high >> _HIGH_BITS) * _TWO_26 + float(low >> _LOW_BITS)) * _TWO_MINUS_53


@part
def fill_uniforms(first, second, start, n, sample, iteration, seed):
    """Write two numbers for each of n places of a sample's stream.

    first, second  OUT
    """
    vector_loop()
    c1, c2 = sample & _LOW, sample >> _SHIFT
    k0, k1 = seed & _LOW, seed >> _SHIFT
    for i in range(n):
        a, b, c, d = philox(start + i, c1, c2, iteration, k0, k1)
        first[i] = _uniform(a, b)
        second[i] = _uniform(c, d)
