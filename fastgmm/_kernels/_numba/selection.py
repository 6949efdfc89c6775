"""Which samples of a block count for a component: a bit for each, 64 to a word."""

from ._jit import I0, I1, U, block_function, count_ones, sizes, spliced, trailing_zeros, vector_loop

#: A component so many nats below the best one of a sample does not count: its share is 8e-17.
CUT = 37.0
#: The same for a responsibility that is given: its sample's whole weight is in the others.
NEGLIGIBLE = 1e-16

WORD = U(64)


@block_function
def subtract(row, value, out):
    """Out = row - value."""
    vector_loop()
    BLOCK = sizes(row)[0]
    for b in range(BLOCK):
        out[b] = row[b] - value


@block_function
def _mark_word(values, o, lowest, threshold, first):
    vector_loop()
    word = I0
    for b in range(WORD):
        word |= U(max(values[o + first + b], lowest) >= threshold[first + b]) << b
    return word


@spliced
def select(values, o, lowest, threshold, words, w, seen):
    """Select the samples whose value, or else ``lowest``, reaches its threshold.

    Those selected before are left out where their bit in ``seen`` is set.
    """
    for first in range(I0, sizes(values)[0], WORD):
        words[w] = _mark_word(values, o, lowest, threshold, first) & ~(words[w] & seen)
        w += I1


@spliced
def count_selected(words, w, like):
    """Return how many samples are selected."""
    count = I0
    for i in range(w, w + sizes(like)[0] // WORD):
        count += count_ones(words[i])
    return count


@spliced
def list_selected(words, w, like, index):
    """List the samples that are selected; return how many."""
    m = I0
    for first in range(I0, sizes(like)[0], WORD):
        word = words[w]
        w += I1
        while word != I0:
            index[m] = first + trailing_zeros(word)
            m += I1
            word &= word - I1
    return m
