"""Private attributes of skorch, scikit-learn and torch: an upgrade that moves one fails by name."""

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from sklearn.base import ClassifierMixin
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingRegressor,
    VotingClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from skorch.callbacks import PassthroughScoring
from torch import nn
from torch.optim import optimizer as torch_optimizer

import sklearn_mixup

ROOT = Path(sklearn_mixup.__file__).parent
PRIVATE = re.compile(r"_[a-zA-Z]\w*")


def read_names(path: Path) -> tuple[set[str], set[str], set[str]]:
    """Find the private attributes and strings in a file, and the private names that it defines."""
    attributes, strings, own = set(), set(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                own.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                own.add(name)
            case ast.Attribute(attr=name, ctx=ctx):
                (own if isinstance(ctx, ast.Store) else attributes).add(name)
            case ast.Constant(value=str(name)):
                strings.add(name)
    attributes, strings, own = (
        {name for name in names if PRIVATE.fullmatch(name)} for names in (attributes, strings, own)
    )
    return attributes, strings, own


def attributes_in(package: str) -> SimpleNamespace | None:
    """Collect the private attributes in the source of a package; None where it is not there."""
    try:
        folder = Path(importlib.import_module(package).__file__).parent
    except ImportError:
        return None
    found = set().union(*(attributes for attributes, *_ in map(read_names, folder.glob("*.py"))))
    return SimpleNamespace(**dict.fromkeys(found))


# What holds the attributes; None where the installed version has no such thing.
OWNERS = {
    "a net of skorch": NeuralNetClassifier(nn.Identity),
    "a mean of losses": PassthroughScoring("train_loss"),
    "an estimator": StandardScaler().set_output(transform="default"),
    "a bagging ensemble": BaggingClassifier(),
    "boosted trees": HistGradientBoostingRegressor(max_iter=1).fit([[0.0]], [0.0]),
    "a vote": VotingClassifier([]),
    "a grid search": GridSearchCV(None, {}),
    "a classifier before scikit-learn 1.7": (
        ClassifierMixin if "_estimator_type" in vars(ClassifierMixin) else None
    ),
    "callbacks of scikit-learn 1.9": attributes_in("sklearn.callback"),
    "a module": nn.Module(),
    "an optimizer": torch.optim.SGD([nn.Parameter(torch.zeros(1))]),
    "a parameter": nn.Parameter(torch.zeros(1)),
    "a scaler of losses": torch.amp.GradScaler("cpu"),
    "a compiled module": torch.compile(nn.Identity(), backend="eager"),
    "torch": torch,
    "torch._C": torch._C,
    "torch.optim.optimizer": torch_optimizer,
    "torch.nn.modules.batchnorm": nn.modules.batchnorm,
    "torch.nn.modules.conv": nn.modules.conv,
    "torch.nn.modules.dropout": nn.modules.dropout,
}
# All that the package reads, sets, calls, overrides or names in a string.
TOUCHED = {
    "a mean of losses": ["_is_best_score"],
    "a net of skorch": [
        "_criteria",
        "_current_init_context",
        "_default_callbacks",
        "_get_param_names",
        "_get_predict_nonlinearity",
        "_initialize_callbacks",
        "_initialize_module",
        "_initialize_optimizer",
        "_is_virtual_param",
        "_modules",
        "_optimizers",
        "_params_to_validate",
        "_register_virtual_param",
        "_set_training",
        "_step_optimizer",
        "_uniquely_named_callbacks",
        "_yield_callbacks",
        "_zero_grad_optimizer",
    ],
    "an estimator": [
        "_doc_link_module",
        "_doc_link_template",
        "_doc_link_url_param_generator",
        "_get_metadata_request",
        "_parameter_constraints",
        "_sklearn_output_config",
        "_validate_params",
    ],
    "a bagging ensemble": [
        "_fit",
        "_get_estimator",
        "_make_estimator",
        "_parameter_constraints",
        "_validate_params",
    ],
    "boosted trees": ["_baseline_prediction", "_loss", "_predictors", "_preprocessor"],
    "a vote": ["_weights_not_none"],
    "a grid search": [
        "_format_results",
        "_get_routed_params_for_fit",
        "_get_scorers",
        "_parameter_constraints",
        "_validate_params",
    ],
    "a classifier before scikit-learn 1.7": ["_estimator_type"],
    "callbacks of scikit-learn 1.9": ["_parent_callback_ctx", "_skl_callbacks"],
    "a module": [
        "_backward_hooks",
        "_backward_pre_hooks",
        "_buffers",
        "_compiled_call_impl",
        "_forward_hooks",
        "_forward_pre_hooks",
        "_load_from_state_dict",
        "_modules",
        "_non_persistent_buffers_set",
        "_parameters",
    ],
    "an optimizer": ["_optimizer_step_post_hooks", "_optimizer_step_pre_hooks"],
    "a parameter": ["_backward_hooks", "_post_accumulate_grad_hooks", "_version"],
    "a scaler of losses": ["_growth_tracker", "_scale"],
    "a compiled module": ["_orig_mod"],
    "torch": ["_C", "_foreach_copy_", "_fused_adam_", "_fused_adamw_"],
    "torch._C": ["_functorch"],
    "torch.optim.optimizer": ["_global_optimizer_post_hooks", "_global_optimizer_pre_hooks"],
    "torch.nn.modules.batchnorm": ["_BatchNorm"],
    "torch.nn.modules.conv": ["_ConvNd"],
    "torch.nn.modules.dropout": ["_DropoutNd"],
}
# Names that others have too, for something that is never met here: of a class of our own that is no
# module, and of named tuples, which is public in spite of its name.
ALIKE = {"_apply", "_fields", "_replace"}
LISTED = [(owner, name) for owner, names in TOUCHED.items() for name in names]


def foreign_bases() -> set[type]:
    """Find the classes of others that classes of the package derive from."""
    found = pkgutil.walk_packages(sklearn_mixup.__path__, "sklearn_mixup.")
    modules = [sklearn_mixup, *(importlib.import_module(module.name) for module in found)]
    classes = {
        part for module in modules for part in vars(module).values() if inspect.isclass(part)
    }
    own = {part for part in classes if part.__module__.startswith("sklearn_mixup")}
    return {base for part in own for base in part.__mro__} - own - {object}


def names_in_package() -> tuple[set[str], set[str], set[str]]:
    """Find the private attributes, strings and definitions of the whole package."""
    attributes, strings, own = zip(*map(read_names, ROOT.rglob("*.py")), strict=True)
    return set().union(*attributes), set().union(*strings), set().union(*own)


def find_touched() -> set[str]:
    """Find the private names in the package that are those of others."""
    attributes, strings, own = names_in_package()
    bases = foreign_bases()
    inherited = set().union(*map(dir, bases))
    kept = set()  # What instances hold, of which a class tells nothing.
    for owner in OWNERS.values():
        if isinstance(owner, tuple(bases)):
            kept |= vars(owner).keys()
    known = inherited.union(*map(dir, OWNERS.values()))
    return (attributes - own) | ((inherited | kept) & (attributes | own)) | (known & strings)


@pytest.mark.parametrize(("owner", "name"), LISTED)
def test_private_attribute_is_where_the_package_looks_for_it(owner, name):
    if OWNERS[owner] is None:
        pytest.skip(f"this version has no such thing as {owner}")
    assert hasattr(OWNERS[owner], name), f"{owner} has no {name} any more"


def test_no_private_attribute_of_others_is_touched_that_is_not_listed():
    assert sorted(find_touched() - ALIKE - {name for _, name in LISTED}) == []


def test_no_private_attribute_is_listed_that_the_package_does_not_touch():
    names = set().union(*names_in_package())
    assert [entry for entry in LISTED if entry[1] not in names] == []


def test_attributes_strings_and_definitions_are_told_apart(tmp_path):
    path = tmp_path / "file.py"
    path.write_text(
        "class _Own:\n"
        "    _shared = 1\n"
        "    def _called(self, _given):\n"
        "        self._kept = net._read, net['_named'], super()._of_base, net.__name__\n"
    )
    attributes, strings, own = read_names(path)
    assert attributes == {"_read", "_of_base"}
    assert strings == {"_named"}
    assert own == {"_Own", "_shared", "_called", "_given", "_kept"}
