"""Responsibilities of one block: log-sum-exp over components, each step a loop over samples.

``math.exp`` and ``math.log`` are scalar library calls (2.7 ns each); the polynomials below
vectorise (0.3 ns) and keep to 1 ulp. They must not be compiled with reassociation: the
range reduction subtracts nearly equal numbers.
"""

import numpy as np

from .block import fill
from .jit import I0, I1, I2, I4, I8, U, by_precision, part, step
from .primitives import cast, sizes, tail, vector_loop
from .selection import WORD, count_selected, list_selected, select, subtract

# Log-probabilities below this count as this, so that a sample whose distances overflow has
# equal responsibilities, and not those of (-inf) - (-inf).
LOG_PROB_FLOOR = -1e300

_LOG2E = 1.4426950408889634
_LN2_HIGH = 0.6931471803691238  # the upper 32 bits of ln 2: n * _LN2_HIGH is exact
_LN2_LOW = 1.9082149292705877e-10
_ROUND = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer in the low bits
_EXP_SMALLEST = -708.0
_SHIFT = np.int64(52)
_BIAS = np.int64(1023)
_MANTISSA = np.int64((1 << 52) - 1)
_ONE_BITS = np.int64(1023 << 52)

# exp(r) = 1 + r + r^2 g(r) for |r| <= ln(2)/2, and log((1+s)/(1-s)) = 2 s + s^3 q(s^2) for
# mantissas in [sqrt(1/2), sqrt(2)]: interpolated at Chebyshev points, relative error below 2e-17.
_G0, _G1, _G2, _G3, _G4, _G5, _G6, _G7, _G8, _G9 = (
    0.5000000000000001, 0.16666666666666669, 0.041666666666623824, 0.008333333333330039,
    0.0013888888917367081, 0.00019841269863171557, 2.4801521057868204e-05,
    2.7557268276905696e-06, 2.7620201591031547e-07, 2.5100472505694996e-08,
)  # fmt: skip
_Q0, _Q1, _Q2, _Q3, _Q4, _Q5, _Q6, _Q7 = (
    0.6666666666666666, 0.40000000000000885, 0.28571428570799784, 0.22222222392581106,
    0.18181795547515953, 0.15386244737852042, 0.13268638364051974, 0.1308803489814203,
)  # fmt: skip


# the same in float32, of which 2^23 is the first number without a fraction: relative error 1e-8
_F32 = np.float32
_LOG2E_32, _ROUND_32, _SMALLEST_32 = _F32(_LOG2E), _F32(1.5 * 2**23), _F32(-87.0)
_LN2_HIGH_32, _LN2_LOW_32 = _F32(0.693359375), _F32(np.log(2.0) - 0.693359375)
_ONE_32, _ZERO_32 = _F32(1.0), _F32(0.0)
_SHIFT_32, _BIAS_32 = np.int32(23), np.int32(127)
_H0, _H1, _H2, _H3, _H4 = (
    _F32(0.5), _F32(0.16666577), _F32(0.041666556), _F32(0.008363179), _F32(0.0013926184),
)  # fmt: skip


@part
def exp64(x, smallest):
    """Return e^x for x <= 0; below ``smallest``, and below -708, the result is 0."""
    t = max(x, _EXP_SMALLEST) * _LOG2E + _ROUND
    n = t - _ROUND
    r = max(x, _EXP_SMALLEST) - n * _LN2_HIGH - n * _LN2_LOW
    g = _G8 + r * _G9
    g = _G6 + r * _G7 + r * r * g
    g = _G4 + r * _G5 + r * r * g
    g = _G2 + r * _G3 + r * r * g
    g = _G0 + r * _G1 + r * r * g
    power = np.int64((np.float64(t).view(np.int64) + _BIAS) << _SHIFT).view(np.float64)
    value = (1.0 + (r + r * r * g)) * power
    return value if x >= max(smallest, _EXP_SMALLEST) else 0.0


@part
def exp32(x, smallest):
    """Return e^x for x <= 0; below ``smallest``, and below -87, the result is 0."""
    t = max(x, _SMALLEST_32) * _LOG2E_32 + _ROUND_32
    n = t - _ROUND_32
    r = max(x, _SMALLEST_32) - n * _LN2_HIGH_32 - n * _LN2_LOW_32
    h = _H2 + r * _H3 + r * r * _H4
    h = _H0 + r * _H1 + r * r * h
    power = np.int32(np.int32(_F32(t).view(np.int32) + _BIAS_32) << _SHIFT_32).view(_F32)
    value = (_ONE_32 + (r + r * r * h)) * power
    return value if x >= max(smallest, _SMALLEST_32) else _ZERO_32


#: Return e^x for x <= 0, in the type of x.
#:
#: Below ``smallest``, and below -708, or -87 in float32, the result is 0.
exp = by_precision(double=exp64, single=exp32)


@part
def log(x):
    """Return the natural logarithm of a positive normal number."""
    bits = np.float64(x).view(np.int64)
    mantissa = np.int64((bits & _MANTISSA) | _ONE_BITS).view(np.float64)
    exponent = np.float64((bits >> _SHIFT) - _BIAS)
    large = mantissa > 1.4142135623730951
    f = (0.5 * mantissa if large else mantissa) - 1.0
    exponent = exponent + 1.0 if large else exponent
    s = f / (2.0 + f)
    z = s * s
    q = _Q6 + z * _Q7
    q = _Q4 + z * _Q5 + z * z * q
    q = _Q2 + z * _Q3 + z * z * q
    q = _Q0 + z * _Q1 + z * z * q
    return exponent * _LN2_HIGH + (2.0 * s + (s * z * q + exponent * _LN2_LOW))


@part
def raise_maximum(log_prob, maximum):
    """Raise the largest log-probability of every sample by one more component.

    log_prob  IN
    maximum   IN OUT
    """
    vector_loop()
    BLOCK = sizes(log_prob)[0]
    for b in range(BLOCK):
        maximum[b] = max(maximum[b], log_prob[b])


@part
def _raise_maximum4(log_prob, maximum):
    """Raise the largest log-probability of every sample by four more components.

    log_prob  IN
    maximum   IN OUT
    """
    vector_loop()
    BLOCK, STRIDE, S2, S3 = sizes(log_prob)
    for b in range(BLOCK):
        low = max(log_prob[b], log_prob[STRIDE + b])
        high = max(log_prob[S2 + b], log_prob[S3 + b])
        maximum[b] = max(maximum[b], max(low, high))


@step
def find_maximum(log_prob, n_components, maximum):
    """Write the largest log-probability of every sample.

    log_prob  IN
    maximum   OUT
    """
    STRIDE = sizes(log_prob)[1]
    fill(maximum, LOG_PROB_FLOOR)
    fours = n_components // I4 * I4
    for k in range(I0, fours, I4):
        _raise_maximum4(tail(log_prob, k * STRIDE), maximum)
    for k in range(fours, n_components):
        raise_maximum(tail(log_prob, k * STRIDE), maximum)


@part
def _exponentiate(log_prob, lowest, maximum, threshold, smallest, total):
    """Write e^(log_prob - maximum) where a threshold is reached, else 0, and add it up.

    Two samples at a time, as each is one long chain.

    lowest, maximum, threshold, smallest  IN
    log_prob                              IN OUT
    total                                 ADDS TO
    """
    vector_loop()
    HALF = sizes(log_prob)[0] // I2
    zero = cast(0.0, log_prob)
    for b in range(HALF):
        c = HALF + b
        x = max(log_prob[b], lowest)
        y = max(log_prob[c], lowest)
        e = exp(x - maximum[b], smallest)
        f = exp(y - maximum[c], smallest)
        e = e if x >= threshold[b] else zero
        f = f if y >= threshold[c] else zero
        log_prob[b] = e
        log_prob[c] = f
        total[b] += e
        total[c] += f


@part
def _exponentiate_list(values, count, smallest):
    """Write e^value.

    smallest  IN
    values    IN OUT
    """
    vector_loop()
    for a in range(count):
        values[a] = exp(values[a], smallest)


@part
def _finish(maximum, total, offset, log_prob_norm, scale):
    """Write log p(x) and 1 / sum of exponentials.

    maximum, total, offset  IN
    log_prob_norm, scale    OUT
    """
    vector_loop()
    BLOCK = sizes(maximum)[0]
    for b in range(BLOCK):
        sum_ = np.float64(total[b])
        log_prob_norm[b] = offset + (np.float64(maximum[b]) + log(sum_))
        scale[b] = 1.0 / sum_


@step
def normalize_block(scratch, n_components, offset, cut):
    """Turn log-probabilities into unnormalised responsibilities, in place.

    values     IN OUT  (K rows)   out: exp(log_prob - max); times scale they sum to 1 over k
    words      OUT                the samples within ``cut`` of their maximum, if it is finite;
                                  the responsibilities of the others are 0
    offset     IN                 what has been left out of all log-probabilities
    maximum    IN
    share      OUT                workspace
    norm       OUT                log p(x)
    scale      OUT
    """
    maximum, total, index = scratch.maximum, scratch.share, scratch.index
    extra = scratch.extra
    BLOCK, STRIDE = sizes(extra)[:2]
    lowest = cast(LOG_PROB_FLOOR, extra)  # in float32 minus infinity; the block is done again
    smallest = cast(-cut, extra)
    subtract(maximum, cast(cut, extra), scratch.threshold)
    fill(total, 0.0)
    for k in range(n_components):
        values = tail(scratch.values, k * STRIDE)
        words = tail(scratch.words, k * (BLOCK // WORD))
        if cut < np.inf:
            select(values, lowest, scratch.threshold, words, I0)
        if cut == np.inf or count_selected(words, values) * I4 > BLOCK:
            _exponentiate(values, lowest, maximum, scratch.threshold, smallest, total)
            continue
        m = list_selected(words, values, index)
        for a in range(m):
            b = index[a]
            extra[a] = max(values[b], lowest) - maximum[b]
        _exponentiate_list(extra, (m + I8 - I1) // I8 * I8, smallest)
        fill(values, 0.0)
        for a in range(m):
            b = index[a]
            values[b] = extra[a]
            total[b] += extra[a]
    _finish(maximum, total, offset, scratch.norm, scratch.scale)


@part
def _shift_list(values, samples, count, lowest, maximum, threshold):
    """Write log_prob - maximum of those that reach their threshold; return how many.

    lowest, maximum, threshold  IN
    values, samples             IN OUT
    """
    m = I0
    for a in range(count):
        b, value = samples[a], max(values[a], lowest)
        samples[m] = b
        values[m] = value - maximum[b]
        m += U(value >= threshold[b])
    return m


@part
def _add_list(values, samples, count, total):
    """Add the listed values.

    values, samples  IN
    total            ADDS TO
    """
    for a in range(count):
        total[samples[a]] += values[a]


@step
def normalize_lists(scratch, n_components, offset, cut):
    """Do as ``normalize_block`` does, for log-probabilities that are listed.

    Component k has those of n_listed[k] samples; there are no others.

    values, samples, n_listed  IN OUT  of the scratch; out: those within ``cut`` of their maximum
    offset                     IN      what has been left out of all log-probabilities
    maximum                    IN
    share                      OUT     workspace
    norm                       OUT     log p(x)
    scale                      OUT
    """
    maximum, total = scratch.maximum, scratch.share
    BLOCK, STRIDE = sizes(total)[:2]
    lowest = cast(LOG_PROB_FLOOR, total)  # in float32 minus infinity; the block is done again
    smallest = cast(-cut, total)
    subtract(maximum, cast(cut, total), scratch.threshold)
    fill(total, 0.0)
    for k in range(n_components):
        values, samples = tail(scratch.values, k * STRIDE), tail(scratch.samples, k * BLOCK)
        listed = scratch.n_listed[k]
        m = _shift_list(values, samples, listed, lowest, maximum, scratch.threshold)
        _exponentiate_list(values, (m + I8 - I1) // I8 * I8, smallest)
        _add_list(values, samples, m, total)
        scratch.n_listed[k] = m
    _finish(maximum, total, offset, scratch.norm, scratch.scale)


@part
def _raise_best(log_prob, k, best, component):
    """Let component k be the best one where it is better than the best so far.

    log_prob         IN
    best, component  IN OUT
    """
    vector_loop()
    BLOCK = sizes(log_prob)[0]
    for b in range(BLOCK):
        is_better = log_prob[b] > best[b]
        best[b] = log_prob[b] if is_better else best[b]
        component[b] = k if is_better else component[b]


@step
def find_best(log_prob, n_components, best, component):
    """Write the component of the largest log-probability; of equal ones, the first.

    log_prob   IN
    best       OUT  workspace
    component  OUT  as a number of the type of the log-probabilities
    """
    STRIDE = sizes(log_prob)[1]
    fill(best, -np.inf)
    fill(component, 0.0)
    for k in range(n_components):
        _raise_best(tail(log_prob, k * STRIDE), cast(k, best), best, component)
