"""Which samples of a block are selected for a component: one bit each, 64 to a word."""

from ..layout import CUT as CUT  # for the other files of the backend
from .jit import I0, I1, U, part, shared_part, step
from .primitives import count_ones, not_inlined, sizes, tail, trailing_zeros, vector_loop

#: The same for a responsibility that is given: its sample's whole weight is in the others.
NEGLIGIBLE = 1e-16

WORD = U(64)


@part
def subtract(row, value, out):
    """Out = row - value.

    row, value  IN
    out         OUT
    """
    vector_loop()
    BLOCK = sizes(row)[0]
    for b in range(BLOCK):
        out[b] = row[b] - value


@part
def _mark_word(values, lowest, threshold):
    """Return a word whose bits say which of 64 samples reach their threshold.

    values, lowest, threshold  IN
    """
    vector_loop()
    word = I0
    for b in range(WORD):
        word |= U(max(values[b], lowest) >= threshold[b]) << U(b)
    return word


@step
def select(values, lowest, threshold, words, seen):
    """Select the samples whose value, raised to at least ``lowest``, reaches its threshold.

    A sample that was selected before is left out if its bit in ``seen`` is set.

    values, lowest, threshold  IN
    words                      IN OUT
    """
    for i in range(sizes(values)[0] // WORD):
        o = i * WORD
        marked = _mark_word(tail(values, o), lowest, tail(threshold, o))
        words[i] = marked & ~(words[i] & seen)


@step
def count_selected(words, like):
    """Return how many samples are selected.

    words  IN
    """
    count = I0
    for i in range(sizes(like)[0] // WORD):
        count += count_ones(words[i])
    return count


@shared_part
def list_selected(words, like, index):
    """List the samples that are selected; return how many.

    words  IN
    index  OUT
    """
    not_inlined()
    m = I0
    for i in range(sizes(like)[0] // WORD):
        word = words[i]
        while word != I0:
            index[m] = U(i) * WORD + trailing_zeros(word)
            m += I1
            word &= word - I1
    return m
