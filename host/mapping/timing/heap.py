"""What happens when: a heap of events, int64 (places, 3), each with its time, what it is and to whom.

Its length is in the first place, with a 1 behind it if there was no room; the next event is in the second.
"""

from numba import njit


@njit(cache=True, _nrt=False)
def _before(heap, a, b):
    """Which of two places of a heap comes first: by time, then by what happens and to whom."""
    for n in range(3):
        if heap[a, n] != heap[b, n]:
            return heap[a, n] < heap[b, n]
    return False


@njit(cache=True, _nrt=False)
def _exchange(heap, a, b):
    for n in range(3):
        heap[a, n], heap[b, n] = heap[b, n], heap[a, n]


@njit(cache=True, _nrt=False)
def at(heap, time, what, number):
    """Something will happen."""
    place = heap[0, 0] + 1
    if place >= len(heap):
        heap[0, 1] = 1  # no room: the run ends
        return
    heap[0, 0] = place
    heap[place, 0], heap[place, 1], heap[place, 2] = time, what, number
    while place > 1 and _before(heap, place, place // 2):
        _exchange(heap, place, place // 2)
        place //= 2


@njit(cache=True, _nrt=False)
def drop(heap):
    """Take the next event away."""
    size = heap[0, 0]
    _exchange(heap, 1, size)
    heap[0, 0] = size - 1
    place = 1
    while 2 * place < size:
        least = 2 * place
        if least + 1 < size and _before(heap, least + 1, least):
            least += 1
        if not _before(heap, least, place):
            return
        _exchange(heap, place, least)
        place = least
