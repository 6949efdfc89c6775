"""Uniform numbers from a counter: Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011)."""


cdef inline void philox(uint64_t* c, uint64_t k0, uint64_t k1) noexcept nogil:
    """Turn a counter into four numbers of 32 bits.

    c  IN OUT
    """
    cdef uint64_t p0, p1
    cdef uint64_t mask = 0xFFFFFFFFU
    cdef int _round
    for _round in range(10):
        p0, p1 = <uint64_t> 0xD2511F53U * c[0], <uint64_t> 0xCD9E8D57U * c[2]
        c[0], c[2] = (p1 >> 32) ^ c[1] ^ k0, (p0 >> 32) ^ c[3] ^ k1
        c[1], c[3] = p1 & mask, p0 & mask
        k0, k1 = (k0 + 0x9E3779B9U) & mask, (k1 + 0xBB67AE85U) & mask


cdef inline double _uniform(uint64_t high, uint64_t low) noexcept nogil:
    """Return a number in [0, 1) of 53 random bits."""
    return (
        <double> <int64_t> (high >> 5) * 67108864.0 + <double> <int64_t> (low >> 6)
    ) * (1.0 / 9007199254740992.0)


cdef void fill_uniforms(
    double* restrict first, double* restrict second, size_t start, size_t n, uint64_t sample,
    uint64_t iteration, uint64_t seed
) noexcept nogil:
    """Write two numbers for each of n places of a sample's stream.

    first, second  OUT
    """
    cdef uint64_t c[4]
    cdef uint64_t mask = 0xFFFFFFFFU
    cdef size_t i
    for i in range(n):
        c[0], c[1], c[2], c[3] = start + i, sample & mask, sample >> 32, iteration
        philox(c, seed & mask, seed >> 32)
        first[i] = _uniform(c[0], c[1])
        second[i] = _uniform(c[2], c[3])
