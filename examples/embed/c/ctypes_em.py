"""One EM iteration with ctypes: the E step adds points to statistics in plain memory."""

import numpy as np

from fastgmm import GaussianMixture
from fastgmm.data.sample_data import load_sample
from fastgmm.embed import CModel, c_functions

X = load_sample("patches")
n, d = X.shape
mixture = GaussianMixture(8, random_state=0, tol=1e-2).fit(X[::10])
model, functions = CModel(mixture), c_functions()

batch = 1024
workspace = np.empty(model.workspace_size(batch), np.uint8)
statistics = model.new_statistics()
for start in range(0, n, batch):
    rows = X[start : start + batch]
    code = functions.accumulate_f64(
        *(model.address, rows.ctypes.data, len(rows), rows.strides[0] // rows.itemsize),
        *(None, statistics.ctypes.data),  # no weights
        *(workspace.ctypes.data, workspace.nbytes),
    )
    if code:
        raise SystemExit(functions.strerror(code).decode())

total = model.read_statistics(statistics)
nk, means, second = total.central()
updated = GaussianMixture.from_parameters(nk / nk.sum(), means, second / nk[:, None, None])
print(f"mean log-density {total.lower_bound:.6f}, from Python {mixture.score(X):.6f}")
print(f"after the M step {updated.score(X):.6f}")
