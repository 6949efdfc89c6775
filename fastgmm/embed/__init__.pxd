"""fastgmm.h for Cython: ``from fastgmm.embed cimport fastgmm_api, fastgmm_import``.

The functions are described in include/fastgmm.h; compile with ``include_dirs=[get_include()]``.
"""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from "fastgmm.h" nogil:
    const uint32_t FASTGMM_API_VERSION
    const int FASTGMM_OK
    const int FASTGMM_NULL_POINTER
    const int FASTGMM_WRONG_VERSION
    const int FASTGMM_WRONG_SIZE
    const int FASTGMM_WRONG_COVARIANCE_TYPE
    const int FASTGMM_NOT_FINITE
    const int FASTGMM_WORKSPACE_TOO_SMALL
    const int FASTGMM_WRONG_STATISTICS
    const int FASTGMM_MISALIGNED

    const uint32_t FASTGMM_FULL
    const uint32_t FASTGMM_TIED
    const uint32_t FASTGMM_DIAG
    const uint32_t FASTGMM_SPHERICAL

    ctypedef struct fastgmm_model:
        uint32_t version
        uint32_t struct_size
        uint32_t covariance_type
        uint32_t leading_rows
        size_t n_components
        size_t n_features
        uint64_t fingerprint
        const double* means
        const double* log_coefficients
        const double* origin
        const double* centers
        const double* block_factors
        const double* block_shifts
        const double* block_squares
        const double* block_whitener
        const double* distance_coefficients
        const double* distance_shifts
        const double* point_coefficients
        const double* point_parameters

    ctypedef struct fastgmm_integrand:
        const fastgmm_model* model
        void* workspace
        size_t workspace_size

    ctypedef struct fastgmm_api:
        uint32_t version
        uint32_t struct_size
        const char* (*strerror)(int code) noexcept nogil
        int (*check)(const fastgmm_model* model) noexcept nogil
        int (*workspace_size)(
            const fastgmm_model* model, size_t max_points, size_t* n_bytes) noexcept nogil
        int (*log_density_f64)(
            const fastgmm_model* model, const double* x, size_t n_points, ptrdiff_t row_stride,
            double* out, void* workspace, size_t workspace_size) noexcept nogil
        int (*log_density_f32)(
            const fastgmm_model* model, const float* x, size_t n_points, ptrdiff_t row_stride,
            double* out, void* workspace, size_t workspace_size) noexcept nogil
        int (*log_joint_f64)(
            const fastgmm_model* model, const double* x, size_t n_points, ptrdiff_t row_stride,
            double* out, void* workspace, size_t workspace_size) noexcept nogil
        int (*log_joint_f32)(
            const fastgmm_model* model, const float* x, size_t n_points, ptrdiff_t row_stride,
            double* out, void* workspace, size_t workspace_size) noexcept nogil
        int (*responsibilities_f64)(
            const fastgmm_model* model, const double* x, size_t n_points, ptrdiff_t row_stride,
            double* responsibilities, double* log_density, void* workspace,
            size_t workspace_size) noexcept nogil
        int (*responsibilities_f32)(
            const fastgmm_model* model, const float* x, size_t n_points, ptrdiff_t row_stride,
            double* responsibilities, double* log_density, void* workspace,
            size_t workspace_size) noexcept nogil
        int (*mahalanobis_f64)(
            const fastgmm_model* model, const double* x, size_t n_points, ptrdiff_t row_stride,
            double* out, void* workspace, size_t workspace_size) noexcept nogil
        int (*mahalanobis_f32)(
            const fastgmm_model* model, const float* x, size_t n_points, ptrdiff_t row_stride,
            double* out, void* workspace, size_t workspace_size) noexcept nogil
        int (*component_f64)(
            const fastgmm_model* model, const double* x, size_t n_points, ptrdiff_t row_stride,
            int64_t* out, void* workspace, size_t workspace_size) noexcept nogil
        int (*component_f32)(
            const fastgmm_model* model, const float* x, size_t n_points, ptrdiff_t row_stride,
            int64_t* out, void* workspace, size_t workspace_size) noexcept nogil
        int (*accumulate_f64)(
            const fastgmm_model* model, const double* x, size_t n_points, ptrdiff_t row_stride,
            const double* weights, void* statistics, void* workspace,
            size_t workspace_size) noexcept nogil
        int (*accumulate_f32)(
            const fastgmm_model* model, const float* x, size_t n_points, ptrdiff_t row_stride,
            const double* weights, void* statistics, void* workspace,
            size_t workspace_size) noexcept nogil
        int (*statistics_size)(const fastgmm_model* model, size_t* n_bytes) noexcept nogil
        int (*statistics_clear)(const fastgmm_model* model, void* statistics) noexcept nogil
        int (*statistics_add)(
            const fastgmm_model* model, const void* source, void* into) noexcept nogil
        int (*statistics_read)(
            const fastgmm_model* model, const void* statistics, double* nk, double* first,
            double* second, double* log_likelihood, double* weight) noexcept nogil
        double (*log_density_integrand)(int n, double* x, void* integrand) noexcept nogil
        double (*density_integrand)(int n, double* x, void* integrand) noexcept nogil

    const char* fastgmm_strerror(int code) noexcept nogil


cdef extern from "fastgmm.h":
    const fastgmm_api* fastgmm_import() except NULL
    const fastgmm_model* fastgmm_get_model(object c_model) except NULL
