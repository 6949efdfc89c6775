"""Sphinx's settings for the site: ``sphinx-build -W -b html docs build/site``.

The installed fastgmm is documented. Nothing is downloaded.
"""

import os
import re
from functools import cached_property
from inspect import getdoc
from types import FunctionType

import fastgmm
from fastgmm.embed import numba
from fastgmm.estimators.conditional_mixture import ConditionalMixture
from fastgmm.estimators.merged_components import MergedComponents
from fastgmm.estimators.variational_gap import VariationalGap

project = "fastgmm"
author = "The fastgmm developers"
project_copyright = "The fastgmm developers"
release = version = fastgmm.__version__
repository = "https://github.com/fastgmm/fastgmm"


def own_members() -> set[str]:
    """Name methods that are not another library's, and properties that no docstring lists."""
    modules = (fastgmm, fastgmm.em, fastgmm.embed, numba)
    public = [getattr(module, name) for module in modules for name in module.__all__]
    found = set()
    for owner in (*public, ConditionalMixture, MergedComponents, VariationalGap):
        for base in owner.__mro__ if isinstance(owner, type) else ():
            if base.__module__.startswith("fastgmm."):
                found |= {f"{owner.__name__}.{name}" for name in members(base, getdoc(owner))}
    return found


def members(base: type, listed: str) -> list[str]:
    """Name what a class defines, but properties that are listed already."""
    found = {name: value for name, value in vars(base).items() if not name.startswith("_")}
    methods = (FunctionType, classmethod, staticmethod)
    properties = (property, cached_property)
    return [
        name
        for name, value in found.items()
        if isinstance(value, methods) or (isinstance(value, properties) and name not in listed)
    ]


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

highlight_language = "text"  # of blocks that name none
default_role = "py:obj"  # a link if there is such a name, else code
autodoc_typehints = "none"  # the docstrings name types
autosummary_generate = True
autosummary_context = {"own_members": own_members()}
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
toc_object_entries_show_parents = "hide"
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
