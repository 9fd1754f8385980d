"""What a release is made of: one version everywhere, and files that say the same."""

import re
from importlib.metadata import version

import pytest
import yaml

import sklearn_mixup
from tests.test_readme import PROJECT, ROOT

WORKFLOWS = [*(ROOT / ".github" / "workflows").glob("*.yml")]


def read_yaml(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_one_version_everywhere():
    here = sklearn_mixup.__version__
    assert PROJECT["dynamic"] == ["version"]  # setuptools reads it from the package
    assert version("sklearn-mixup") == here
    assert read_yaml(ROOT / "CITATION.cff")["version"] == here


def test_changes_begin_with_the_version():
    changes = (ROOT / "CHANGES.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changes, flags=re.MULTILINE)[1]
    assert newest == sklearn_mixup.__version__.removesuffix(".dev0")


def test_citation_names_the_paper_of_the_readme():
    paper = read_yaml(ROOT / "CITATION.cff")["preferred-citation"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for author in paper["authors"]:
        assert f"{author['family-names']}, {author['given-names']}" in readme
    assert paper["title"] in readme
    assert paper["url"] in readme


def test_workflows_try_the_pythons_that_are_claimed():
    matrix = read_yaml(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["machines"]["strategy"]
    claimed = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert {*claimed} <= {*matrix["matrix"]["python"]}
    assert PROJECT["requires-python"] == f">={claimed[0]}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_what_is_there(path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = [step["run"] for step in steps(read_yaml(path)) if "run" in step]
    made = {target for command in commands for target in re.findall(r"make (\S+)", command)}
    assert made
    assert made <= set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    for command in commands:
        for extras in re.findall(r"\.\[([\w,]+)\]", command):
            assert {*extras.split(",")} <= {*PROJECT["optional-dependencies"]}
