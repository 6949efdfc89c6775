/* Calls every function of fastgmm_api from four threads, with memory of exactly the sizes that it
 * asks for, and workspace off any alignment. Compiled with FAULTY, it reads past the end of memory and threads write one number:
 * then a tool that looks for such faults must speak.
 */
#include "fastgmm.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4 };

typedef struct {
    const fastgmm_api *api;
    const fastgmm_model *model;
    const double *points;
    size_t n;
    int code;
    double total; /* of all results */
} job_type;

#ifdef FAULTY
static int finished;
#endif

static double sum(const double *values, size_t n)
{
    double total = 0.0;
    for (size_t i = 0; i < n; i++)
        total += values[i];
    return total;
}

/* Evaluate and accumulate, this many points a call. */
static void call_all(job_type *job, size_t chunk)
{
    const fastgmm_api *api = job->api;
    const fastgmm_model *model = job->model;
    const size_t n = job->n, d = model->n_features, K = model->n_components;
    size_t size = 0, bytes = 0;
    job->code |= api->workspace_size(model, chunk, &size);
    job->code |= api->statistics_size(model, &bytes);

    double *x = malloc(n * d * sizeof *x), *out = malloc(n * K * sizeof *out);
    double *density = malloc(n * sizeof *density), *weights = malloc(n * sizeof *weights);
    float *rounded = malloc(n * d * sizeof *rounded);
    int64_t *labels = malloc(n * sizeof *labels);
    double *sums = malloc(bytes), *other = malloc(bytes);
    char *memory = malloc(size + 1);
    void *workspace = memory + 1;

    memcpy(x, job->points, n * d * sizeof *x);
    for (size_t i = 0; i < n * d; i++)
        rounded[i] = (float)x[i];
    for (size_t i = 0; i < n; i++)
        weights[i] = (double)(i % 3);
    job->code |= api->check(model) | api->statistics_clear(model, sums)
        | api->statistics_clear(model, other);

#define EACH_CHUNK(call)                                                                           \
    for (size_t i = 0, m; i < n; i += m) {                                                         \
        m = n - i < chunk ? n - i : chunk;                                                         \
        job->code |= call;                                                                         \
    }
#define EACH_TYPE(type, p)                                                                         \
    EACH_CHUNK(api->log_density_##type(model, p + i * d, m, d, density + i, workspace, size))      \
    job->total += sum(density, n);                                                                 \
    EACH_CHUNK(api->log_joint_##type(model, p + i * d, m, d, out + i * K, workspace, size))        \
    job->total += sum(out, n * K);                                                                 \
    EACH_CHUNK(api->responsibilities_##type(                                                       \
        model, p + i * d, m, d, out + i * K, density + i, workspace, size))                        \
    job->total += sum(out, n * K) + sum(density, n);                                               \
    EACH_CHUNK(api->mahalanobis_##type(model, p + i * d, m, d, out + i * K, workspace, size))      \
    job->total += sum(out, n * K);                                                                 \
    EACH_CHUNK(api->component_##type(model, p + i * d, m, d, labels + i, workspace, size))         \
    for (size_t i = 0; i < n; i++)                                                                 \
        job->total += (double)labels[i];                                                           \
    EACH_CHUNK(api->accumulate_##type(                                                             \
        model, p + i * d, m, d, weights + i, sums, workspace, size))                               \
    EACH_CHUNK(api->accumulate_##type(model, p + i * d, m, d, NULL, other, workspace, size))

    EACH_TYPE(f64, x)
    EACH_TYPE(f32, rounded)

    double log_likelihood = 0.0, weight = 0.0;
    const size_t seconds[] = {K * d * d, d * d, K * d, K}; /* of full, tied, diag, spherical */
    const size_t n_second = seconds[model->covariance_type];
    double *first = malloc(K * d * sizeof *first), *second = malloc(n_second * sizeof *second);
    job->code |= api->statistics_add(model, other, sums);
    job->code |= api->statistics_read(model, sums, out, first, second, &log_likelihood, &weight);
    job->total += sum(out, K) + sum(first, K * d) + sum(second, n_second);
    job->total += log_likelihood + weight;
    job->code |= api->strerror(job->code) == NULL;

    fastgmm_integrand integrand = {model, workspace, size};
    job->total += api->log_density_integrand((int)d, x, &integrand);
    job->total += api->density_integrand((int)d, x, &integrand);
#ifdef FAULTY
    job->code |= sums[bytes / sizeof *sums] == 0.5;
    finished++;
#endif
    free(x), free(out), free(density), free(weights), free(rounded), free(labels);
    free(sums), free(other), free(memory), free(first), free(second);
}

static void *work(void *memory)
{
    job_type *job = memory;
    call_all(job, 1);
    call_all(job, 96);
    call_all(job, job->n);
    return NULL;
}

/* Return 0, a code of the library, or 1 if threads have different results. */
int every_call(const fastgmm_api *api, const fastgmm_model *model, const double *points, size_t n)
{
    job_type jobs[THREADS];
    pthread_t threads[THREADS];
    int code = 0;

    for (int t = 0; t < THREADS; t++) {
        jobs[t] = (job_type){api, model, points, n, 0, 0.0};
        if (pthread_create(&threads[t], NULL, work, &jobs[t]) != 0)
            abort();
    }
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
        code |= jobs[t].code | (jobs[t].total != jobs[0].total);
    }
    return code;
}
