"""Settings of the documentation; ``make docs`` builds it with warnings as errors."""

import warnings

import sklearn_mixup

# A section that numpydoc does not know would vanish from the page with a mere warning.
warnings.filterwarnings("error", module="numpydoc")

project = "sklearn-mixup"
author = "The sklearn_mixup developers"
copyright = f"2026, {author}"
release = version = sklearn_mixup.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
]
exclude_patterns = ["_build", "changes.d"]
suppress_warnings = ["config.cache"]

default_role = "literal"  # As numpydoc has it, `name` is a parameter.
# Without a network there is no looking up what other projects document.
nitpick_ignore_regex = [("py:.*", r"(numpy|sklearn|skorch|torch)\..*")]
# A class is described once, with its parameters; `__init__` adds nothing.
autodoc_default_options = {"exclude-members": "__init__", "member-order": "bysource"}
autodoc_preserve_defaults = True  # module=MLP, not module=<class '...'>
autodoc_typehints = "none"  # The docstrings say it in words, with shapes and ranges.
numpydoc_show_class_members = False  # api.rst names the methods worth reading.

html_theme = "furo"
html_title = "sklearn-mixup"
html_copy_source = False
