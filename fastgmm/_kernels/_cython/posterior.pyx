"""Responsibilities of one block: log-sum-exp over components, each step a loop over samples.

The polynomials are those of the Numba backend, to the last digit. They must not be compiled with
reassociation: the range reduction subtracts nearly equal numbers.
"""

cdef extern from *:
    # Log-probabilities below this are replaced by it. So a sample whose distances overflow has
    # equal responsibilities, and not NaN from (-inf) - (-inf).
    const double LOG_PROB_FLOOR "(-1e300)"


cdef union Word:
    double value
    int64_t bits


cdef inline double exp64(double x, double smallest) noexcept nogil:
    """Return e^x for x <= 0; below ``smallest``, and below -708, the result is 0."""
    cdef double y = x if x > -708.0 else -708.0
    # 1.5 * 2^52: adding it rounds to an integer in the low bits
    cdef double t = y * 1.4426950408889634 + 6755399441055744.0
    cdef double n = t - 6755399441055744.0
    # the upper 32 bits of ln 2: n times them is exact
    cdef double r = y - n * 0.6931471803691238 - n * 1.9082149292705877e-10
    cdef double g = 2.7620201591031547e-07 + r * 2.5100472505694996e-08
    cdef Word power
    cdef double value
    g = 2.4801521057868204e-05 + r * 2.7557268276905696e-06 + r * r * g
    g = 0.0013888888917367081 + r * 0.00019841269863171557 + r * r * g
    g = 0.041666666666623824 + r * 0.008333333333330039 + r * r * g
    g = 0.5000000000000001 + r * 0.16666666666666669 + r * r * g
    power.value = t
    power.bits = <int64_t> ((<uint64_t> power.bits + 1023) << 52)
    value = (1.0 + (r + r * r * g)) * power.value
    return value if x >= (smallest if smallest > -708.0 else -708.0) else 0.0


cdef union Word32:
    float value
    int32_t bits


cdef inline float exp32(float x, float smallest) noexcept nogil:
    """Return e^x for x <= 0; below ``smallest``, and below -87, the result is 0."""
    cdef float y = x if x > -87.0 else -87.0
    # 1.5 * 2^23
    cdef float t = y * <float> 1.4426950408889634 + <float> 12582912.0
    cdef float n = t - <float> 12582912.0
    cdef float r = y - n * <float> 0.693359375 - n * <float> -0.00021219444005469057
    cdef float h = <float> 0.041666556 + r * <float> 0.008363179 + r * r * <float> 0.0013926184
    cdef Word32 power
    cdef float value
    h = <float> 0.5 + r * <float> 0.16666577 + r * r * h
    power.value = t
    power.bits = <int32_t> ((<uint32_t> power.bits + 127) << 23)
    value = (<float> 1.0 + (r + r * r * h)) * power.value
    return value if x >= (smallest if smallest > -87.0 else -87.0) else <float> 0.0


cdef inline work exp(work x, work smallest) noexcept nogil:
    if sizeof(work) == 4:
        return <work> exp32(<float> x, <float> smallest)
    return <work> exp64(x, smallest)


cdef inline double log(double x) noexcept nogil:
    """Return the natural logarithm of a positive normal number."""
    cdef Word word, mantissa
    cdef double exponent, f, s, z, q
    word.value = x
    mantissa.bits = (word.bits & ((<int64_t> 1 << 52) - 1)) | (<int64_t> 1023 << 52)
    exponent = <double> ((word.bits >> 52) - 1023)
    f = (0.5 * mantissa.value if mantissa.value > 1.4142135623730951 else mantissa.value) - 1.0
    exponent = exponent + 1.0 if mantissa.value > 1.4142135623730951 else exponent
    s = f / (2.0 + f)
    z = s * s
    q = 0.13268638364051974 + z * 0.1308803489814203
    q = 0.18181795547515953 + z * 0.15386244737852042 + z * z * q
    q = 0.28571428570799784 + z * 0.22222222392581106 + z * z * q
    q = 0.6666666666666666 + z * 0.40000000000000885 + z * z * q
    return exponent * 0.6931471803691238 + (
        2.0 * s + (s * z * q + exponent * 1.9082149292705877e-10)
    )


cdef void raise_maximum(
    const work* restrict log_prob, work* restrict maximum
) noexcept nogil:
    """Raise the largest log-probability of every sample by one more component.

    log_prob  IN
    maximum   IN OUT
    """
    cdef size_t b
    for b in range(BLOCK):
        maximum[b] = log_prob[b] if log_prob[b] > maximum[b] else maximum[b]


cdef void _raise_maximum4(
    const work* restrict log_prob, work* restrict maximum
) noexcept nogil:
    """Raise the largest log-probability of every sample by four more components.

    log_prob  IN
    maximum   IN OUT
    """
    cdef size_t b
    cdef work low, high
    for b in range(BLOCK):
        low = log_prob[b] if log_prob[b] > log_prob[STRIDE + b] else log_prob[STRIDE + b]
        high = (
            log_prob[S2 + b] if log_prob[S2 + b] > log_prob[S3 + b] else log_prob[S3 + b]
        )
        high = low if low > high else high
        maximum[b] = high if high > maximum[b] else maximum[b]


cdef void find_maximum(
    const work* log_prob, size_t n_components, work* maximum
) noexcept nogil:
    """Write the largest log-probability of every sample.

    log_prob  IN
    maximum   OUT
    """
    cdef size_t fours = n_components // 4 * 4
    cdef size_t k
    fill(maximum, <work> LOG_PROB_FLOOR)
    for k in range(0, fours, 4):
        _raise_maximum4(log_prob + k * STRIDE, maximum)
    for k in range(fours, n_components):
        raise_maximum(log_prob + k * STRIDE, maximum)


cdef void _exponentiate(
    work* restrict log_prob, work lowest, const work* restrict maximum,
    const work* restrict threshold, work smallest, work* restrict total
) noexcept nogil:
    """Write e^(log_prob - maximum) where a threshold is reached, else 0, and add it up.

    lowest, maximum, threshold, smallest  IN
    log_prob                              IN OUT
    total                                 ADDS TO
    """
    cdef size_t b
    cdef work x, value
    for b in range(BLOCK):
        x = log_prob[b] if log_prob[b] > lowest else lowest
        value = exp(x - maximum[b], smallest)
        value = value if x >= threshold[b] else 0.0
        log_prob[b] = value
        total[b] += value


cdef void _exponentiate_list(work* values, size_t count, work smallest) noexcept nogil:
    """Write e^value.

    smallest  IN
    values    IN OUT
    """
    cdef size_t a
    for a in range(count):
        values[a] = exp(values[a], smallest)


cdef void _finish(
    const work* restrict maximum, const work* restrict total, double offset,
    double* restrict log_prob_norm, double* restrict scale
) noexcept nogil:
    """Write log p(x) and 1 / sum of exponentials.

    maximum, total, offset  IN
    log_prob_norm, scale    OUT
    """
    cdef size_t b
    for b in range(BLOCK):
        log_prob_norm[b] = offset + (<double> maximum[b] + log(<double> total[b]))
        scale[b] = 1.0 / <double> total[b]


cdef void normalize_block(
    const Scratch* scratch, size_t n_components, double offset, double cut
) noexcept nogil:
    """Turn log-probabilities into unnormalised responsibilities, in place.

    values     IN OUT  (K rows)   out: exp(log_prob - max); times scale they sum to 1 over k
    words      OUT                the samples within ``cut`` of their maximum, if it is finite;
                                  the responsibilities of the others are 0
    offset     IN                 constant that was left out of all log-probabilities
    maximum    IN
    share                         workspace
    norm       OUT                log p(x)
    scale      OUT
    """
    cdef const work* maximum = scratch.maximum
    cdef work* total = scratch.share
    cdef work lowest = <work> LOG_PROB_FLOOR  # in float32 minus infinity; the block is done again
    cdef work smallest = <work> -cut
    cdef size_t k, m, a, b
    cdef uint64_t* words
    cdef work* values
    cdef work value
    subtract(maximum, <work> cut, scratch.threshold)
    fill(total, 0.0)
    for k in range(n_components):
        values = scratch.values + k * STRIDE
        words = scratch.words + k * WORDS
        if cut < INFINITE:
            select(values, lowest, scratch.threshold, words, 0)
        if cut == INFINITE or 4 * count_selected(words) > BLOCK:
            _exponentiate(values, lowest, maximum, scratch.threshold, smallest, total)
            continue
        m = list_selected(words, scratch.index)
        for a in range(m):
            b = scratch.index[a]
            value = values[b]
            scratch.extra[a] = (value if value > lowest else lowest) - maximum[b]
        _exponentiate_list(scratch.extra, (m + 7) // 8 * 8, smallest)
        fill(values, 0.0)
        for a in range(m):
            b = scratch.index[a]
            values[b] = scratch.extra[a]
            total[b] += scratch.extra[a]
    _finish(maximum, total, offset, scratch.norm, scratch.scale)


cdef size_t _shift_list(
    work* values, uint16_t* samples, size_t count, work lowest, const work* maximum,
    const work* threshold
) noexcept nogil:
    """Write log_prob - maximum of those that reach their threshold; return how many.

    lowest, maximum, threshold  IN
    values, samples             IN OUT
    """
    cdef size_t m = 0
    cdef size_t a
    cdef uint16_t b
    cdef work value
    for a in range(count):
        b = samples[a]
        value = values[a] if values[a] > lowest else lowest
        samples[m] = b
        values[m] = value - maximum[b]
        m += value >= threshold[b]
    return m


cdef void _add_list(
    const work* values, const uint16_t* samples, size_t count, work* total
) noexcept nogil:
    """Add the listed values.

    values, samples  IN
    total            ADDS TO
    """
    cdef size_t a
    for a in range(count):
        total[samples[a]] += values[a]


cdef void normalize_lists(
    const Scratch* scratch, size_t n_components, double offset, double cut
) noexcept nogil:
    """Do as ``normalize_block`` does, for log-probabilities that are listed.

    Component k has those of n_listed[k] samples; there are no others.

    values, samples, n_listed  IN OUT  of the scratch; out: those within ``cut`` of their maximum
    offset                     IN      what has been left out of all log-probabilities
    maximum                    IN
    share                      OUT     workspace
    norm                       OUT     log p(x)
    scale                      OUT
    """
    cdef work* total = scratch.share
    cdef work lowest = <work> LOG_PROB_FLOOR  # in float32 minus infinity; the block is done again
    cdef size_t k, m
    cdef work* values
    cdef uint16_t* samples
    subtract(scratch.maximum, <work> cut, scratch.threshold)
    fill(total, 0.0)
    for k in range(n_components):
        values = scratch.values + k * STRIDE
        samples = scratch.samples + k * BLOCK
        m = _shift_list(
            values, samples, scratch.n_listed[k], lowest, scratch.maximum, scratch.threshold
        )
        _exponentiate_list(values, (m + 7) // 8 * 8, <work> -cut)
        _add_list(values, samples, m, total)
        scratch.n_listed[k] = m
    _finish(scratch.maximum, total, offset, scratch.norm, scratch.scale)


cdef void _raise_best(
    const work* restrict log_prob, work k, work* restrict best, work* restrict component
) noexcept nogil:
    """Let component k be the best one where it is better than the best so far.

    log_prob         IN
    best, component  IN OUT
    """
    cdef size_t b
    cdef bint is_better
    for b in range(BLOCK):
        is_better = log_prob[b] > best[b]
        best[b] = log_prob[b] if is_better else best[b]
        component[b] = k if is_better else component[b]


cdef void find_best(
    const work* log_prob, size_t n_components, work* best, work* component
) noexcept nogil:
    """Write the component of the largest log-probability; of equal ones, the first.

    log_prob   IN
    best       OUT  workspace
    component  OUT  as a number of the type of the log-probabilities
    """
    cdef size_t k
    fill(best, <work> -INFINITE)
    fill(component, 0.0)
    for k in range(n_components):
        _raise_best(log_prob + k * STRIDE, <work> k, best, component)
