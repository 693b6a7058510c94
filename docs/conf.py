"""Sphinx's settings for the documentation site: the pages of this folder as they lie, and those that it makes.

`python -m sphinx -W --keep-going -b html docs build/site` builds it; `python -m http.server -d build/site` shows it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gatewise

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "gatewise"
author = "The gatewise developers"
project_copyright = author
version = release = gatewise.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
    "repository_links",
    "public_names",
    "made_pages",
    "contents",
    "mathml",
]
exclude_patterns = ["extensions", "lesson", "static"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_url_schemes = {"http": None, "https": None, "mailto": None, "made": {"url": "{{path}}"}}

suppress_warnings = ["misc.highlighting_failure"]  # JSON with dots where something is left out

default_role = "py:obj"
smartquotes = False  # which would make one dash of the two before an option
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings name the types, with shapes and units
autodoc_class_signature = "mixed"
numpydoc_show_class_members = False
numpydoc_attributes_as_param_list = True

html_math_renderer = "mathml"
html_title = "gatewise"
html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "navbar_align": "left",
    "navbar_persistent": ["search-button-field"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "back_to_top_button": False,
    "collapse_navigation": True,
}
html_context = {"default_mode": "auto"}
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_favicon = "static/favicon.svg"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
