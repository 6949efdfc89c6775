"""Draw README's picture, the last one of a program of the gallery: ``python docs/picture.py``."""

import os
import runpy
from pathlib import Path

import matplotlib

DOCS = Path(__file__).resolve().parent

matplotlib.use("Agg")
os.chdir(DOCS / "gallery")
figure = runpy.run_path("plot_old_faithful.py")["display"].figure_
figure.savefig(DOCS / "images" / "old_faithful.png", dpi=110)
