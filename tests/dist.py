"""Install what a release would hold, where there is nothing else: ``python -m tests.dist dist/*``.

The wheel comes with all that it needs into a fresh environment, then the source distribution in its
place. With each, README's Python runs in an empty folder, as by somebody who has no checkout.
"""

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from sklearn_mixup import __version__
from tests.readme import README, claimed_outputs, python_blocks

LOOK = """
from importlib.metadata import version
from pathlib import Path
import sklearn_mixup

folder = Path(sklearn_mixup.__file__).parent
assert Path(sys.prefix) in folder.parents, f"imported from {folder}"
assert (folder / "py.typed").exists(), "py.typed is missing: type checkers would see nothing"
assert sklearn_mixup.__version__ == version("sklearn-mixup") == expected, version("sklearn-mixup")
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command; what it says is shown only if it fails."""
    done = subprocess.run([*map(str, command)], cwd=cwd, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\nfailed: {command}")
    return done.stdout


def try_out(python: Path, version: str, folder: Path) -> None:
    """Look at what is installed, then run README's Python and hold it to what it claims."""
    # -I: nothing of the current folder or of the user's own packages is found.
    run(python, "-I", "-c", f"import sys\nexpected = {version!r}\n{LOOK}", cwd=folder)
    for code in python_blocks(README):
        printed = run(python, "-I", "-W", "error", "-c", code, cwd=folder).split()
        claimed = claimed_outputs(code)
        if any(abs(float(a) - float(b)) > 0.015 for a, b in zip(printed, claimed, strict=True)):
            sys.exit(f"README claims {claimed}; got {printed}")


def main() -> None:
    """Try the files that are named; the exit status is 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.dist", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    files = sorted(parser.parse_args().files, key=lambda file: file.suffix != ".whl")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        pip = (python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
        for i, file in enumerate(files):
            print(f"{file.name}: installing", flush=True)
            others = ["-c", Path("constraints.txt").resolve()] if i == 0 else ["--no-deps"]
            run(*pip, "--force-reinstall", *others, f"{file.resolve()}[tables]", cwd=folder)
            try_out(python, __version__, folder)
            print(f"{file.name}: installed, README's Python does what it says", flush=True)


if __name__ == "__main__":
    main()
