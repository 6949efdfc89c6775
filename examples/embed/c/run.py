"""Assign 540,176 patches of two photographs to components in C: python run.py."""

import numpy as np
from best_component import best_component

from fastgmm import GaussianMixture
from fastgmm.data.sample_data import load_sample
from fastgmm.embed import CModel

X = load_sample("patches")
mixture = GaussianMixture(8, random_state=0, tol=1e-2).fit(X[::10])
model = CModel(mixture)
labels = np.empty(len(X), np.int64)
best_component(model, X, labels, np.empty(model.workspace_size(len(X)), np.uint8))
same = np.mean(labels == mixture.predict(X))
print(f"{len(X)} assignments, {same:.1%} as from Python")
