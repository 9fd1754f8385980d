"""The gallery of the documentation: each of its scripts runs, without a warning."""

import ast
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = sorted(path.stem for path in (DOCS / "examples").glob("*.py"))
NEEDS = {"plot_shap": "shap", "plot_first_table": "skrub"}


@pytest.mark.slow
# SHAP defines its colours in a way that matplotlib is to deprecate.
@pytest.mark.filterwarnings("ignore:The set_(bad|over|under):PendingDeprecationWarning")
@pytest.mark.parametrize("name", [name for name in EXAMPLES if name.startswith("plot_")])
def test_example_runs_and_draws(name, monkeypatch, capsys):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    monkeypatch.setattr(plt, "show", lambda: None)
    with mpl.rc_context({"backend": "Agg"}):
        try:
            runpy.run_path(str(DOCS / "examples" / f"{name}.py"), run_name="__main__")
            assert plt.get_fignums()
        finally:
            plt.close("all")


@pytest.mark.slow
def test_example_for_many_gpus_runs_in_one_process_of_a_cpu(cpu_environment):
    pytest.importorskip("accelerate")
    old = "ignore::FutureWarning:onnxscript.converter"  # warns of itself where torch imports it
    script = DOCS / "examples" / "many_gpus.py"
    command = [sys.executable, "-W", "error", "-W", old, str(script)]
    done = subprocess.run(command, env=cpu_environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 processes: ")


def test_the_gallery_has_a_place_for_each_example():
    conf = ast.parse((DOCS / "conf.py").read_text(encoding="utf-8"))
    (order,) = (
        eval(compile(ast.Expression(node.value), "conf.py", "eval"))
        for node in conf.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXAMPLES"
    )
    assert sorted(order) == EXAMPLES
