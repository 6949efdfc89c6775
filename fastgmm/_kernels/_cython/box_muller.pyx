"""Pairs of standard normals from pairs of uniforms (Box and Muller 1958).

The angle is in turns. For sin and cos, the nearest quarter turn is subtracted, which is exact.
Polynomials in the square of the rest, the same as in the Numba backend, are accurate to 1e-16.
"""

cdef extern from "math.h" nogil:
    double sqrt(double)


cdef void _pairs(double* restrict first, double* restrict second, size_t half) noexcept nogil:
    """Turn uniforms into normals.

    first, second  IN OUT
    """
    cdef size_t i
    cdef double radius, turns, shifted, x, z, s, c, sine, cosine
    cdef Word word
    cdef int64_t odd
    for i in range(half):
        # 1 - u is exact, and not 0
        radius = sqrt(-2.0 * log(1.0 - first[i]))
        turns = second[i]
        # 1.5 * 2^52: adding it rounds to an integer in the low bits
        shifted = 4.0 * turns + 6755399441055744.0
        word.value = shifted
        x = (turns - 0.25 * (shifted - 6755399441055744.0)) * 6.283185307179586
        z = x * x
        s = -2.5051131843056034e-08 + z * 1.5918129154550544e-10
        s = -0.00019841269836758557 + z * 2.7557316102543096e-06 + z * z * s
        c = 2.087614626718481e-09 + z * -1.1382632337741214e-11
        c = 2.4801587298765676e-05 + z * -2.755731727172395e-07 + z * z * c
        sine = x + x * z * (-0.16666666666666666 + z * 0.008333333333330948 + z * z * s)
        cosine = 1.0 - (
            0.5 * z - z * z * (0.041666666666666664 + z * -0.0013888888888887398 + z * z * c)
        )
        odd = word.bits & 1
        x = sine if odd != 0 else cosine
        z = cosine if odd != 0 else sine
        first[i] = radius * (-x if (word.bits + 1) & 2 else x)
        second[i] = radius * (-z if word.bits & 2 else z)


def normals(values):
    """Turn uniforms in [0, 1) into normals, in place; i and half + i make a pair."""
    cdef size_t half = values.size // 2
    cdef double* first = <double*> _address(values)
    with nogil:
        _pairs(first, first + half, half)
