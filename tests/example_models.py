"""The models of examples/models, where they lie beside the tests."""

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

FOLDER = Path(__file__).parent.parent / "examples" / "models"


@cache
def load(name: str) -> ModuleType:
    """Import an example, or skip the tests of the module that asks for it."""
    path = FOLDER / f"{name}.py"
    if not path.exists():
        pytest.skip("no examples beside these tests", allow_module_level=True)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        pytest.skip(f"{name} cannot be imported: {error}", allow_module_level=True)
    return module


def factors(n: int, d: int, n_latent: int, seed: int = 0) -> NDArray[Any]:
    """Return samples of which ``n_latent`` directions vary most."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(d, n_latent)) * np.arange(1, n_latent + 1)
    return 3.0 + rng.normal(size=(n, n_latent)) @ W.T + 0.7 * rng.normal(size=(n, d))
