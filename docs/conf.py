"""Sphinx's settings for the site: ``sphinx-build -W -b html docs build/site``.

The installed fastgmm is documented. Nothing is downloaded.
"""

import os
import re

from sklearn.base import BaseEstimator

import fastgmm

project = "fastgmm"
author = "The fastgmm developers"
project_copyright = "The fastgmm developers"
release = version = fastgmm.__version__
repository = "https://github.com/fastgmm/fastgmm"

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.programoutput",
]
exclude_patterns = ["gallery"]  # its pages are made in auto_gallery
templates_path = ["_templates"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # the anchors of a code host

os.environ["COLUMNS"] = "72"  # what --help prints fits into a page

default_role = "py:obj"  # a link if there is such a name, else code
autodoc_typehints = "none"  # the docstrings name types
autosummary_generate = True
autosummary_context = {
    "methods_of_other_libraries": {
        *("__init__", "set_output", "MixtureRegressor.score"),
        *(f"set_{method}_request" for method in ("fit", "partial_fit", "predict", "score")),
        *(name for kind in (BaseEstimator, tuple, BaseException) for name in dir(kind)),
    }
}
numpydoc_show_class_members = False  # the template of classes lists methods

copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": ".",  # every program runs
    "abort_on_example_error": True,
    "backreferences_dir": "reference/examples",
    "doc_module": ("fastgmm",),
    "reference_url": {"fastgmm": None},
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "fastgmm"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "github_url": repository,
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
}


def link_to_the_repository(_app, _docname, source):
    """Make links to files outside docs/ lead to the code host."""
    source[0] = re.sub(r"\]\(\.\./(?=[^)]+\))", f"]({repository}/blob/main/", source[0])


def setup(app):
    """Register what is ours."""
    app.connect("source-read", link_to_the_repository)
