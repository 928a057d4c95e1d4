"""The site: `python packaging/site.py` builds it with warnings as errors."""

from vrrpsim import __version__

project = "vrrpsim"
author = copyright = "The vrrpsim contributors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["README.md", "_build"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
html_theme = "furo"
html_title = "vrrpsim"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0064a8", "color-brand-content": "#0064a8"},
    "dark_css_variables": {"color-brand-primary": "#5cb8f5", "color-brand-content": "#5cb8f5"},
}
autodoc_typehints = "description"
autodoc_member_order = "bysource"
suppress_warnings = ["myst.header"]
