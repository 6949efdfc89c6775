"""
Eruptions of Old Faithful
=========================

How many kinds of eruption does the geyser have? The data are the lengths of 272 eruptions and the
times to the next one, in minutes (Azzalini and Bowman 1990).
"""

import pandas as pd

import fastgmm

eruptions = pd.read_csv("../../tests/data/faithful.csv")

# %%
# `fastgmm.select` fits 27 mixtures and compares their BIC.

selection = fastgmm.select(eruptions, range(1, 10), random_state=0)
print(selection)

# %%
# The best has three components of one shape: short eruptions, long ones, and a few between, after
# which the geyser rests as long as after the long ones.

model = selection.best_estimator
print(model.summary())

# %%
# Ellipses hold 90 % of a component, grey regions 50, 90 and 99 % of the mixture.

display = fastgmm.GaussianMixtureDisplay.from_estimator(
    model, eruptions, units={"eruptions": "min", "waiting": "min"}
)
