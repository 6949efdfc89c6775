"""The table of functions of fastgmm.h, and the model that they read."""

from cpython.pycapsule cimport PyCapsule_GetContext, PyCapsule_New, PyCapsule_SetContext
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stddef cimport ptrdiff_t
from fastgmm.embed cimport (
    FASTGMM_NOT_FINITE, fastgmm_api, fastgmm_integrand, fastgmm_strerror,
)

include "lanes.pyx"
include "point.pyx"
include "c_statistics.pyx"
include "c_calls.pyx"

cdef extern from "<math.h>":
    double c_exp "exp"(double x) noexcept nogil


cdef bint _are_finite(const double* values, size_t count) noexcept nogil:
    cdef double nothing = 0.0
    cdef size_t i
    for i in range(count):
        nothing += 0.0 * values[i]
    return nothing == 0.0


cdef int _check_model(const fastgmm_model* model) noexcept nogil:
    cdef int code = check_call(model)
    cdef size_t K, d, shifts, factors
    if code != FASTGMM_OK:
        return code
    if (
        model.means == NULL or model.log_coefficients == NULL or model.origin == NULL
        or model.centers == NULL or model.block_factors == NULL or model.block_shifts == NULL
        or model.distance_coefficients == NULL or model.distance_shifts == NULL
        or model.point_coefficients == NULL or model.point_parameters == NULL
    ):
        return FASTGMM_NULL_POINTER
    K = model.n_components
    d = model.n_features
    if model.covariance_type == TIED and model.block_whitener == NULL:
        return FASTGMM_NULL_POINTER
    # the rows of a full factor that follow come in fours
    if (
        model.leading_rows < 1 or model.leading_rows > d
        or (model.covariance_type == FULL and (d - model.leading_rows) % 4 != 0)
    ):
        return FASTGMM_WRONG_SIZE
    shifts = K * d
    factors = K * (d * (d + 1) // 2) if model.covariance_type == FULL else K * d
    if model.block_squares != NULL:
        shifts = up_to_four(K)
        factors = up_to_four(K) * up_to_four(d)
    if (
        _are_finite(model.means, K * d)
        and _are_finite(model.log_coefficients, K)
        and _are_finite(model.origin, d)
        and _are_finite(model.centers, K * d)
        and _are_finite(model.block_factors, factors)
        and _are_finite(model.block_shifts, shifts)
        and (model.block_squares == NULL or _are_finite(model.block_squares, shifts))
        and (model.block_whitener == NULL or _are_finite(model.block_whitener, d * d))
        and _are_finite(model.distance_coefficients, _up_to_lanes(K))
        and _are_finite(model.distance_shifts, shifts)
        and _are_finite(model.point_coefficients, K)
        and _are_finite(model.point_parameters, point_parameters_size(model))
    ):
        return FASTGMM_OK
    return FASTGMM_NOT_FINITE


cdef const char* _strerror(int code) noexcept nogil:
    return fastgmm_strerror(code)


cdef int _workspace_size(
    const fastgmm_model* model, size_t max_points, size_t* n_bytes
) noexcept nogil:
    cdef int code = check_call(model)
    if code != FASTGMM_OK:
        return code
    if n_bytes == NULL:
        return FASTGMM_NULL_POINTER
    n_bytes[0] = needed_workspace(model, max_points)
    return FASTGMM_OK


# What points are made of: each function below is compiled for both.
ctypedef fused point_number:
    double
    float


cdef int _log_density(
    const fastgmm_model* model, const point_number* x, size_t n_points, ptrdiff_t row_stride,
    double* out, void* workspace, size_t workspace_size
) noexcept nogil:
    cdef Outputs outputs = Outputs(NULL, out, NULL, NULL)
    return evaluate(
        model, points(x, row_stride, sizeof(point_number)), n_points, False, &outputs,
        workspace, workspace_size
    )


cdef int _log_joint(
    const fastgmm_model* model, const point_number* x, size_t n_points, ptrdiff_t row_stride,
    double* out, void* workspace, size_t workspace_size
) noexcept nogil:
    cdef Outputs outputs = Outputs(out, NULL, NULL, NULL)
    return evaluate(
        model, points(x, row_stride, sizeof(point_number)), n_points, False, &outputs,
        workspace, workspace_size
    )


cdef int _responsibilities(
    const fastgmm_model* model, const point_number* x, size_t n_points, ptrdiff_t row_stride,
    double* resp, double* log_density, void* workspace, size_t workspace_size
) noexcept nogil:
    cdef Outputs outputs = Outputs(NULL, log_density, resp, NULL)
    return evaluate(
        model, points(x, row_stride, sizeof(point_number)), n_points, False, &outputs,
        workspace, workspace_size
    )


cdef int _mahalanobis(
    const fastgmm_model* model, const point_number* x, size_t n_points, ptrdiff_t row_stride,
    double* out, void* workspace, size_t workspace_size
) noexcept nogil:
    cdef Outputs outputs = Outputs(out, NULL, NULL, NULL)
    return evaluate(
        model, points(x, row_stride, sizeof(point_number)), n_points, True, &outputs,
        workspace, workspace_size
    )


cdef int _component(
    const fastgmm_model* model, const point_number* x, size_t n_points, ptrdiff_t row_stride,
    int64_t* out, void* workspace, size_t workspace_size
) noexcept nogil:
    cdef Outputs outputs = Outputs(NULL, NULL, NULL, out)
    return evaluate(
        model, points(x, row_stride, sizeof(point_number)), n_points, False, &outputs,
        workspace, workspace_size
    )


cdef int _accumulate(
    const fastgmm_model* model, const point_number* x, size_t n_points, ptrdiff_t row_stride,
    const double* weights, void* statistics, void* workspace, size_t workspace_size
) noexcept nogil:
    return accumulate_points(
        model, points(x, row_stride, sizeof(point_number)), n_points, weights, statistics,
        workspace, workspace_size
    )


cdef double _log_density_integrand(int n, double* x, void* integrand) noexcept nogil:
    cdef const fastgmm_integrand* given = <const fastgmm_integrand*> integrand
    cdef double result = NOT_A_NUMBER
    if given == NULL or check_call(given.model) != FASTGMM_OK:
        return NOT_A_NUMBER
    if <size_t> n != given.model.n_features:
        return NOT_A_NUMBER
    _log_density(
        given.model, <const double*> x, 1, n, &result, given.workspace, given.workspace_size
    )
    return result


cdef double _density_integrand(int n, double* x, void* integrand) noexcept nogil:
    return c_exp(_log_density_integrand(n, x, integrand))


cdef fastgmm_api _api


cdef void _fill_api() noexcept:
    _api.version = FASTGMM_API_VERSION
    _api.struct_size = sizeof(fastgmm_api)
    _api.strerror = _strerror
    _api.check = _check_model
    _api.workspace_size = _workspace_size
    _api.log_density_f64 = _log_density[double]
    _api.log_density_f32 = _log_density[float]
    _api.log_joint_f64 = _log_joint[double]
    _api.log_joint_f32 = _log_joint[float]
    _api.responsibilities_f64 = _responsibilities[double]
    _api.responsibilities_f32 = _responsibilities[float]
    _api.mahalanobis_f64 = _mahalanobis[double]
    _api.mahalanobis_f32 = _mahalanobis[float]
    _api.component_f64 = _component[double]
    _api.component_f32 = _component[float]
    _api.accumulate_f64 = _accumulate[double]
    _api.accumulate_f32 = _accumulate[float]
    _api.statistics_size = statistics_size
    _api.statistics_clear = statistics_clear
    _api.statistics_add = statistics_add
    _api.statistics_read = statistics_read
    _api.log_density_integrand = _log_density_integrand
    _api.density_integrand = _density_integrand


if sizeof(work) == sizeof(double):  # else the C compiler leaves all of this out
    _fill_api()


def c_api():
    """Return the table of fastgmm.h in a capsule, and its address."""
    return PyCapsule_New(&_api, "fastgmm_api", NULL), <size_t> &_api


cdef class _OwnedModel:
    """A fastgmm_model and what keeps its arrays."""

    cdef fastgmm_model model
    cdef object kept


cdef void _release(object capsule) noexcept:
    Py_DECREF(<object> PyCapsule_GetContext(capsule))


def c_model(packed, point, arrays, size_t fingerprint):
    """Return a fastgmm_model in a capsule, which keeps all arrays, and its address."""
    cdef Packed block = _packed(packed)
    cdef _OwnedModel owned = _OwnedModel()
    cdef fastgmm_model* model = &owned.model
    owned.kept = (packed, point, arrays)
    model.version = FASTGMM_API_VERSION
    model.struct_size = sizeof(fastgmm_model)
    model.covariance_type = block.kind
    model.leading_rows = block.leading
    model.n_components = block.n_components
    model.n_features = block.n_features
    model.fingerprint = fingerprint
    model.means = <const double*> _address(arrays["means"])
    model.log_coefficients = <const double*> block.coefficients
    model.origin = <const double*> block.origin
    model.centers = <const double*> block.centers
    model.block_factors = <const double*> block.factors
    model.block_shifts = <const double*> block.shifts
    model.block_squares = <const double*> block.squares
    model.block_whitener = <const double*> block.whitener
    model.distance_coefficients = <const double*> _address(arrays["distance_coefficients"])
    model.distance_shifts = <const double*> _address(arrays["distance_shifts"])
    model.point_coefficients = <const double*> _address(point.coefficients)
    model.point_parameters = <const double*> _address(point.parameters)
    capsule = PyCapsule_New(model, "fastgmm_model", _release)
    Py_INCREF(owned)
    PyCapsule_SetContext(capsule, <void*> owned)
    return capsule, <size_t> model
