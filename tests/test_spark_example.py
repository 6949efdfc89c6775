"""The program in examples/spark fits as one machine does; where PySpark and Java are installed."""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent / "examples" / "spark" / "mixture.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.one_backend,
    pytest.mark.skipif(find_spec("pyspark") is None, reason="no PySpark"),
    pytest.mark.skipif(shutil.which("java") is None, reason="no Java"),
    pytest.mark.skipif(not EXAMPLE.exists(), reason="no examples beside these tests"),
]

SCRIPT = """
import runpy
import numpy as np
import pandas as pd
from pyspark.sql import SparkSession
from fastgmm import em

X = np.random.default_rng(0).normal(np.repeat([0.0, 5.0], 500)[:, np.newaxis], 1.0, (1000, 3))
start = em.starting_parameters(X, 2, init_params="random_from_data", random_state=0)
update, never = em.ClosedForm(1e-6), em.Never()
expected = em.fit(X, start, update=update, convergence=never, max_iter=4)
builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
spark = builder.config("spark.sql.shuffle.partitions", "2").getOrCreate()
frame = spark.createDataFrame(pd.DataFrame(X, columns=list("abc"))).repartition(3).cache()
fit = runpy.run_path(EXAMPLE)["fit"]
with_an_empty_partition = frame.union(frame.filter("a > 1000")).coalesce(4)
for partitions in (frame, frame.coalesce(1), with_an_empty_partition):
    parameters, lower_bound = fit(partitions, start, tol=0.0, max_iter=4)
    assert abs(lower_bound - expected.lower_bound) < 1e-10
    np.testing.assert_allclose(parameters.means, expected.parameters.means, rtol=0, atol=1e-10)
spark.stop()
print("equal")
"""


def test_equals_one_machine(run_python):
    printed = run_python(f"EXAMPLE = {str(EXAMPLE)!r}\n{SCRIPT}", PYSPARK_PYTHON=sys.executable)
    assert printed.strip().endswith("equal")
    printed = run_python(EXAMPLE.read_text(), PYSPARK_PYTHON=sys.executable)
    assert "mean log-likelihood -3.5" in printed
