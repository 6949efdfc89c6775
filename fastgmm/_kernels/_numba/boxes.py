"""Bounds above the log-probabilities of components, for all points of boxes.

A point x of a box about c with half widths h has |P (x - mean)|_i >= |P (c - mean)|_i - |P|_i h in
each coordinate i. The loops run over boxes.
"""

import numpy as np
from numba import prange

from ..layout import DIAG, SPHERICAL, TIED
from .jit import I0, I1, I2, U, parallel_pass, part, shared_part
from .posterior import LOG_PROB_FLOOR
from .primitives import not_inlined, tail, vector_loop

# Components take turns in so many slots, each with its own workspace.
_SLOTS = 64


@part
def _add_feature(u, z, half, count, y, width):
    """Y += u z, and width += |u| half.

    u, z, half  IN
    y, width    ADDS TO
    """
    vector_loop()
    size = abs(u)
    for b in range(count):
        y[b] += u * z[b]
        width[b] += size * half[b]


@part
def _close_coordinate(y, width, count, bound):
    """Subtract half the square of the least that a coordinate is in the box; begin the next.

    y, width  IN OUT
    bound     ADDS TO
    """
    vector_loop()
    for b in range(count):
        least = abs(y[b]) - width[b]
        least = least if least > 0.0 else 0.0  # of infinities, too
        bound[b] -= 0.5 * least * least
        y[b] = width[b] = 0.0


@part
def _shift_centers(mean, centers, count, z):
    """Z = center - mean, of one feature.

    mean, centers  IN
    z              OUT
    """
    vector_loop()
    for b in range(count):
        z[b] = centers[b] - mean


@part
def _begin_boxes(coefficient, count, bound, y, width):
    """Write constants.

    coefficient      IN
    bound, y, width  OUT
    """
    vector_loop()
    for b in range(count):
        bound[b] = coefficient
        y[b] = width[b] = 0.0


@part
def _end_boxes(count, bound):
    """Raise what has overflowed to the smallest number that counts.

    bound  IN OUT
    """
    vector_loop()
    for b in range(count):
        bound[b] = bound[b] if bound[b] > LOG_PROB_FLOOR else LOG_PROB_FLOOR


@shared_part
def _bound_component(centers, halves, count, padded, k, memory, bound):
    """Write the bounds of one component.

    centers, halves, padded  IN   a row of boxes for each feature
    memory                   OUT  workspace
    bound                    OUT
    """
    not_inlined()
    h = U(padded.height)
    y, width, z = memory, tail(memory, count), tail(memory, I2 * count)
    _begin_boxes(padded.coefficients[k], count, bound, y, width)
    for j in range(h):
        _shift_centers(padded.means[k * h + j], tail(centers, j * count), count, tail(z, j * count))
    for i in range(h):
        if padded.kind == DIAG or padded.kind == SPHERICAL:
            u = padded.factors[k * h + i]
            _add_feature(u, tail(z, i * count), tail(halves, i * count), count, y, width)
        else:
            first = I0 if padded.kind == TIED else k * h * h
            for j in range(i + I1):
                u = padded.factors[first + j * h + i]
                _add_feature(u, tail(z, j * count), tail(halves, j * count), count, y, width)
        _close_coordinate(y, width, count, bound)
    _end_boxes(count, bound)


@parallel_pass
def box_bounds(centers, halves, order, padded, bounds):
    """Write the bounds of all components.

    centers, halves, padded  IN   flat; a row of boxes for each feature
    bounds                   OUT  flat; a row of boxes for each component
    """
    count, K, h = U(order), padded.n_components, U(padded.height)
    n_slots = min(_SLOTS, K)
    for t in prange(n_slots):
        memory = np.empty((h + I2) * count)
        for k in range(K * t // n_slots, K * (t + 1) // n_slots):
            bound = tail(bounds, U(k) * count)
            _bound_component(centers, halves, count, padded, U(k), memory, bound)
