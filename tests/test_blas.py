"""BLAS is limited to one thread while EM runs, and as before afterwards, in forked children too."""

import os

import pytest

HELPERS = """
import os, threading, time, warnings
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits
from fastgmm._kernels import blas

warnings.simplefilter("ignore", DeprecationWarning)  # fork in a process with threads

def blas_threads():
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}

before = blas_threads()

def ends_well(function):
    child = os.fork()
    if child == 0:
        try:
            function()
            os._exit(0)
        finally:
            os._exit(3)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, 9)
    return False

def limited_and_restored():
    assert blas_threads() == before, blas_threads()
    with blas.one_blas_thread():
        assert blas_threads() == {1}
    assert blas_threads() == before
"""

NESTED = """
limited_and_restored()
with blas.one_blas_thread(), blas.one_blas_thread():
    assert blas_threads() == {1}
limited_and_restored()
try:
    with blas.one_blas_thread():
        raise KeyboardInterrupt
except KeyboardInterrupt:
    limited_and_restored()
"""

LIMITS_OF_OTHER_THREADS = """
with blas.one_blas_thread():
    pass
def limit():
    with threadpool_limits(1, user_api="blas"):
        seen.append(blas_threads())
seen = []
thread = threading.Thread(target=limit)
thread.start()
thread.join()
assert seen == [{1}], seen
limited_and_restored()
"""

FORK_IN_A_FIT_OF_ANOTHER_THREAD = """
inside, leave = threading.Event(), threading.Event()
def fit():
    with blas.one_blas_thread():
        inside.set()
        leave.wait()
thread = threading.Thread(target=fit, daemon=True)
thread.start()
inside.wait()
assert ends_well(limited_and_restored)
assert blas_threads() == {1}
leave.set()
thread.join()
limited_and_restored()
"""

FORK_IN_THE_FIT_OF_THIS_THREAD = """
with blas.one_blas_thread():
    def work():
        assert blas_threads() == {1}
        with blas.one_blas_thread():
            pass
        assert blas_threads() == {1}
    assert ends_well(work)
limited_and_restored()
"""

FORK_WHILE_ANOTHER_THREAD_LIMITS = """
holds = threading.Event()
def limit():
    with blas._lock:
        holds.set()
        time.sleep(0.3)
thread = threading.Thread(target=limit, daemon=True)
thread.start()
holds.wait()
assert ends_well(limited_and_restored)
thread.join()
limited_and_restored()
"""

LAST_OF_TWO_THREADS = """
inside, leave = threading.Event(), threading.Event()
def fit():
    with blas.one_blas_thread():
        inside.set()
        leave.wait()
thread = threading.Thread(target=fit)
with blas.one_blas_thread():
    thread.start()
    inside.wait()
assert blas_threads() == {1}  # another one computes
leave.set()
thread.join()
limited_and_restored()
"""

# An interrupt wherever Python looks for one in the limit's own code: where a function begins, and
# after a call of C.
INTERRUPTED = """
import sys, threadpoolctl
from fastgmm.init import seeding

files = (blas.__file__, seeding.__file__, threadpoolctl.__file__)

def interrupt(frame, event, argument):
    global left
    if frame.f_code.co_filename in files and event in ("call", "c_return"):
        left -= 1
        if left == 0:
            sys.setprofile(None)
            raise KeyboardInterrupt

for limit in (blas.one_blas_thread, seeding.one_thread):
    with limit():  # finds the libraries
        pass
    count = 0
    interrupted = True
    while interrupted and count < 1000:
        count += 1
        left, interrupted = count, False
        sys.setprofile(interrupt)
        try:
            with limit():
                pass
        except KeyboardInterrupt:
            interrupted = True
        sys.setprofile(None)
        limited_and_restored()
    assert 20 < count < 1000, count
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize(
    "script",
    [
        NESTED,
        LIMITS_OF_OTHER_THREADS,
        FORK_IN_A_FIT_OF_ANOTHER_THREAD,
        FORK_IN_THE_FIT_OF_THIS_THREAD,
        FORK_WHILE_ANOTHER_THREAD_LIMITS,
        LAST_OF_TWO_THREADS,
        INTERRUPTED,
    ],
)
def test_blas_threads(run_python, script):
    run_python(HELPERS + script, OPENBLAS_NUM_THREADS="2", MKL_NUM_THREADS="2")
