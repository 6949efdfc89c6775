"""Which instruction sets this processor, and its operating system, can run."""

cdef extern from *:
    """
    #if (defined(__x86_64__) || defined(__amd64__)) && defined(__GNUC__)
    static int fastgmm_level(void) {
        __builtin_cpu_init();
        if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
              && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")))
            return 1;
        if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
              && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
              && __builtin_cpu_supports("avx512vl")))
            return 3;
        return 4;
    }
    #elif defined(_M_X64)
    #include <windows.h>
    static int fastgmm_level(void) {
        if (!IsProcessorFeaturePresent(40)) return 1;  /* PF_AVX2_INSTRUCTIONS_AVAILABLE */
        return IsProcessorFeaturePresent(41) ? 4 : 3;  /* PF_AVX512F_INSTRUCTIONS_AVAILABLE */
    }
    #else
    static int fastgmm_level(void) { return 1; }
    #endif
    """
    int processor_level "fastgmm_level"() nogil


def supported_levels():
    """Return the names of the levels that can run here."""
    level = processor_level()
    return ["baseline"] + ["v3"] * (level >= 3) + ["v4"] * (level >= 4)
