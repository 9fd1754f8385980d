"""Where the files of the data sets are, or go."""

import os
from pathlib import Path

DataHome = str | os.PathLike[str] | None

ENVIRONMENT_VARIABLE = "SKLEARN_MIXUP_DATA"

# How all loaders tell of the other way to have a file: "let ... it as".
HOME_HAS = f"`data_home` or the environment variable {ENVIRONMENT_VARIABLE} name a folder that has"


def find_data_home(data_home: DataHome = None) -> Path:
    """Find the data home: the argument, else the environment variable, else scikit-learn's."""
    # The last is what get_data_home() returns, which would make that folder.
    default = os.environ.get("SCIKIT_LEARN_DATA", "~/scikit_learn_data")
    home = data_home or os.environ.get(ENVIRONMENT_VARIABLE) or default
    return Path(home).expanduser()
