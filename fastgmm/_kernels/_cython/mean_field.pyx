"""Gradient steps of q(z) = prod_j N(z_j; mu_j, sigma_j^2) for each sample."""

cdef extern from "math.h" nogil:
    double c_exp "exp"(double)

# log p(x, z), which also writes its gradient by z, given x (d), z (L), theta (p), the gradient (L)
# and the lengths d, L and p
ctypedef double (*gradient_type)(
    const double*, const double*, const double*, double*, size_t, size_t, size_t
) noexcept nogil

cdef struct MeanField:
    gradient_type log_joint_gradient
    const double* X
    const double* theta
    size_t n_features, n_latent, n_theta, first_row, n_steps, n_draws
    uint64_t iteration, seed
    double step_size
    double* mean
    double* log_scale
    double* draws
    double* log_joints


cdef void _fill_normals(
    const MeanField* q, double* normals, size_t half, size_t place, uint64_t sample
) noexcept nogil:
    """Write standard normals of a sample's stream from a place on.

    normals  OUT  2 half
    """
    fill_uniforms(normals, normals + half, place, half, sample, q.iteration, q.seed)
    _pairs(normals, normals + half, half)


cdef inline double _clipped(double step) noexcept nogil:
    """Return a step of at most 1: of a mean in deviations, or of a log standard deviation."""
    return min(max(step, -1.0), 1.0)


cdef double _estimate(
    const MeanField* q, size_t i, const double* normals, double* gradient, double* slope,
    double* curvature
) noexcept nogil:
    """Draw from q, and return the mean of log p(x, z).

    slope      OUT  sum of the gradients
    curvature  OUT  sum of gradient times normal
    """
    cdef size_t L = q.n_latent
    cdef double* mu = q.mean + i * L
    cdef double* log_sigma = q.log_scale + i * L
    cdef double* z
    cdef double sign, total = 0.0
    cdef size_t j, s, at
    for j in range(L):
        slope[j] = 0.0
        curvature[j] = 0.0
    for s in range(q.n_draws):
        sign = 1.0 if s % 2 == 0 else -1.0
        z, at = q.draws + (i * q.n_draws + s) * L, s // 2 * L
        for j in range(L):
            z[j] = mu[j] + c_exp(log_sigma[j]) * sign * normals[at + j]
        total += q.log_joint_gradient(
            q.X + i * q.n_features, z, q.theta, gradient, q.n_features, L, q.n_theta
        )
        for j in range(L):
            slope[j] += gradient[j]
            curvature[j] += gradient[j] * sign * normals[at + j]
    return total / <double> q.n_draws


cdef void _ascend(const MeanField* q, size_t start, size_t stop, double* memory) noexcept nogil:
    """Take the steps of some rows.

    memory  OUT  workspace
    """
    cdef size_t L = q.n_latent
    cdef size_t half = (q.n_draws // 2 * L + 1) // 2
    cdef double* normals = memory
    cdef double* gradient = normals + 2 * half
    cdef double* slope = gradient + L
    cdef double* curvature = slope + L
    cdef double* mu
    cdef double* log_sigma
    cdef double sigma, n_draws = <double> q.n_draws
    cdef size_t i, j, step
    for i in range(start, stop):
        mu, log_sigma = q.mean + i * L, q.log_scale + i * L
        for step in range(q.n_steps + 1):
            _fill_normals(q, normals, half, step * half, q.first_row + i)
            q.log_joints[i] = _estimate(q, i, normals, gradient, slope, curvature)
            if step == q.n_steps:  # these draws are of the q that is returned
                break
            for j in range(L):
                sigma = c_exp(log_sigma[j])
                # natural gradients: times sigma^2, and times 1/2
                mu[j] += sigma * _clipped(q.step_size * sigma * slope[j] / n_draws)
                log_sigma[j] += _clipped(
                    0.5 * q.step_size * (sigma * curvature[j] / n_draws + 1.0)
                )


def mean_field(
    size_t address, X, theta, size_t first_row, uint64_t iteration, uint64_t seed, size_t n_steps,
    double step_size, mean, log_scale, draws, log_joints, workspace, int n_threads
):
    """Run ``_ascend`` for every part of the rows."""
    cdef MeanField q
    cdef size_t n = X.shape[0]
    cdef Py_ssize_t part, parts = workspace.shape[0]
    q.log_joint_gradient = <gradient_type> address
    q.X, q.theta = <const double*> _address(X), <const double*> _address(theta)
    q.n_features, q.n_latent, q.n_theta = X.shape[1], mean.shape[1], theta.size
    q.first_row, q.n_steps, q.n_draws = first_row, n_steps, draws.shape[1]
    q.iteration, q.seed, q.step_size = iteration, seed, step_size
    q.mean, q.log_scale = <double*> _address(mean), <double*> _address(log_scale)
    q.draws, q.log_joints = <double*> _address(draws), <double*> _address(log_joints)
    cdef size_t size = workspace.shape[1]
    cdef double* memory = <double*> _address(workspace)
    with nogil:
        for part in prange(parts, schedule="dynamic", num_threads=n_threads):
            _ascend(&q, part * n // parts, (part + 1) * n // parts, memory + part * size)
