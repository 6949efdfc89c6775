"""A level of a tree that cuts samples across principal directions, and the way down.

The rows of a node follow one another in a list of rows.
"""

import numpy as np
from numba import prange

from .jit import I1, U, parallel_pass, part, slot_function
from .primitives import tail

# Rows of a node that its direction and its costs are estimated from: about so many.
_SOME = U(2048)
# Steps of power iteration.
_STEPS = 4
# Rows whose sides are one slot.
_SLOT = 4096


@part
def _offset(x, direction, d, cut):
    """Return how far a sample lies beyond a cut.

    x, direction  IN
    """
    total = -cut
    for j in range(d):
        total += x[j] * direction[j]
    return total


@slot_function
def _turn(X, d, weight, rows, first, stop, step, mean, direction, image):
    """Take a step of power iteration; return the norm of the scatter matrix times the direction.

    X, weight, rows, mean  IN
    direction              IN OUT  of length 1 afterwards, unless the norm is 0
    image                  OUT     workspace
    """
    for j in range(d):
        image[j] = 0.0
    at = _offset(mean, direction, d, 0.0)
    for o in range(first, stop, step):
        row = U(rows[o])
        x = tail(X, row * d)
        value = weight[row] * _offset(x, direction, d, at)
        for j in range(d):
            image[j] += value * (x[j] - mean[j])
    square = 0.0
    for j in range(d):
        square += image[j] * image[j]
    norm = np.sqrt(square)
    if norm > 0.0:
        for j in range(d):
            direction[j] = image[j] / norm
    return norm


@slot_function
def _principal_cut(X, d, weight, rows, first, stop, direction, shift, costs):
    """Write the direction of a node and the costs of its two sides; return the cut.

    X, weight, rows  IN
    direction        IN OUT  where power iteration begins, and what it leads to
    costs            OUT
    """
    step = max((stop - first) // _SOME, I1)
    sums = np.zeros((4, d))
    mean = sums[0]
    total = 0.0
    for o in range(first, stop, step):
        row = U(rows[o])
        total += weight[row]
        for j in range(d):
            mean[j] += weight[row] * X[row * d + j]
    for j in range(d):
        mean[j] /= total
    norm = 0.0
    for _ in range(_STEPS):
        norm = _turn(X, d, weight, rows, first, stop, step, mean, direction, sums[1])
    cut = _offset(mean, direction, d, 0.0) + shift * np.sqrt(norm / total)
    counts = np.zeros(2)
    costs[0] = costs[1] = 0.0
    sums[1] = 0.0
    for o in range(first, stop, step):
        row = U(rows[o])
        x = tail(X, row * d)
        side = 1 if _offset(x, direction, d, cut) > 0.0 else 0
        counts[side] += weight[row]
        for j in range(d):
            difference = x[j] - mean[j]
            sums[1 + side, j] += weight[row] * difference
            costs[side] += weight[row] * difference * difference
    for side in range(2):
        if counts[side] > 0.0:
            for j in range(d):
                costs[side] -= sums[1 + side, j] * sums[1 + side, j] / counts[side]
    return cut


@parallel_pass
def principal_cuts(X, order, weight, rows, nodes, directions, shifts, cuts, costs):
    """Write a direction for each node, where it is cut, and the costs of the two sides.

    X, weight, rows, nodes, shifts  IN      X and nodes flat
    directions                      IN OUT  flat
    cuts, costs                     OUT     costs flat
    """
    d = U(order)
    for t in prange(len(cuts)):
        node = U(t)
        first, stop = U(nodes[2 * t]), U(nodes[2 * t + 1])
        direction, cost = tail(directions, node * d), tail(costs, U(2) * node)
        cuts[t] = _principal_cut(X, d, weight, rows, first, stop, direction, shifts[t], cost)


@slot_function
def _sides_of_slot(X, d, rows, nodes, directions, cuts, start, stop, above):
    """Write the sides of the rows of a slot; what lies between nodes is left alone.

    X, rows, nodes, directions, cuts  IN
    above                             OUT
    """
    low, high = 0, len(cuts)  # the first node that ends behind the start
    while low < high:
        middle = (low + high) // 2
        if nodes[2 * middle + 1] <= start:
            low = middle + 1
        else:
            high = middle
    for node in range(low, len(cuts)):
        if nodes[2 * node] >= stop:
            break
        direction = tail(directions, U(node) * d)
        for o in range(max(nodes[2 * node], start), min(nodes[2 * node + 1], stop)):
            x = tail(X, U(rows[o]) * d)
            above[o] = _offset(x, direction, d, cuts[node]) > 0.0


@parallel_pass
def sides(X, order, rows, nodes, directions, cuts, above):
    """Write on which side of the cut of its node each row lies.

    X, rows, nodes, directions, cuts  IN   X, nodes and directions flat
    above                             OUT
    """
    d = U(order)
    n = len(rows)
    for t in prange((n + _SLOT - 1) // _SLOT):
        start, stop = t * _SLOT, min(t * _SLOT + _SLOT, n)
        _sides_of_slot(X, d, rows, nodes, directions, cuts, start, stop, above)


@slot_function
def _descend_slot(X, d, directions, cuts, children, start, stop, found):
    """Write the leaves of the rows of a slot.

    X, directions, cuts, children  IN
    found                          OUT
    """
    for i in range(start, stop):
        x, node = tail(X, U(i) * d), 0
        while node >= 0:
            beyond = _offset(x, tail(directions, U(node) * d), d, cuts[node]) > 0.0
            node = children[2 * node + (1 if beyond else 0)]
        found[i] = -1 - node


@parallel_pass
def descend(X, order, directions, cuts, children, found):
    """Write the leaf in which each row lies.

    X, directions, cuts, children  IN   all flat
    found                          OUT
    """
    d = U(order)
    n = len(found)
    for t in prange((n + _SLOT - 1) // _SLOT):
        start, stop = t * _SLOT, min(t * _SLOT + _SLOT, n)
        _descend_slot(X, d, directions, cuts, children, start, stop, found)
