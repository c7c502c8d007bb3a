"""The documentation site, which `.ci/site` builds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import api_pages
from pygments.lexers import TextLexer

import pyrnn

project = "pyrnn"
author = "The pyrnn developers"
copyright = "2026, the pyrnn developers"
release = version = pyrnn.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["README.md"]
default_role = "code"
autodoc_typehints = "none"  # signatures have them; the text says shapes and ranges
autodoc_member_order = "bysource"
suppress_warnings = ["ref.python"]  # napoleon takes some words for names
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Returns", "Yields"]  # which are sentences, not types
myst_heading_anchors = 3
sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,  # a page whose scripts come from the network
    "min_reported_time": 1,
    "ignore_repr_types": r".*History.*",  # what fit returns at the end of a cell
    "abort_on_example_error": True,
}
html_theme = "furo"
html_title = "pyrnn"
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["site.css"]

api_pages.write()


def read_page(app: Any, name: str, text: list[str]) -> None:
    """Lead links from the pages to the core's README to its copy in the site."""
    text[0] = text[0].replace("../../csrc/README.md", "../api/core.md")


def make_accessible(app: Any, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Give headings of the navigation a level, and let the keyboard scroll code and tables that are wide."""
    for part in ("body", "furo_navigation_tree", "toc"):
        text = context.get(part)
        if isinstance(text, str):
            text = text.replace('role="heading"', 'role="heading" aria-level="2"').replace(
                "<pre>", '<pre tabindex="0">'
            )
            context[part] = text.replace('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper')


def setup(app: Any) -> None:
    """Read pages and docstrings as `api_pages` says, before napoleon sees the sections."""
    app.add_lexer("mermaid", TextLexer)
    app.connect("source-read", read_page)
    app.connect("autodoc-process-docstring", api_pages.read_docstring, priority=100)
    app.connect("autodoc-process-signature", api_pages.signature_of)
    app.connect("autodoc-skip-member", api_pages.skip)
    app.connect("html-page-context", make_accessible, priority=900)  # after the theme has made its parts
