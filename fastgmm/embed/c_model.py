"""A mixture as a C structure, and sufficient statistics that C code has added up."""

import ctypes
import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import empty_moments
from ..model.statistics import SufficientStatistics
from .c_table import c_functions, check_code, kernels
from .mixture import lay_out

# Points that the functions take at a time.
_LARGEST_BLOCK = 256


class CModel:
    """A mixture as the ``fastgmm_model`` of ``fastgmm.h``.

    The parameters are copied: changes of the estimator do not change the model. Keep this object,
    or its capsule, for as long as compiled code uses the address.

    Parameters
    ----------
    mixture : GaussianMixture, BayesianGaussianMixture, SoftKMeans or MixtureParameters
        A fitted estimator, one of known parameters, or one loaded from a file. A Bayesian mixture
        has the densities that its ``score_samples`` and ``predict_proba`` compute. Or parameters,
        as an M step returns them.

    Attributes
    ----------
    address : int
        Address of the ``fastgmm_model``.
    capsule : capsule
        The same in a capsule named "fastgmm_model". It keeps all memory of the model.
    n_components : int
        K.
    n_features : int
        d.

    Raises
    ------
    ImportError
        If this build of fastgmm has no Cython kernels.
    TypeError
        If the argument is no mixture.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    ValueError
        If a parameter is not finite, or a mean too far away for the range of float64.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.embed import CModel, c_functions
    >>> mixture = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [[1.0], [1.0]])
    >>> model, functions = CModel(mixture), c_functions()
    >>> x, out = np.zeros(1), np.empty(1)
    >>> workspace = np.empty(model.workspace_size(1), np.uint8)
    >>> functions.log_density_f64(
    ...     model.address, x.ctypes.data, 1, 1, out.ctypes.data, workspace.ctypes.data,
    ...     workspace.nbytes
    ... )
    0
    >>> print(out.round(6))
    [-1.61175]
    """

    def __init__(self, mixture: Any) -> None:
        compiled = kernels()
        laid_out = lay_out(mixture)
        means = laid_out.means
        arrays = {
            "means": means,
            "distance_coefficients": np.zeros_like(laid_out.points.coefficients),
            "distance_shifts": laid_out.distance_shifts,
        }
        kind = laid_out.covariance_model.kernel_kind
        content = kind.encode() + np.array(means.shape).tobytes() + means.tobytes()
        digest = hashlib.blake2b(content, digest_size=ctypes.sizeof(ctypes.c_size_t)).digest()
        self._means = means
        self._covariance_model = laid_out.covariance_model
        self.n_components, self.n_features = means.shape
        self.capsule, self.address = compiled.c_model(
            laid_out.packed, laid_out.points, arrays, int.from_bytes(digest, "little")
        )
        check_code(c_functions().check(self.address))

    def workspace_size(self, max_points: int) -> int:
        """Return the bytes of workspace for calls with up to so many points.

        Parameters
        ----------
        max_points : int
            Beyond 256 the result does not grow.

        Returns
        -------
        int

        Raises
        ------
        ValueError
            If ``max_points`` is negative.
        """
        if max_points < 0:
            raise ValueError(f"max_points should be at least 0, got {max_points}.")
        n_bytes = ctypes.c_size_t()
        most = min(max_points, _LARGEST_BLOCK)
        code = c_functions().workspace_size(self.address, most, ctypes.addressof(n_bytes))
        check_code(code)
        return n_bytes.value

    def new_statistics(self) -> NDArray[np.float64]:
        """Return memory for statistics, cleared: those of no points.

        Returns
        -------
        array
            Give its address to ``accumulate_f64``.
        """
        memory = np.empty(self._statistics_size() // 8)
        check_code(c_functions().statistics_clear(self.address, memory.ctypes.data))
        return memory

    def read_statistics(self, statistics: Any) -> SufficientStatistics:
        """Return statistics that compiled code has added up.

        Parameters
        ----------
        statistics : array or int
            The memory, contiguous, or its address.

        Returns
        -------
        SufficientStatistics
            About the means of this model.

        Raises
        ------
        ValueError
            If the memory was not cleared for this model or one with the same means, or is an array
            that is too short or not contiguous.
        """
        if isinstance(statistics, np.ndarray):
            size = self._statistics_size()
            if statistics.nbytes < size or not statistics.flags.c_contiguous:
                raise ValueError(
                    f"statistics should be an array of {size} contiguous bytes, as new_statistics "
                    f"returns, but got {statistics.nbytes} bytes of strides {statistics.strides}."
                )
        address = getattr(getattr(statistics, "ctypes", None), "data", statistics)
        moments = empty_moments(self._covariance_model.kernel_kind, *self._means.shape)
        sums = np.empty(2)
        code = c_functions().statistics_read(
            self.address,
            address,
            *(array.ctypes.data for array in moments),
            sums[:1].ctypes.data,
            sums[1:].ctypes.data,
        )
        check_code(code)
        total, weight = map(float, sums)
        return SufficientStatistics(self._covariance_model, self._means, moments, total, weight)

    def _statistics_size(self) -> int:
        n_bytes = ctypes.c_size_t()
        check_code(c_functions().statistics_size(self.address, ctypes.addressof(n_bytes)))
        return n_bytes.value

    def low_level_callable(self, function: str = "density") -> Any:
        """Return p(x), or log p(x), for SciPy's integration and interpolation of C functions.

        Parameters
        ----------
        function : {'density', 'log_density'}

        Returns
        -------
        scipy.LowLevelCallable
            ``double (int, double *, void *)``. It owns workspace: let one thread at a time call it.
            NaN for a point of another number of features.

        Raises
        ------
        ValueError
            If there is no such function.
        """
        if function not in ("density", "log_density"):
            raise ValueError(f"function must be 'density' or 'log_density', got {function!r}.")
        from scipy import LowLevelCallable

        workspace = ctypes.create_string_buffer(self.workspace_size(1))
        integrand = _Integrand(self.address, ctypes.addressof(workspace), len(workspace))
        integrand.kept = self.capsule, workspace
        user_data = ctypes.cast(ctypes.pointer(integrand), ctypes.c_void_p)
        user_data.kept = integrand  # type: ignore[attr-defined]
        return LowLevelCallable(getattr(c_functions(), f"{function}_integrand"), user_data)


class _Integrand(ctypes.Structure):
    """``fastgmm_integrand``."""

    _fields_ = (
        ("model", ctypes.c_void_p),
        ("workspace", ctypes.c_void_p),
        ("workspace_size", ctypes.c_size_t),
    )
    kept: Any
