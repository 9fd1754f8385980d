"""The one-way street: imports point down the layout, light at the top, public names documented."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sklearn_mixup

ROOT = Path(__file__).parents[1]
PACKAGE = "sklearn_mixup"

# Each line may import from the lines above it. Files on one line never import each other.
LAYOUT = (
    ("_doc_link", "_one_pass", "_streams"),
    ("vicinal", "augmentation", "exceptions"),
    ("modules",),
    ("_net/tables", "_net/losses"),
    (
        "minibatches",
        "_checkpoint",
        "_net/columns",
        "_net/device",
        "_net/history",
        "_net/last_good",
        "_net/targets",
        "_net/checks",
    ),
    ("vicinities", "pairs"),
    ("_net/vicinity",),
    (
        "_net/classes",
        "_engine/capture",
        "_engine/kernel",
        "_net/loading",
        "_net/memory",
        "_net/mix_at",
        "_net/prediction",
        "_net/settings",
        "_net/validation",
        "callbacks",
    ),
    ("_net/precision", "_net/listening"),
    (
        "_net/channels_last",
        "_net/curves",
        "_gan/classes",
        "_gan/encode",
        "_gan/energy",
        "_gan/scale",
        "_gan/progress",
        "_net/epoch",
        "_net/parameters",
        "_net/parts",
        "_fused/progress",
        "_engine/stack",
        "_engine/update",
    ),
    (
        "_gan/checks",
        "_gan/head",
        "_gan/matching",
        "_gan/parts",
        "_gan/rows",
        "_net/session",
        "_engine/draws",
        "_engine/stack_optimizer",
        "_engine/step",
    ),
    ("_engine/compiled", "_gan/rejection", "_net/weights"),
    ("_engine/road", "_net/iterators"),
    ("_net/forward",),
    ("_net/estimator", "_gan/minibatches", "_gan/samples", "_gan/steps"),
    ("_net/labels", "_net/numbers", "_net/fit_data"),
    ("_net/vicinal_net",),
    ("_classifier", "_regressor", "_gan/estimator"),
    ("_engine/lane",),
    ("_engine/validation", "_engine/stack_rows"),
    ("_engine/lockstep",),
    ("_fused/spread", "_fused/replay"),
    ("_fused/jobs",),
    ("_fused/draws", "_fused/predict", "_fused/plan"),
    ("_fused/members", "_fused/average"),
    ("_fused/search", "_fused/bagging"),
    ("_bagging",),
    ("_onnx/graph",),
    ("_onnx/nets",),
    ("_onnx/ensembles",),
    ("_tabular/bins", "_tabular/encode", "_tabular/rows", "_tabular/select"),
    ("_tabular/committee",),
    ("_tabular/others",),
    ("_tabular/base",),
    ("_tabular/estimator", "_tabular/regressor"),
    ("_sampler/partners", "_sampler/strategy"),
    ("_sampler/estimator",),
    ("_onnx/committee", "_onnx/gan"),
    ("_onnx/convert",),
    ("_probe/rows",),
    ("_probe/between", "_probe/input_gradient"),
    ("_probe/gradient_norm",),
    ("inspection", "robustness"),
    ("_saving/arrays", "_saving/names"),
    ("_saving/archive",),
    ("_saving/graph",),
    ("_saving/values",),
    ("_saving/compiled", "_saving/frames", "_saving/numbers", "_saving/objects"),
    ("_saving/nets",),
    ("_saving/file",),
    ("__init__",),
)
# The same for benchmarks/. Every folder that is not named here is an experiment.
BENCHMARKS = ("_nets", "_data", "_lab", "an experiment", "registry", "report", "all", "__main__")
# These know nothing of scikit-learn and skorch.
TORCH_ONLY = {
    "_one_pass",
    "_streams",
    "vicinal",
    "vicinities",
    "pairs",
    "augmentation",
    "modules",
}
# What `import sklearn_mixup` may need. Anything else is imported by the function that uses it.
DEPENDENCIES = {"joblib", "numpy", "scipy", "sklearn", "skorch", "torch"}
# A file that nothing imports as it is loaded may need more.
EXTRAS = {"_engine/kernel": {"numba"}}
# Private modules and names of others that we lean on, and why.
PRIVATE = {
    "skrub._clean_null_strings": "the words that a committee takes for gaps",
    "skl2onnx._parse": "how a search is read as its best estimator",
    "skl2onnx._supported_operators": "the name that an estimator has in a graph",
    "sklearn._loss._loss": "losses of boosted trees, which a file of a model names",
    "sklearn.ensemble._hist_gradient_boosting": "the nodes of boosted trees, which a file holds",
    "sklearn.tree._tree": "the nodes of trees, which a file holds",
    "sklearn.utils._param_validation": "constraints as data, with scikit-learn's own messages",
    "sklearn.utils._safe_indexing": "rows and columns of arrays, DataFrames and sparse ones alike",
    "sklearn.utils._set_output": "samples in the container that set_output names",
}


def source_files(root):
    """Find the files of the package below `root`, and the file of the layout each belongs to."""
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root / PACKAGE).with_suffix("").parts
        yield path, parts[0] if parts[0] == "modules" else "/".join(parts)


def imported_modules(path, root) -> Iterator[tuple[str, ast.stmt]]:
    """Find the absolute name of everything that a file imports, with the statement."""
    package = path.relative_to(root).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{module}.{alias.name}", node


def imports_at_load(path) -> set[str]:
    """Find the top-level packages that a file imports as it is loaded, not in a function."""
    names = set()
    nodes = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
        nodes += ast.iter_child_nodes(node)
    return names - set(sys.stdlib_module_names) - {PACKAGE}


def find_upward_imports(root):
    """Find imports between files of the package that do not point down the layout."""
    lines = {file: i for i, line in enumerate(LAYOUT) for file in line}
    folders = {f"{file.partition('/')[0]}/__init__" for file in lines if "/" in file}
    for path, file in source_files(root):
        if file in folders and not list(imported_modules(path, root)):
            continue
        if file not in lines:
            yield f"{path.name} has no line in LAYOUT"
            continue
        for name, node in imported_modules(path, root):
            parts = name.split(".")
            if parts[0] != PACKAGE:
                continue
            # `from sklearn_mixup import X` goes through __init__, the last line.
            known = [name for name in ("/".join(parts[1:3]), *parts[1:2]) if name in lines]
            other = known[0] if known else "__init__"
            private = len(parts) > 2 and parts[2].startswith("_")
            within = other == file == "modules" and (private or path.name == "__init__.py")
            if lines[other] >= lines[file] and not within:
                yield f"{path.name}:{node.lineno} imports {name}"


def find_upward_benchmarks(root):
    """Find imports between the folders of benchmarks/ that do not point down."""
    lines = {folder: i for i, folder in enumerate(BENCHMARKS)}
    experiment = lines["an experiment"]
    for path in sorted((root / "benchmarks").rglob("*.py")):
        own = path.relative_to(root / "benchmarks").with_suffix("").parts[0]
        if own not in {*lines, "__init__"} and not (root / "benchmarks" / own).is_dir():
            yield f"benchmarks/{path.name} is neither in BENCHMARKS nor in a folder"
        for name, node in imported_modules(path, root):
            package, _, rest = name.partition(".")
            other = rest.split(".")[0]
            if package != "benchmarks" or other == own:
                continue
            if lines.get(other, experiment) >= lines.get(own, experiment):
                yield f"{path.relative_to(root)}:{node.lineno} imports {name}"


def find_circles_of_benchmarks(root):
    """Find files of benchmarks/ that import each other, through others or in a function."""
    paths = {}
    for path in (root / "benchmarks").rglob("*.py"):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        paths[module.removesuffix(".__init__")] = path
    imports = {module: set() for module in paths}
    for module, path in paths.items():
        for name, _ in imported_modules(path, root):
            found = name if name in paths else name.rpartition(".")[0]
            imports[module] |= {found} & paths.keys() - {module, "benchmarks"}
    # What imports nothing that is left is in no circle.
    while free := [module for module in imports if not imports[module] & imports.keys()]:
        for module in free:
            del imports[module]
    if imports:
        yield f"in a circle, or above one: {', '.join(sorted(imports))}"


def find_foreign_imports(root):
    """Find imports of tests and benchmarks, and of packages that are not needed by all users."""
    for path, file in source_files(root):
        for name, node in imported_modules(path, root):
            if name.partition(".")[0] in {"tests", "benchmarks"}:
                yield f"{path.name}:{node.lineno} imports {name}"
        allowed = {"torch"} if file in TORCH_ONLY else DEPENDENCIES
        allowed = allowed | EXTRAS.get(file, set())
        for name in sorted(imports_at_load(path) - allowed - {"tests", "benchmarks"}):
            yield f"{path.name} imports {name} as it is loaded"


def find_private_imports(root):
    """Find what the package imports from the private modules of others."""
    for path, _ in source_files(root):
        for name, node in imported_modules(path, root):
            package, *parts = name.split(".")
            allowed = any(f"{name}.".startswith(f"{part}.") for part in PRIVATE)
            if package in {PACKAGE, "__future__"} or allowed:
                continue
            if any(part.startswith("_") for part in parts):
                yield f"{path.name}:{node.lineno} imports {name}"


def public_names(root):
    """Find the names in `__all__` of the public modules, each with the path that users import."""
    for path, file in source_files(root):
        folders = path.relative_to(root / PACKAGE).parts[:-1]
        # A file in a folder is reached through the folder.
        if path.name == "__init__.py":
            module = ".".join([PACKAGE, *folders])
        elif folders or file.startswith("_"):
            continue
        else:
            module = f"{PACKAGE}.{file}"
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                for name in ast.literal_eval(node.value):
                    yield f"{module}.{name}"


def find_names_out_of_step(root):
    """Find public names without an entry in the API page, and entries that are not public."""
    page = (root / "docs" / "api.rst").read_text(encoding="utf-8")
    entry = r"^\.\. auto(?:class|function|data|exception):: (\S+)$"
    yield from {*re.findall(entry, page, flags=re.MULTILINE)} ^ {*public_names(root)}


# -- the table of files in CONTRIBUTING ----------------------------------------------------------

MARK = "<!-- made by `python -m tests.test_architecture` -->\n"


def layout_table(root) -> str:
    """Write what each file and folder holds, from the first lines of their docstrings."""
    rows = "| File | Holds |\n| --- | --- |\n"
    places = [(PACKAGE, file) for line in LAYOUT for file in line]
    for folder, file in [*places, *(("benchmarks", file) for file in BENCHMARKS)]:
        if file == "an experiment":
            rows += (
                "| `benchmarks/NAME/` | An experiment: its settings, runs, report and figures |\n"
            )
            continue
        path, name = root / folder / f"{file}.py", f"{folder}/{file}.py"
        if not path.exists():
            path, name = root / folder / file / "__init__.py", f"{folder}/{file}/"
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "\n"
        rows += f"| `{name}` | {doc.splitlines()[0].removesuffix(' [1]_.').rstrip('.')} |\n"
    return rows


def with_layout_table(page, root) -> str:
    """Put the table behind the mark of the page, as its end."""
    return page.partition(MARK)[0] + MARK + layout_table(root)


CHECKS = [
    find_upward_imports,
    find_upward_benchmarks,
    find_circles_of_benchmarks,
    find_foreign_imports,
    find_private_imports,
    find_names_out_of_step,
]


@pytest.mark.parametrize("check", CHECKS)
def test_package_passes(check):
    assert list(check(ROOT)) == []


def test_contributing_tells_of_the_files_that_there_are():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert page == with_layout_table(page, ROOT), "Run `python -m tests.test_architecture`."


def test_public_names_are_found():
    names = set(public_names(ROOT))
    assert {"sklearn_mixup.MixupClassifier", "sklearn_mixup.modules.MLP"} <= names


@pytest.mark.parametrize(
    ("name", "n_most"), [("MixupClassifier", 2), ("MixupRegressor", 2), ("MixupGAN", 1)]
)
def test_estimators_have_few_bases_of_ours(name, n_most):
    _, *bases = getattr(sklearn_mixup, name).__mro__
    assert len([base for base in bases if base.__module__.startswith(PACKAGE)]) <= n_most


def test_the_page_on_how_a_fit_works_names_what_is_there():
    page = (ROOT / "docs" / "how_a_fit_works.rst").read_text(encoding="utf-8")
    hops = re.findall(r"(\w+) +([\w/]+\.py)", page)
    assert len({file for _, file in hops}) == 8
    for name, file in hops:
        source = (ROOT / PACKAGE / file).read_text(encoding="utf-8")
        assert re.search(rf"^ *(def|class) {name}\b", source, re.MULTILINE), f"{file} has no {name}"


def test_import_loads_nothing_heavy():
    # skorch imports pandas where it is installed; only what we add counts.
    code = (
        "import sys, torch, skorch, skorch.callbacks, sklearn\n"
        "before = set(sys.modules)\n"
        f"import {PACKAGE}, {PACKAGE}.vicinal, {PACKAGE}.modules\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(process.stdout.split())
    assert PACKAGE in loaded
    assert not loaded & {"matplotlib", "pandas", "timm", "torchvision", "pooch", "tqdm"}


BAD_SOURCES = [
    (find_upward_imports, "vicinal.py", "from sklearn_mixup._net.vicinal_net import VicinalNet"),
    (find_upward_imports, "vicinal.py", "import sklearn_mixup._net.vicinal_net"),
    (find_upward_imports, "vicinal.py", "from ._net.vicinal_net import VicinalNet"),
    (find_upward_imports, "vicinal.py", "from ._net import vicinal_net"),
    (find_upward_imports, "vicinal.py", "def f():\n    from sklearn_mixup import MixupClassifier"),
    (find_upward_imports, "_net/device.py", "from sklearn_mixup._net.targets import mix_targets"),
    (find_upward_imports, "modules/resnet.py", "from sklearn_mixup.modules.mlp import MLP"),
    (find_upward_imports, "modules/resnet.py", "from .mlp import MLP"),
    (find_upward_imports, "_stray.py", ""),
    (find_foreign_imports, "_classifier.py", "from tests.conftest import X"),
    (find_foreign_imports, "_classifier.py", "def f():\n    import benchmarks._data.uci"),
    (find_foreign_imports, "_classifier.py", "import pandas as pd"),
    (
        find_foreign_imports,
        "_classifier.py",
        "try:\n    import timm\nexcept ImportError: ...",
    ),
    (find_foreign_imports, "vicinal.py", "import skorch"),
    (find_foreign_imports, "modules/resnet.py", "from sklearn.base import clone"),
    (find_private_imports, "_classifier.py", "from sklearn.utils._testing import ignore_warnings"),
    (find_private_imports, "_classifier.py", "from torch import _dynamo"),
    (find_names_out_of_step, "inspection.py", "__all__ = ['miss_rate_between']"),
    (find_names_out_of_step, "modules/__init__.py", "__all__ = ['LeNet']"),
    (find_names_out_of_step, "__init__.py", "__all__ = ['FusedGridSearchCV']"),
    (find_names_out_of_step, "inspection.py", "def documented(): ..."),
]

GOOD_SOURCES = [
    ("_classifier.py", "from sklearn_mixup.vicinal import mix\nfrom . import minibatches, modules"),
    (
        "_classifier.py",
        "from sklearn_mixup.modules import MLP\nfrom sklearn_mixup._net import device",
    ),
    ("_classifier.py", "def f():\n    import pandas"),
    ("_classifier.py", "if TYPE_CHECKING:\n    import pandas"),
    ("modules/__init__.py", "from sklearn_mixup.modules.mlp import MLP"),
    ("modules/resnet.py", "from sklearn_mixup.modules._common import check_counts"),
    (
        "__init__.py",
        "from sklearn_mixup._net.vicinal_net import VicinalNet\n__all__ = ['documented']",
    ),
    ("_classifier.py", "__all__ = ['private_module']"),
    ("modules/mlp.py", "__all__ = ['reached_through_the_folder']"),
    ("_classifier.py", "from sklearn.utils._param_validation import Interval"),
]


BAD_BENCHMARKS = [
    ("_nets/vision.py", "from benchmarks._data.home import find_data_home"),
    ("_nets/vision.py", "def f():\n    import benchmarks._data.home"),
    ("_data/cifar.py", "from benchmarks import cifar"),
    ("_data/cifar.py", "from benchmarks import _lab"),
    ("_data/cifar.py", "from ..cifar import run"),
    ("_lab/runs.py", "from benchmarks import toy"),
    ("toy/runs.py", "from benchmarks.tabular.runs import run_fixed"),
    ("toy/__init__.py", "from benchmarks.registry import EXPERIMENTS"),
    ("registry.py", "from benchmarks.all import run"),
    ("_stray.py", ""),
]
GOOD_BENCHMARKS = [
    ("_data/cifar.py", "from benchmarks._data import home\nfrom benchmarks._nets import vision"),
    ("_data/cifar.py", "from sklearn_mixup import MixupClassifier"),
    ("toy/runs.py", "from benchmarks.toy import report\nfrom benchmarks._lab import tell"),
    ("registry.py", "from benchmarks import tabular, toy"),
]


def write_package(root, file, source):
    path = root / file
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    (root / "docs").mkdir()
    page = ".. autofunction:: sklearn_mixup.documented\n" if "documented" in source else ""
    (root / "docs" / "api.rst").write_text(page, encoding="utf-8")


@pytest.mark.parametrize(("check", "file", "source"), BAD_SOURCES)
def test_check_fails_on_a_bad_file(check, file, source, tmp_path):
    write_package(tmp_path, f"{PACKAGE}/{file}", source)
    assert len(list(check(tmp_path))) == 1


@pytest.mark.parametrize(("file", "source"), BAD_BENCHMARKS)
def test_check_fails_on_a_bad_file_of_benchmarks(file, source, tmp_path):
    write_package(tmp_path, f"benchmarks/{file}", source)
    assert len(list(find_upward_benchmarks(tmp_path))) == 1


@pytest.mark.parametrize(
    "source", ["from benchmarks.toy.runs import run", "def f():\n    from . import runs"]
)
def test_check_fails_on_files_of_benchmarks_that_import_each_other(source, tmp_path):
    write_package(tmp_path, "benchmarks/toy/report.py", source)
    runs = tmp_path / "benchmarks" / "toy" / "runs.py"
    runs.write_text("from benchmarks.toy import figures", encoding="utf-8")
    figures = tmp_path / "benchmarks" / "toy" / "figures.py"
    figures.write_text("", encoding="utf-8")
    assert list(find_circles_of_benchmarks(tmp_path)) == []
    figures.write_text("from benchmarks.toy.report import tell", encoding="utf-8")
    assert len(list(find_circles_of_benchmarks(tmp_path))) == 1


@pytest.mark.parametrize(("file", "source"), GOOD_BENCHMARKS)
def test_check_passes_on_a_good_file_of_benchmarks(file, source, tmp_path):
    write_package(tmp_path, f"benchmarks/{file}", source)
    assert list(find_upward_benchmarks(tmp_path)) == []


@pytest.mark.parametrize(("file", "source"), GOOD_SOURCES)
def test_checks_pass_on_a_good_file(file, source, tmp_path):
    write_package(tmp_path, f"{PACKAGE}/{file}", source)
    assert [problem for check in CHECKS for problem in check(tmp_path)] == []


if __name__ == "__main__":
    contributing = ROOT / "CONTRIBUTING.md"
    text = with_layout_table(contributing.read_text(encoding="utf-8"), ROOT)
    contributing.write_text(text, encoding="utf-8")
    print(layout_table(ROOT))
