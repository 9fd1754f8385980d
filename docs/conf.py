"""Settings of the documentation; ``make docs`` builds it with warnings as errors."""

import warnings

from sphinx_gallery.sorting import FileNameSortKey

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
    "sphinx_gallery.gen_gallery",
    "myst_parser",
]
exclude_patterns = ["_build", "changes.d", "examples"]
suppress_warnings = ["config.cache"]

default_role = "literal"  # As numpydoc has it, `name` is a parameter.
# Without a network there is no looking up what other projects document.
nitpick_ignore_regex = [("py:.*", r"(numpy|sklearn|skorch|torch)\..*")]
# A class is described once, with its parameters; `__init__` adds nothing.
autodoc_default_options = {"exclude-members": "__init__", "member-order": "bysource"}
autodoc_preserve_defaults = True  # module=MLP, not module=<class '...'>
autodoc_typehints = "none"  # The docstrings say it in words, with shapes and ranges.
numpydoc_show_class_members = False  # api.rst names the methods worth reading.

# Examples in the order in which questions come up; those without `plot_` are shown, not run.
EXAMPLES = [
    *("plot_first_table", "plot_regression", "plot_tuning", "plot_calibration", "plot_shap"),
    *("plot_noisy_labels", "plot_adversarial", "plot_synthetic_rows"),
    *("plot_own_cnn", "plot_cutmix", "plot_serving", "many_gpus"),
]


class InOrder(FileNameSortKey):
    """The order of EXAMPLES."""

    def __call__(self, filename):
        """Give the place of a file."""
        return EXAMPLES.index(filename.removesuffix(".py"))


def set_style(gallery_conf, name):
    """Draw the figures of all examples alike, with colours for any vision."""
    import matplotlib as mpl

    colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
    mpl.rcParams.update(
        {
            "axes.prop_cycle": mpl.cycler(color=colours),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "figure.dpi": 150,
        }
    )


sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": InOrder,
    "reset_modules": ("matplotlib", set_style),
    "abort_on_example_error": True,
    "doc_module": ("sklearn_mixup",),
    "reference_url": {"sklearn_mixup": None},
    "backreferences_dir": "gallery/uses",
    "download_all_examples": False,
    "write_computation_times": False,
    "show_signature": False,
    "remove_config_comments": True,
}

html_theme = "furo"
html_title = "sklearn-mixup"
html_static_path = ["_static"]
html_css_files = ["gallery.css"]
html_js_files = ["keyboard.js"]
html_copy_source = False
