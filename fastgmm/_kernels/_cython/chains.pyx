"""Metropolis chains over latent variables, one for each sample (Metropolis et al. 1953)."""

# log p(x, z), given x (d), z (L), theta (p), and these lengths
ctypedef double (*log_joint_type)(
    const double*, const double*, const double*, size_t, size_t, size_t
) noexcept nogil

cdef struct Chains:
    log_joint_type log_joint
    const double* X
    const double* theta
    size_t n_features, n_latent, n_theta, first_row, n_states, n_skipped, n_kept
    uint64_t iteration, seed
    double* state
    double* scale
    double* draws
    double* log_joints
    double* accepted


cdef void _fill_steps(
    const Chains* chains, double* numbers, size_t half, double* chances, size_t half_steps,
    uint64_t sample
) noexcept nogil:
    """Write what a chain draws: normals, or uniforms where states are discrete, and log-chances.

    numbers  OUT  2 half
    chances  OUT  2 half_steps
    """
    cdef size_t t
    fill_uniforms(numbers, numbers + half, 0, half, sample, chains.iteration, chains.seed)
    if chains.n_states == 0:
        _pairs(numbers, numbers + half, half)
    fill_uniforms(
        chances, chances + half_steps, half, half_steps, sample, chains.iteration, chains.seed
    )
    for t in range(2 * half_steps):
        chances[t] = log(1.0 - chances[t])


cdef void _propose(
    const double* z, const double* numbers, double scale, size_t n_latent, size_t n_states,
    double* proposed
) noexcept nogil:
    """Write a proposal: z moved by normals, or one element in another of its states.

    z, numbers  IN
    proposed    OUT
    """
    cdef size_t j, place, state
    if n_states > 0:
        for j in range(n_latent):
            proposed[j] = z[j]
        place = <size_t> (numbers[0] * <double> (n_latent * (n_states - 1)))
        j, state = place // (n_states - 1), place % (n_states - 1)
        proposed[j] = <double> (state if <double> state < z[j] else state + 1)
    else:
        for j in range(n_latent):
            proposed[j] = z[j] + scale * numbers[j]


cdef void _walk(const Chains* chains, size_t start, size_t stop, double* memory) noexcept nogil:
    """Take the steps of the chains of some rows.

    memory  OUT  workspace
    """
    cdef size_t L = chains.n_latent
    cdef size_t n_steps = chains.n_skipped + chains.n_kept
    cdef size_t per_step = 1 if chains.n_states > 0 else L
    cdef size_t half = (n_steps * per_step + 1) // 2, half_steps = (n_steps + 1) // 2
    cdef double* numbers = memory
    cdef double* chances = numbers + 2 * half
    cdef double* proposed = chances + 2 * half_steps
    cdef double* z
    cdef double* out
    cdef const double* x
    cdef double current, value, total
    cdef size_t i, j, t, moves
    for i in range(start, stop):
        _fill_steps(chains, numbers, half, chances, half_steps, chains.first_row + i)
        x, z = chains.X + i * chains.n_features, chains.state + i * L
        current = chains.log_joint(x, z, chains.theta, chains.n_features, L, chains.n_theta)
        total, moves = 0.0, 0
        for t in range(n_steps):
            _propose(z, numbers + t * per_step, chains.scale[i], L, chains.n_states, proposed)
            value = chains.log_joint(
                x, proposed, chains.theta, chains.n_features, L, chains.n_theta
            )
            if chances[t] < value - current:
                current = value
                moves += 1
                for j in range(L):
                    z[j] = proposed[j]
            if t >= chains.n_skipped:
                total += current
                out = chains.draws + (i * chains.n_kept + t - chains.n_skipped) * L
                for j in range(L):
                    out[j] = z[j]
        chains.log_joints[i] = total / <double> chains.n_kept
        chains.accepted[i] = <double> moves / <double> n_steps


def metropolis(
    size_t address, X, theta, size_t first_row, uint64_t iteration, uint64_t seed,
    size_t n_states, size_t n_skipped, state, scale, draws, log_joints, accepted,
    workspace, int n_threads
):
    """Run ``_walk`` for every part of the rows."""
    cdef Chains chains
    cdef size_t n = X.shape[0]
    cdef Py_ssize_t part, parts = workspace.shape[0]
    chains.log_joint = <log_joint_type> address
    chains.X, chains.theta = <const double*> _address(X), <const double*> _address(theta)
    chains.n_features, chains.n_latent, chains.n_theta = X.shape[1], state.shape[1], theta.size
    chains.first_row, chains.n_states, chains.n_skipped = first_row, n_states, n_skipped
    chains.n_kept, chains.iteration, chains.seed = draws.shape[1], iteration, seed
    chains.state, chains.scale = <double*> _address(state), <double*> _address(scale)
    chains.draws, chains.log_joints = <double*> _address(draws), <double*> _address(log_joints)
    chains.accepted = <double*> _address(accepted)
    cdef size_t size = workspace.shape[1]
    cdef double* memory = <double*> _address(workspace)
    with nogil:
        for part in prange(parts, schedule="dynamic", num_threads=n_threads):
            _walk(&chains, part * n // parts, (part + 1) * n // parts, memory + part * size)
