"""Which samples of a block are selected for a component: one bit each, 64 to a word."""

cdef extern from *:
    # A component this many nats below the best one of a sample is ignored: its responsibility is
    # 8e-17.
    const double CUT "37.0"
    # A given responsibility below this is ignored: the other components hold the sample's whole
    # weight.
    const work NEGLIGIBLE "((fastgmm_work)1e-16)"
    const size_t WORDS "(FASTGMM_BLOCK / 64)"
    const double INFINITE "((double)INFINITY)"


cdef void subtract(const work* restrict row, work value, work* restrict out) noexcept nogil:
    """Out = row - value.

    row, value  IN
    out         OUT
    """
    cdef size_t b
    for b in range(BLOCK):
        out[b] = row[b] - value


cdef uint64_t _mark_word(
    const work* restrict values, work lowest, const work* restrict threshold
) noexcept nogil:
    """Return a word whose bits say which of 64 samples reach their threshold.

    values, lowest, threshold  IN
    """
    cdef uint64_t word = 0
    cdef uint64_t b
    for b in range(64):
        word |= <uint64_t> (
            (values[b] if values[b] > lowest else lowest) >= threshold[b]
        ) << b
    return word


cdef void select(
    const work* values, work lowest, const work* threshold, uint64_t* words, uint64_t seen
) noexcept nogil:
    """Select the samples whose value, raised to at least ``lowest``, reaches its threshold.

    A sample that was selected before is left out if its bit in ``seen`` is set.

    values, lowest, threshold  IN
    words                      IN OUT
    """
    cdef size_t i
    for i in range(WORDS):
        words[i] = _mark_word(values + i * 64, lowest, threshold + i * 64) & ~(words[i] & seen)


cdef size_t count_selected(const uint64_t* words) noexcept nogil:
    """Return how many samples are selected.

    words  IN
    """
    cdef size_t count = 0
    cdef size_t i
    for i in range(WORDS):
        count += count_ones(words[i])
    return count


cdef size_t list_selected(const uint64_t* words, uint64_t* index) noexcept nogil:
    """List the samples that are selected; return how many.

    words  IN
    index  OUT
    """
    cdef size_t m = 0
    cdef size_t i
    cdef uint64_t word
    for i in range(WORDS):
        word = words[i]
        while word != 0:
            index[m] = i * 64 + trailing_zeros(word)
            m += 1
            word &= word - 1
    return m
