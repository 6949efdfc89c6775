"""Log-densities from C, one point or 256 a call. Needs gcc and the Cython kernels."""

import ctypes
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from time import process_time

import numpy as np

from fastgmm import _kernels as kernels

from .mixtures import make_parameters, samples_and_means
from .sizes import parse, shapes

LOOPS = """
#include "fastgmm.h"
#include "mixture.h"

int table(
    const fastgmm_api *api, const fastgmm_model *model, const double *x, size_t n, size_t chunk,
    double *out, void *workspace, size_t size)
{
    const size_t d = model->n_features;
    int code = 0;
    for (size_t i = 0; i < n; i += chunk)
        code |= api->log_density_f64(
            model, x + i * d, n - i < chunk ? n - i : chunk, d, out + i, workspace, size);
    return code;
}

int exported(const double *x, size_t n, size_t chunk, double *out)
{
    const size_t d = MIXTURE_N_FEATURES;
    int code = 0;
    for (size_t i = 0; i < n; i += chunk)
        code |= mixture_log_density_f64(x + i * d, n - i < chunk ? n - i : chunk, d, out + i);
    return code;
}
"""


@lru_cache(maxsize=1)  # asv runs setup before each sample
def _build(shape):
    """Return a mixture, its model for C, and the loops compiled with its exported source."""
    parameters = make_parameters(samples_and_means(*shape)[1], "full")
    try:
        from fastgmm.embed import CModel, get_include
        from fastgmm.embed.export_c import to_c

        model = CModel(parameters)
    except ImportError as error:  # an older commit, or a build without Cython kernels
        raise NotImplementedError from error
    if shutil.which("gcc") is None:
        raise NotImplementedError("gcc is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        header, source = to_c(parameters, prefix="mixture")
        files = {"mixture.h": header, "mixture.c": source, "loops.c": LOOPS}
        for file, text in files.items():
            (folder / file).write_text(text)
        options = ["-O3", "-march=native", "-shared", "-fPIC"]
        inputs = ["-I", get_include(), "mixture.c", "loops.c", "-lm"]
        subprocess.run(["gcc", *options, *inputs, "-o", "loops.so"], cwd=folder, check=True)
        return parameters, model, ctypes.CDLL(str(folder / "loops.so"))


class LogDensity:
    """On one thread: by the table of functions, by exported source, and by the batch kernel."""

    params = [shapes((100_000, 16, 32))]
    param_names = ["n,d,K"]
    timer = process_time

    def setup(self, shape):
        self.X, _ = samples_and_means(*parse(shape))
        parameters, self.model, self.library = _build(parse(shape))
        self.components = parameters.components()
        self.out = np.empty(len(self.X))
        self.workspace = np.empty(self.model.workspace_size(256), np.uint8)
        self.time_kernel()
        expected = self.out.copy()
        for run in (self.call_table, self.call_exported):
            run(256)
            np.testing.assert_allclose(self.out, expected, rtol=1e-12)

    def call_table(self, chunk):
        from fastgmm.embed import addresses

        pointers = addresses()["api"], self.model.address, self.X.ctypes.data
        code = self.library.table(
            *map(ctypes.c_void_p, pointers),
            *map(ctypes.c_size_t, (len(self.X), chunk)),
            *map(ctypes.c_void_p, (self.out.ctypes.data, self.workspace.ctypes.data)),
            ctypes.c_size_t(self.workspace.nbytes),
        )
        assert code == 0

    def call_exported(self, chunk):
        code = self.library.exported(
            ctypes.c_void_p(self.X.ctypes.data),
            *map(ctypes.c_size_t, (len(self.X), chunk)),
            ctypes.c_void_p(self.out.ctypes.data),
        )
        assert code == 0

    def time_table_one_point_a_call(self, *parameters):
        self.call_table(1)

    def time_table_256_points_a_call(self, *parameters):
        self.call_table(256)

    def time_exported_one_point_a_call(self, *parameters):
        self.call_exported(1)

    def time_exported_256_points_a_call(self, *parameters):
        self.call_exported(256)

    def time_kernel(self, *parameters):
        kernels.posterior(self.X, self.components, 1, log_prob_norm=self.out)
