/* Gaussian mixtures of fastgmm, called from C, C++ and Cython.
 *
 * Nothing is linked. A Python process makes the model (fastgmm.embed.CModel) and owns its memory.
 * The functions are reached through one table of pointers, fastgmm_api. Its kernels are those of
 * the best instruction set that the processor runs.
 *
 * An extension module calls fastgmm_import() once, with the interpreter's lock held. Other code is
 * handed the address of the table (fastgmm.embed.addresses()["api"]).
 *
 * All functions:
 *   - return FASTGMM_OK or one of the negative codes below; fastgmm_strerror() describes a code;
 *   - allocate nothing, start no threads, keep no state, and need no lock of the interpreter; any
 *     number of threads may call them, each with a workspace of its own;
 *   - take float64 (f64) or float32 (f32) points; arithmetic and results are float64;
 *   - check the model's version and sizes and the workspace at every call; they do not check that
 *     arrays are as long as they should be.
 *
 * Points: n_points rows of d = model->n_features numbers. Each row begins row_stride numbers after
 * the one before: more than d leaves gaps, less than d makes rows overlap, and a negative number
 * goes backwards. Results of one point follow those of the point before without a gap. All arrays
 * are aligned for their type.
 *
 * A point that holds NaN or an infinity gives NaN in every float result and -1 as its component.
 * accumulate() adds NaN to nk and the log-likelihood for it, and nothing to the other moments. A
 * point of weight 0 adds nothing, whatever it holds.
 *
 * C99 and C++. Include Python.h first for what needs the interpreter.
 */
#ifndef FASTGMM_H
#define FASTGMM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes when a structure below does; tests/data/c_api_<version>.txt records it. */
#define FASTGMM_API_VERSION 1

enum {
    FASTGMM_OK = 0,
    FASTGMM_NULL_POINTER = -1,
    FASTGMM_WRONG_VERSION = -2,
    FASTGMM_WRONG_SIZE = -3,
    FASTGMM_WRONG_COVARIANCE_TYPE = -4,
    FASTGMM_NOT_FINITE = -5,
    FASTGMM_WORKSPACE_TOO_SMALL = -6,
    FASTGMM_WRONG_STATISTICS = -7,
    FASTGMM_MISALIGNED = -8
};

/* covariance_type */
enum { FASTGMM_FULL = 0, FASTGMM_TIED = 1, FASTGMM_DIAG = 2, FASTGMM_SPHERICAL = 3 };

/* A mixture p(x) = sum_k weight_k N(x | mean_k, covariance_k), K components, d features.
 *
 * fastgmm.embed.CModel fills it and owns all memory it points to. Read only what stands above
 * "layouts": these belong to the kernels.
 */
typedef struct fastgmm_model {
    uint32_t version;         /* FASTGMM_API_VERSION */
    uint32_t struct_size;     /* sizeof(fastgmm_model) */
    uint32_t covariance_type; /* FASTGMM_FULL, ... */
    uint32_t leading_rows;    /* of a full factor; see layouts */
    size_t n_components;      /* K */
    size_t n_features;        /* d */
    uint64_t fingerprint;     /* of type and means; statistics of equal fingerprints add up */
    const double *means;            /* (K, d) */
    const double *log_coefficients; /* (K,): log weight - log det(2 pi covariance) / 2 */
    /* layouts */
    const double *origin;
    const double *centers;
    const double *block_factors;
    const double *block_shifts;
    const double *block_squares;
    const double *block_whitener;
    const double *distance_coefficients;
    const double *distance_shifts;
    const double *point_coefficients;
    const double *point_parameters;
} fastgmm_model;

/* What user_data points to in the functions for scipy.LowLevelCallable. */
typedef struct fastgmm_integrand {
    const fastgmm_model *model;
    void *workspace;
    size_t workspace_size;
} fastgmm_integrand;

/* The functions. Arrays that a call writes must not overlap others.
 *
 * workspace: memory of workspace_size() bytes, any alignment. It carries nothing from call to call.
 * statistics: memory of statistics_size() bytes, aligned for double; statistics_clear() before use.
 * It holds no pointers: it may be copied, sent, or lie in memory that processes share.
 */
typedef struct fastgmm_api {
    uint32_t version;     /* FASTGMM_API_VERSION */
    uint32_t struct_size; /* sizeof(fastgmm_api) */

    /* A description in English of a returned code. */
    const char *(*strerror)(int code);

    /* Test all of a model: version, sizes, pointers, and that every number is finite. */
    int (*check)(const fastgmm_model *model);

    /* Bytes of workspace for calls with up to max_points points. Calls with few points need much
     * less; beyond 256 points the number does not grow. */
    int (*workspace_size)(const fastgmm_model *model, size_t max_points, size_t *n_bytes);

    /* out (n,): log p(x), in nats. */
    int (*log_density_f64)(
        const fastgmm_model *model, const double *x, size_t n_points, ptrdiff_t row_stride,
        double *out, void *workspace, size_t workspace_size);
    int (*log_density_f32)(
        const fastgmm_model *model, const float *x, size_t n_points, ptrdiff_t row_stride,
        double *out, void *workspace, size_t workspace_size);

    /* out (n, K): log weight_k + log N(x | k); at most -1e300 if weight_k is 0. */
    int (*log_joint_f64)(
        const fastgmm_model *model, const double *x, size_t n_points, ptrdiff_t row_stride,
        double *out, void *workspace, size_t workspace_size);
    int (*log_joint_f32)(
        const fastgmm_model *model, const float *x, size_t n_points, ptrdiff_t row_stride,
        double *out, void *workspace, size_t workspace_size);

    /* responsibilities (n, K): p(k | x); log_density (n,). Either may be NULL. */
    int (*responsibilities_f64)(
        const fastgmm_model *model, const double *x, size_t n_points, ptrdiff_t row_stride,
        double *responsibilities, double *log_density, void *workspace, size_t workspace_size);
    int (*responsibilities_f32)(
        const fastgmm_model *model, const float *x, size_t n_points, ptrdiff_t row_stride,
        double *responsibilities, double *log_density, void *workspace, size_t workspace_size);

    /* out (n, K): (x - mean_k)^T covariance_k^-1 (x - mean_k), 0 or more. */
    int (*mahalanobis_f64)(
        const fastgmm_model *model, const double *x, size_t n_points, ptrdiff_t row_stride,
        double *out, void *workspace, size_t workspace_size);
    int (*mahalanobis_f32)(
        const fastgmm_model *model, const float *x, size_t n_points, ptrdiff_t row_stride,
        double *out, void *workspace, size_t workspace_size);

    /* out (n,): the component of the largest log_joint; of equal ones, the first. */
    int (*component_f64)(
        const fastgmm_model *model, const double *x, size_t n_points, ptrdiff_t row_stride,
        int64_t *out, void *workspace, size_t workspace_size);
    int (*component_f32)(
        const fastgmm_model *model, const float *x, size_t n_points, ptrdiff_t row_stride,
        int64_t *out, void *workspace, size_t workspace_size);

    /* The E step: add points to statistics under their responsibilities.
     * weights (n,) may be NULL: then each point counts once. Weights are not checked. */
    int (*accumulate_f64)(
        const fastgmm_model *model, const double *x, size_t n_points, ptrdiff_t row_stride,
        const double *weights, void *statistics, void *workspace, size_t workspace_size);
    int (*accumulate_f32)(
        const fastgmm_model *model, const float *x, size_t n_points, ptrdiff_t row_stride,
        const double *weights, void *statistics, void *workspace, size_t workspace_size);

    /* Bytes that statistics take. */
    int (*statistics_size)(const fastgmm_model *model, size_t *n_bytes);

    /* Make them statistics of no points. */
    int (*statistics_clear)(const fastgmm_model *model, void *statistics);

    /* into += source; both of models of one fingerprint. */
    int (*statistics_add)(const fastgmm_model *model, const void *source, void *into);

    /* Write plain sums, with r = p(k | x), w the weight and z = x - mean_k:
     *   nk (K,)       sum w r
     *   first (K, d)  sum w r z
     *   second        sum w r z z^T: (K, d, d) full; (d, d) tied, summed over k; its diagonal
     *                 (K, d) diag; its trace (K,) spherical
     *   log_likelihood (1,)  sum w log p(x)
     *   weight (1,)          sum w
     * Each may be NULL. */
    int (*statistics_read)(
        const fastgmm_model *model, const void *statistics, double *nk, double *first,
        double *second, double *log_likelihood, double *weight);

    /* log p and p of one point of n = d numbers, as scipy.LowLevelCallable takes them. NaN if
     * something is wrong. A fastgmm_integrand serves one thread at a time. */
    double (*log_density_integrand)(int n, double *x, void *integrand);
    double (*density_integrand)(int n, double *x, void *integrand);
} fastgmm_api;

/* A description in English of a returned code. */
static inline const char *fastgmm_strerror(int code)
{
    switch (code) {
    case FASTGMM_OK:
        return "no error";
    case FASTGMM_NULL_POINTER:
        return "a pointer is NULL that must not be";
    case FASTGMM_WRONG_VERSION:
        return "the model has another version or struct_size than the functions";
    case FASTGMM_WRONG_SIZE:
        return "n_components is not from 1 to 2^28, n_features not from 1 to 2^16, or "
               "leading_rows does not fit";
    case FASTGMM_WRONG_COVARIANCE_TYPE:
        return "covariance_type is none of the four";
    case FASTGMM_NOT_FINITE:
        return "the model holds a number that is NaN or infinite";
    case FASTGMM_WORKSPACE_TOO_SMALL:
        return "workspace_size is less than the function workspace_size returns";
    case FASTGMM_WRONG_STATISTICS:
        return "the statistics were not cleared, or belong to a model of another fingerprint";
    case FASTGMM_MISALIGNED:
        return "the statistics are not aligned for double";
    default:
        return "unknown error code";
    }
}

#ifdef Py_PYTHON_H

/* Return the table, or NULL with a Python exception set. Call it once and keep the pointer. */
static inline const fastgmm_api *fastgmm_import(void)
{
    const fastgmm_api *api = NULL;
    PyObject *capsule = NULL;
    PyObject *module = PyImport_ImportModule("fastgmm.embed.c_table");
    if (module != NULL) {
        capsule = PyObject_CallMethod(module, "c_api", NULL);
        Py_DECREF(module);
    }
    if (capsule != NULL) {
        api = (const fastgmm_api *)PyCapsule_GetPointer(capsule, "fastgmm_api");
        Py_DECREF(capsule); /* the table is static memory of a module that is never unloaded */
    }
    if (api != NULL
        && (api->version != FASTGMM_API_VERSION || api->struct_size < sizeof(fastgmm_api))) {
        PyErr_Format(
            PyExc_ImportError,
            "compiled for version %d of fastgmm.h, but the installed fastgmm has version %d",
            FASTGMM_API_VERSION, (int)api->version);
        api = NULL;
    }
    return api;
}

/* Return the model of a fastgmm.embed.CModel, or NULL with a Python exception set. Keep the object
 * while the model is used. */
static inline const fastgmm_model *fastgmm_get_model(PyObject *c_model)
{
    const fastgmm_model *model = NULL;
    PyObject *capsule = PyObject_GetAttrString(c_model, "capsule");
    if (capsule != NULL) {
        model = (const fastgmm_model *)PyCapsule_GetPointer(capsule, "fastgmm_model");
        Py_DECREF(capsule);
    } else if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Format(PyExc_TypeError, "expected a fastgmm.embed.CModel, got %.200s",
                     Py_TYPE(c_model)->tp_name);
    }
    return model;
}

#endif /* Py_PYTHON_H */

#ifdef __cplusplus
}
#endif

#endif /* FASTGMM_H */
