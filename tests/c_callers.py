"""The C functions, called through ctypes with memory of exactly the sizes that they ask for."""

import warnings
from pathlib import Path

import numpy as np

from fastgmm import GaussianMixture
from fastgmm.data.sample_data import load_sample
from fastgmm.embed import CModel, c_functions

FAITHFUL = Path(__file__).parent / "data" / "faithful.csv"
GUARD = 64


class Guarded:
    """Memory between guards, which must stay as they are."""

    def __init__(self, shape, dtype=np.float64):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self.whole = np.full(size + 2 * GUARD, 0xA5, np.uint8)
        self.array = self.whole[GUARD : GUARD + size].view(dtype).reshape(shape)

    def check(self):
        assert (self.whole[:GUARD] == 0xA5).all()
        assert (self.whole[-GUARD:] == 0xA5).all()
        return self.array


class Caller:
    """A model with workspace of exactly the size that it asks for."""

    def __init__(self, mixture, chunk=300):
        self.model = CModel(mixture)
        self.chunk = chunk
        self.K, self.d = self.model.n_components, self.model.n_features

    def __call__(self, name, X, *outputs):
        """Call a function for chunk after chunk; all outputs have a row for each point."""
        function = getattr(c_functions(), f"{name}_f{8 * X.itemsize}")
        workspace = Guarded(self.model.workspace_size(self.chunk), np.uint8)
        for start in range(0, len(X), self.chunk):
            rows = X[start : start + self.chunk]
            pointers = [None if out is None else out[start:].ctypes.data for out in outputs]
            code = function(
                *(self.model.address, rows.ctypes.data, len(rows), X.strides[0] // X.itemsize),
                *pointers,
                *(workspace.array.ctypes.data, workspace.array.nbytes),
            )
            assert code == 0, c_functions().strerror(code)
            workspace.check()

    def evaluate(self, name, X, *, dtype=np.float64, per_component=False):
        out = Guarded((len(X), self.K) if per_component else len(X), dtype)
        outputs = (out.array, None) if name == "responsibilities" else (out.array,)
        self(name, X, *outputs)
        return out.check()

    def accumulate(self, X, weights=None):
        statistics = Guarded(len(self.model.new_statistics()))
        assert c_functions().statistics_clear(self.model.address, statistics.array.ctypes.data) == 0
        function = getattr(c_functions(), f"accumulate_f{8 * X.itemsize}")
        workspace = np.empty(self.model.workspace_size(self.chunk), np.uint8)
        for start in range(0, len(X), self.chunk):
            rows = X[start : start + self.chunk]
            code = function(
                *(self.model.address, rows.ctypes.data, len(rows), X.strides[0] // X.itemsize),
                None if weights is None else weights[start:].ctypes.data,
                *(statistics.array.ctypes.data, workspace.ctypes.data, workspace.nbytes),
            )
            assert code == 0, c_functions().strerror(code)
        return self.model.read_statistics(statistics.check())


def sample(name):
    if name == "faithful":
        return np.loadtxt(FAITHFUL, delimiter=",", skiprows=1), 2
    return np.ascontiguousarray(load_sample("patches")[::1080]), 11


def fitted(X, covariance_type, K):
    estimator = GaussianMixture(
        K, covariance_type=covariance_type, random_state=0, max_iter=8, tol=1e-2, reg_covar=1e-4
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few iterations do
        return estimator.fit(X)
