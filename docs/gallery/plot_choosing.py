"""
How many components do the irises need?
=======================================

Fisher's 150 irises are of three species. The Bayesian information criterion (BIC) nevertheless
prefers two components: *versicolor* and *virginica* overlap so much that two Gaussians for them
cost more parameters than they gain likelihood. That is a known result of mclust, and a good first
lesson. A criterion chooses a density; what the components mean is for you to say.
"""

# %%
# All candidates
# --------------
# :func:`fastgmm.select` fits every number of components with three covariance types and compares
# them. Lower is better here; mclust prints the same numbers with the other sign.

import matplotlib.pyplot as plt
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score

import fastgmm

data = load_iris(as_frame=True)
iris, species = data.data, data.target

selection = fastgmm.select(iris, range(1, 7), random_state=0)
print(selection)

display = fastgmm.SelectionDisplay.from_selection(selection)

# %%
# The best and the runner-up
# --------------------------
# Two components separate *setosa* from the rest. The best mixture of three finds the species. Its
# BIC is worse by 6.8, which counts as strong evidence (Kass and Raftery 1995) against a truth that
# botanists know. So look at the runner-up, too.

three = next(
    candidate
    for candidate in selection.candidates
    if (candidate.covariance_type, candidate.n_components) == ("full", 3)
)
print(f"2 components: BIC {selection.best.bic:.1f}, 3 components: BIC {three.bic:.1f}")
agreement = adjusted_rand_score(species, three.estimator.predict(iris))
print(f"agreement of 3 components with the species: adjusted Rand index {agreement:.2f}")

petals = ["petal length (cm)", "petal width (cm)"]
figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained", sharex=True, sharey=True)
for ax, candidate in zip(axes, (selection.best, three), strict=True):
    fastgmm.GaussianMixtureDisplay.from_estimator(candidate.estimator, iris, features=petals, ax=ax)
    ax.set_title(f"K = {candidate.n_components}, BIC {candidate.bic:.1f}")
