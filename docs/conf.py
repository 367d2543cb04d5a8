"""How Sphinx makes the documentation: `make docs` builds it into build/docs, offline, with warnings as errors."""

import sys
from pathlib import Path

from qloom.config import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "qloom"
author = "the authors of qloom"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "reference"]
exclude_patterns = ["_ext"]
# Links in pages must lead somewhere. Types in signatures need not: those of numpy and the standard library are not here.
nitpick_ignore_regex = [("py:.*", ".*")]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Docstrings write `name` for code, as Markdown does, and sections as Google does, with `Source:` for where a formula is from.
default_role = "code"
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Source"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

# Furo: system fonts, light and dark, nothing from any other host.
html_theme = "furo"
html_title = f"qloom {version}"
html_static_path = ["_static"]
html_css_files = ["qloom.css"]
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
pygments_style = "tango"
highlight_language = "text"
