"""The site: `make docs` builds it into _build/docs, warnings as errors, nothing loaded from another machine.

    sphinx-build -W --keep-going -b html docs _build/docs
    AFTERIMAGE_GALLERY=0 sphinx-build ...      the same without running the examples: their text, no pictures
    AFTERIMAGE_REFERENCE=0 sphinx-build ...    the same without the pages that are made of the code
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
# read by the libraries when they are imported
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", MPLBACKEND="Agg")

from brain.machine.installation import version as installed  # noqa: E402 - the path comes first

project = "afterimage"
author = copyright = "the afterimage developers"
version = release = installed()
extensions = [
    "myst_parser", "sphinx.ext.autodoc", "sphinx_gallery.gen_gallery", "mathml", "reference_pages",
]  # fmt: skip
exclude_patterns = ["_ext"]
default_role = "code"
# two modules have a type called Draw; the reference then links to neither
suppress_warnings = ["ref.python"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4

autodoc_default_options = {"members": True, "no-value": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
add_module_names = False
maximum_signature_line_length = 80

html_theme = "furo"
html_title = "afterimage"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/icon.svg"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"light_logo": "icon.svg", "dark_logo": "icon.svg", "navigation_with_keys": True}
pygments_style, pygments_dark_style = "friendly", "github-dark"

sphinx_gallery_conf = {
    "examples_dirs": "../_build/examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "plot_gallery": "True" if os.environ.get("AFTERIMAGE_GALLERY", "1") == "1" else "False",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("matplotlib",),
    "capture_repr": ("_repr_html_", "__repr__"),
    "reset_modules": ("reference_pages.between_examples",),
    "abort_on_example_error": True,
    "run_stale_examples": True,  # the code may have changed where the example has not
    "download_all_examples": False,
    "write_computation_times": False,
    "min_reported_time": 10**6,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
}
