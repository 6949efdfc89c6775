"""Draw the pictures of pages, each the last one of a program of the gallery.

``python docs/picture.py``
"""

import os
import runpy
from pathlib import Path

import matplotlib

DOCS = Path(__file__).resolve().parent

matplotlib.use("Agg")
os.chdir(DOCS / "gallery")
for program, picture in (("plot_old_faithful", "old_faithful"), ("plot_stream", "stream")):
    result = runpy.run_path(f"{program}.py")
    figure = result["display"].figure_ if "display" in result else result["figure"]
    figure.savefig(DOCS / "images" / f"{picture}.png", dpi=110)
