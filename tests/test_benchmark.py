"""What ``fastgmm bench`` measures and shows; never how long it took."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from backends import VARIANTS, skip_without, using
from generators import DTYPES, KERNEL_KINDS
from marks import slow_once
from sklearn.mixture import GaussianMixture as Peer

import fastgmm
from fastgmm import _kernels as kernels
from fastgmm import benchmark
from fastgmm._kernels import reference
from fastgmm.benchmark import N_ITER, N_ITER_PEER, Shape, machine, time_draws, time_iterations
from fastgmm.cli import bench as _cli_bench
from fastgmm.cli import main as cli

pytestmark = pytest.mark.one_backend

each_variant = pytest.mark.parametrize("variant", VARIANTS)
each_type = pytest.mark.parametrize("covariance_type", KERNEL_KINDS)

STEADY, UNSTEADY, PEAK = [0.0005, 0.0005, 0.0006], [0.0003, 0.0005, 0.0005], 1e9
TINY = [Shape(covariance_type, 1200, 3, 4) for covariance_type in KERNEL_KINDS]


@pytest.fixture
def small_machine(monkeypatch):
    """Measure the machine in no time."""
    for name, value in {"_SECONDS": 0.0, "_AT_LEAST": 2, "_PEAK_REPEATS": 3}.items():
        monkeypatch.setattr(machine, name, value)
    monkeypatch.setattr(machine, "_MEMORY_COLUMNS", 2**12)


@pytest.fixture
def measured(monkeypatch):
    """Put these times and rates in the place of what is measured; all else is real."""

    def time(shape, *, with_peer, **options):
        timing = time_iterations(shape, with_peer=with_peer, **options)
        seconds = STEADY if shape.covariance_type != "tied" else UNSTEADY
        return replace(timing, seconds=seconds, peer_seconds=[0.05] if with_peer else [])

    monkeypatch.setattr(benchmark, "time_iterations", time)
    monkeypatch.setattr(benchmark, "measure_peak", lambda n_jobs: PEAK)
    monkeypatch.setattr(benchmark, "measure_bandwidth", lambda n_jobs: 2e10)


@pytest.fixture
def bench(measured, capsys, tmp_path, monkeypatch):
    """Run the command on tiny shapes in an empty folder; return stdout and stderr.

    However long it takes, no line tells of its progress.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_cli_bench, "_LINE_SECONDS", np.inf)

    def bench(*options, shapes=TINY):
        args = cli.parse(["bench", *map(str, options)])
        _cli_bench.run(args, shapes)
        return capsys.readouterr()

    return bench


# the machine


@each_variant
@pytest.mark.parametrize("bounds", [[0, 1], [3, 700], [0, 512, 1024], [0, 40, 41, 41, 99]], ids=str)
@pytest.mark.parametrize("stride", [0, 8, 1100], ids="stride {}".format)
def test_gram_agrees_with_reference(stride, bounds, variant):
    skip_without(variant)
    values = np.random.default_rng(0).normal(size=3 * stride + bounds[-1])
    results = []
    for module, n_threads in ((reference, 1), (kernels, 1), (kernels, 2), (kernels, 64)):
        products = np.arange(10.0)
        with using(variant):
            module.gram(values, stride, np.array(bounds), 3, products, n_threads)
        results.append(products)
    expected, *actual = results
    np.testing.assert_allclose(actual[0], expected, rtol=0, atol=1e-13 * np.abs(expected).max())
    assert {products.tobytes() for products in actual} == {actual[0].tobytes()}


@each_variant
@pytest.mark.parametrize("measure", [benchmark.measure_peak, benchmark.measure_bandwidth])
def test_machine(measure, variant, small_machine):
    skip_without(variant)
    with using(variant):
        for n_threads in (None, 1, 2):
            assert 0 < measure(n_threads) < np.inf


def test_machine_rejects_no_threads():
    with pytest.raises(ValueError, match="n_jobs must be None, a positive or a negative integer"):
        benchmark.measure_peak(0)


# the problems


def test_shapes_may_have_fewer_samples_but_enough():
    shape = Shape("full", 10_000, 20, 8)
    assert shape.divided(1) == shape
    assert shape.divided(4) == Shape("full", 2500, 20, 8)
    assert shape.divided(100) == Shape("full", 800, 20, 8)
    assert Shape("full", 100, 20, 8).divided(100).n_samples == 100


@each_type
@pytest.mark.parametrize("dtype", DTYPES)
def test_start_is_near_the_truth(dtype, covariance_type):
    X, means = benchmark.make_samples(500, 3, 4, dtype)
    assert (X.shape, X.dtype) == ((500, 3), dtype)
    start = benchmark.make_start(means, covariance_type)
    assert 0 < np.abs(start["means_init"] - means).max() < 3
    peer = Peer(4, covariance_type=covariance_type, **start).fit(X)
    assert peer.score(X) > -3 / 2 * np.log(2 * np.pi * np.e) - np.log(4) - 0.2


def test_useful_flops():
    d, K = 5, 4
    triangle = 2 * (5 + 4 + 3 + 2 + 1)
    for covariance_type, expected in {
        "full": (triangle + 2 * d, triangle + 2 * d),
        "tied": (triangle / K + 2 * d, triangle + 2 * d),
        "diag": (2 * d + 2 * d, 2 * d + 2 * d),
        "spherical": (2 * d, 2 * d + 2 * d),
    }.items():
        assert benchmark.useful_flops(Shape(covariance_type, 100, d, K)) == expected
    whole, first = 16**2 + 3 * 16, 12**2 + 3 * 12  # 12 rows of 16 are taken for every sample
    assert benchmark.useful_flops(Shape("full", 100, 16, K)) == (first, 2 * whole - first)
    assert benchmark.useful_flops(Shape("full", 100, 16, 1)) == (whole, whole)


# times


@each_type
@pytest.mark.parametrize("dtype", DTYPES)
def test_iterations_are_counted_and_results_agree(dtype, covariance_type):
    phases = []
    shape = Shape(covariance_type, 1200, 3, 4)
    timing = time_iterations(shape, dtype=dtype, n_jobs=1, n_rounds=2, phase=phases.append)
    assert (timing.shape, timing.dtype) == (shape, dtype)
    assert len(timing.seconds) == 2 * (N_ITER - 1)
    assert len(timing.peer_seconds) == 2 * (N_ITER_PEER - 1)
    assert min(timing.seconds + timing.peer_seconds) > 0
    assert timing.speed_up == timing.peer_median / timing.median
    assert timing.difference < (1e-12 if dtype == "float64" else 1e-5)
    assert phases == [
        "drawing samples",
        *("fastgmm, turn 1 of 2", "scikit-learn, turn 1 of 2"),
        *("fastgmm, turn 2 of 2", "scikit-learn, turn 2 of 2"),
    ]


def test_without_peer():
    timing = time_iterations(TINY[0], n_rounds=1, with_peer=False)
    assert (timing.peer_seconds, timing.peer_median) == ([], None)
    assert (timing.speed_up, timing.difference) == (None, None)


@pytest.mark.parametrize(
    "seconds, peer_seconds, expected",
    [
        ([1.0, 1.0, 9.0], [], True),
        ([0.8, 1.0, 1.0], [3.0], True),
        ([0.7, 1.0, 1.0], [3.0], False),
        ([1.0], [1.0, 2.0, 2.0], False),
    ],
)
def test_steady(seconds, peer_seconds, expected):
    assert benchmark.Timing(TINY[0], "float64", seconds, peer_seconds).is_steady is expected


def test_draws_take_turns():
    timing = time_draws(Shape("full", 100, 3, 2), n_jobs=1, n_rounds=3)
    assert len(timing.seconds) == len(timing.peer_seconds) == 3
    assert min(timing.seconds + timing.peer_seconds) > 0
    assert timing.ratios[0] == timing.peer_seconds[0] / timing.seconds[0]
    assert timing.speed_up == sorted(timing.ratios)[1]


def test_work_of_negligible_responsibilities_does_not_count():
    near = time_iterations(Shape("full", 300, 2, 1), n_rounds=1, with_peer=False)
    assert near.significant == 1.0
    assert near.flops == 300 * 2 * (2**2 + 3 * 2)
    assert near.flops_per_byte == near.flops / (300 * 2 * 8)
    far = time_iterations(Shape("full", 4000, 20, 8), n_rounds=1, with_peer=False)
    assert far.significant == pytest.approx(1 / 8, abs=0.01)
    whole, first = 20**2 + 3 * 20, 12**2 + 3 * 12
    assert far.flops == pytest.approx(4000 * 8 * (first + far.significant * (2 * whole - first)))


# the command


def test_table(bench):
    out, err = bench("--quick")
    head, table, legend = out.split("\n\n")
    assert err == ""
    assert head.startswith(f"fastgmm {fastgmm.__version__}, {kernels.backend().NAME} (")
    assert "\nfloat64, 1/20 of the full number of samples (--full-size), but at least 5 d K" in head
    assert "\n1 GFLOP/s of multiply-adds, 20 GB/s from memory\n" in head
    titles, *rows = table.splitlines()
    assert " ".join(titles.split()) == (
        "covariance n d K ms ns GFLOP/s of peak scikit-learn ms ratio differ"
    )
    assert [row.split()[:4] for row in rows] == [[name, "60", "3", "4"] for name in KERNEL_KINDS]
    assert [row.split()[4:6] for row in rows] == [["0.50", "2083.33"]] * 4
    assert [row.split()[8:10] for row in rows] == [["50", "100.0"]] * 4
    assert {len(row.removesuffix(" !")) for row in rows} == {len(titles)}
    assert [row.endswith(" !") for row in rows] == [False, True, False, False]
    assert "\n!: some iterations took" in legend
    assert "after 3 iterations" in legend
    assert max(map(len, out.splitlines())) < 110


def test_table_without_peer(bench):
    out, _ = bench("--no-peer", "--full-size", "--covariance-type", "diag", "--dtype", "float32")
    head, table, legend = out.split("\n\n")
    assert head.endswith("\nfloat32, the full number of samples")
    titles, row = table.splitlines()
    assert titles.endswith("  of peak")
    assert row.split()[:4] == ["diag", "1,200", "3", "4"]
    assert "scikit-learn's" not in legend
    assert "!: " not in legend


def test_json(bench):
    out, err = bench("--json", "--n-jobs", 1)
    assert (err, out.count("\n")) == ("", 1)
    report = json.loads(out)
    assert report.keys() == {
        *("versions", "backend_info", "blas", "dtype", "threads", "divisor"),
        *("peak_flops_per_second", "memory_bytes_per_second", "rows"),
    }
    assert report["versions"]["fastgmm"] == fastgmm.__version__
    assert report["backend_info"]["backend"] == kernels.backend().NAME
    assert not report["versions"].keys() & report["backend_info"].keys()
    assert (report["dtype"], report["threads"], report["divisor"]) == ("float64", 1, 4)
    assert report["peak_flops_per_second"] == PEAK
    assert report["memory_bytes_per_second"] == 2e10
    assert [row["covariance_type"] for row in report["rows"]] == list(KERNEL_KINDS)
    for row in report["rows"]:
        assert row.keys() == {
            *("covariance_type", "n_samples", "n_features", "n_components"),
            *("seconds_per_iteration", "ns_per_sample_and_component", "significant_share"),
            *("flops_per_second", "fraction_of_peak", "flops_per_byte"),
            *("peer_seconds_per_iteration", "speed_up", "lower_bound_difference"),
            "steady",
        }
        assert (row["n_samples"], row["n_features"], row["n_components"]) == (300, 3, 4)
        assert row["lower_bound_difference"] < 1e-12
        assert row["seconds_per_iteration"] == 0.0005
        assert row["peer_seconds_per_iteration"] == 0.05
        assert row["speed_up"] == pytest.approx(100)
        assert row["ns_per_sample_and_component"] == pytest.approx(1e9 * 0.0005 / 1200)
        assert row["fraction_of_peak"] == pytest.approx(row["flops_per_second"] / PEAK)
        assert row["steady"] == (row["covariance_type"] != "tied")


def test_json_without_peer(bench):
    report = json.loads(bench("--json", "--no-peer", "--quick")[0])
    for row in report["rows"]:
        for name in ("peer_seconds_per_iteration", "speed_up", "lower_bound_difference"):
            assert row[name] is None


@pytest.mark.parametrize("options", [[], ["--no-peer"], ["--covariance-type", "tied"]], ids=str)
@pytest.mark.parametrize(
    "suffix, magic", [("png", b"\x89PNG"), *slow_once(("pdf", b"%PDF"), ("svg", b"<?xml"))]
)
def test_plot(bench, tmp_path, suffix, magic, options):
    pytest.importorskip("matplotlib")
    bench("--quick", "--plot", f"speed.{suffix}", *options)
    assert (tmp_path / f"speed.{suffix}").read_bytes().startswith(magic)


def report_of(bench, *options, speed_ups=None):
    """Return a report with these ratios to scikit-learn in its rows, if any are given."""
    report = json.loads(bench("--json", "--quick", *options)[0])
    for row, speed_up in zip(report["rows"], speed_ups or [], strict=False):
        row["speed_up"] = speed_up
    return report


def texts_of(figure):
    """Return all that is written in a picture."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(Text)]


def test_picture_marks_the_rows_that_the_table_marks(bench):
    pytest.importorskip("matplotlib")
    from fastgmm.cli.bench_picture import picture

    figure = picture(report_of(bench))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert [name.endswith(" !") for name in names] == [False, True, False, False]
    assert any(text.startswith("!: some iterations took") for text in texts_of(figure))


def test_picture_of_steady_rows_has_no_marks(bench):
    pytest.importorskip("matplotlib")
    from fastgmm.cli.bench_picture import picture

    report = report_of(bench)
    report["rows"] = [row for row in report["rows"] if row["steady"]]
    assert not any("!" in text for text in texts_of(picture(report)))


@pytest.mark.parametrize("options, named", [([], True), (["--no-peer"], False)], ids=str)
def test_a_peer_that_was_not_run_is_not_named(bench, options, named):
    pytest.importorskip("matplotlib")
    from fastgmm.cli.bench_picture import picture

    texts = texts_of(picture(report_of(bench, *options)))
    assert any("scikit-learn" in text for text in texts) is named
    head = bench("--quick", *options)[0].partition("\n\n")[0]
    assert ("scikit-learn" in head) is named


def test_picture_of_one_large_ratio(bench):
    """All bars end where they should, and no bar is too short to be seen."""
    pytest.importorskip("matplotlib")
    from fastgmm.cli.bench_picture import picture

    speed_ups = [0.5, 4000.0, 30.0, 2.0]
    figure = picture(report_of(bench, speed_ups=speed_ups))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    bars = axes.patches
    ends = [bar.get_x() + bar.get_width() for bar in bars]
    np.testing.assert_allclose(ends, speed_ups)
    assert {bar.get_x() for bar in bars} == {1.0}
    lengths = [bar.get_window_extent().width / axes.bbox.width for bar in bars]
    np.testing.assert_allclose(
        np.array(lengths) / lengths[1], np.abs(np.log(speed_ups)) / np.log(4000), rtol=1e-6
    )
    assert min(lengths) > 0.02
    labels = [text for text in axes.texts if "×" in text.get_text()]
    assert [label.get_text().partition("×")[0] for label in labels] == ["0.5", "4,000", "30", "2"]
    for label in labels:
        box = label.get_window_extent()
        assert axes.bbox.x0 <= box.x0 < box.x1 <= axes.bbox.x1


def fail(capsys, *argv):
    """Return the one line that a command prints which fails before it measures anything."""
    assert cli.main(["bench", *argv]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def test_no_matplotlib(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(_cli_bench, "_measure", None)
    assert fail(capsys, "--plot", str(tmp_path / "x.png")) == (
        "fastgmm: error: --plot needs matplotlib: pip install 'fastgmm[plot]'\n"
    )


def test_no_folder(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_cli_bench, "run", None)
    expected = "no/x.png: expected a file in a folder that exists, got "
    assert fail(capsys, "--plot", "no/x.png") == f"fastgmm: error: {expected}{tmp_path / 'no'}.\n"


def test_progress_elsewhere_than_on_a_terminal(bench, monkeypatch):
    monkeypatch.setattr(_cli_bench, "_LINE_SECONDS", -1.0)
    out, err = bench("--quick", "--covariance-type", "full")
    assert "fastgmm: machine" not in out
    assert err.splitlines() == [
        "fastgmm: machine, the first run also compiles the kernels, about 6 s",
        "fastgmm: full 60 x 3 K=4",
        "fastgmm: full 60 x 3 K=4, drawing samples",
        "fastgmm: full 60 x 3 K=4, fastgmm, turn 1 of 1",
        "fastgmm: full 60 x 3 K=4, scikit-learn, turn 1 of 1",
    ]


def test_progress_on_a_terminal(bench, monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    out, err = bench("--quick")
    assert "\r" not in out
    assert "3/4 |" in err
    assert "spherical 60 x 3 K=4, scikit-learn, turn 1 of 1" in err
