/* Score eruptions of Old Faithful, without Python, with a mixture that Python fitted.
 *
 *   fastgmm fit tests/data/faithful.csv -K 2 --seed 0 -o faithful.npz
 *   fastgmm export faithful.npz --language c --prefix faithful -o faithful.c
 *   cc -O3 -I. examples/embed/export/score_eruptions.c faithful.c -lm -o score_eruptions
 *   ./score_eruptions < tests/data/faithful.csv
 *
 * It prints the component and log p(x) of each row, then the rows that each component
 * accounts for, and the mean of log p(x).
 */
#include "faithful.h"

#include <inttypes.h>
#include <stdio.h>

enum { ROWS = 64, FEATURES = FAITHFUL_N_FEATURES };

/* Read up to ROWS rows of a table with two columns; return how many there were. */
static size_t read_rows(double rows[ROWS][FEATURES])
{
    size_t n = 0;

    while (n < ROWS && scanf("%lf,%lf", &rows[n][0], &rows[n][1]) == FEATURES)
        n++;
    return n;
}

int main(void)
{
    static double rows[ROWS][FEATURES], log_density[ROWS];
    static int64_t component[ROWS];
    static faithful_statistics sums;
    size_t n;

    if (scanf("%*[^\n]") < 0) /* the names of the columns */
        return 1;
    faithful_clear(&sums);
    while ((n = read_rows(rows)) > 0) {
        if (faithful_log_density_f64(rows[0], n, FEATURES, log_density) < 0 ||
            faithful_component_f64(rows[0], n, FEATURES, component) < 0 ||
            faithful_accumulate_f64(rows[0], n, FEATURES, NULL, &sums) < 0)
            return 1;
        for (size_t i = 0; i < n; i++)
            printf("%" PRId64 " %.17g\n", component[i], log_density[i]);
    }
    for (int k = 0; k < FAITHFUL_N_COMPONENTS; k++)
        printf("component %d: %.6f rows\n", k, sums.nk[k]);
    printf("mean log-density: %.17g\n", sums.log_likelihood / sums.weight);
    return 0;
}
