"""Where the diagram of an estimator in a notebook leads to: the page that describes its class."""

from __future__ import annotations

from typing import Any, TypeVar

_Class = TypeVar("_Class", bound=type)
# Nobody hosts the pages that Sphinx makes, and without it `docs/api.rst` shows none of the classes;
# a source file begins with the docstring of its class.
_PAGE = "https://github.com/sklearn-mixup/sklearn-mixup/blob/main/{path}"


def linked(cls: _Class) -> _Class:
    """Let the question mark in the diagrams of a class, and of those below it, lead to its page."""
    names: dict[str, Any] = {
        "_doc_link_module": "sklearn_mixup",  # A subclass of somebody else's has no page here.
        "_doc_link_template": _PAGE,
        "_doc_link_url_param_generator": _fill_in,
    }
    for name, value in names.items():
        setattr(cls, name, value)
    return cls


def _fill_in(estimator: Any) -> dict[str, str]:
    """Give what stands in the address of the page of an estimator."""
    return {"path": f"{type(estimator).__module__.replace('.', '/')}.py"}
