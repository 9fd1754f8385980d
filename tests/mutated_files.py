"""Files of models with something wrong in them: opens many, and tells what they did.

``python -m tests.mutated_files N [SEED]`` loads N mutations of good files. All have to be refused
by name or loaded; none may run code, hang, or take more memory than twice the file and what a small
one may. The process ends with an error at the first that does.
"""

import copy
import io
import json
import random
import resource
import sys
import time
import warnings
import zipfile

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler

import sklearn_mixup
from sklearn_mixup import FusedBaggingClassifier, MixupClassifier, MixupGAN, VicinalSampler
from sklearn_mixup._saving.archive import FREE_BYTES
from sklearn_mixup.exceptions import RefusedFileError

# What code that a file brought along would do.
_FORBIDDEN = ("exec", "compile", "os.", "subprocess.", "pickle.", "socket.", "ctypes.", "shutil.")
_HARMLESS = {"os.listdir", "os.scandir", "os.putenv"}
_MOST_S = 5.0
_WORDS = [
    "os.system", "builtins.eval", "builtins.exec", "subprocess.Popen", "pickle.loads", "torch.load",
    "torch.hub.load", "numpy.load", "joblib.load", "importlib.import_module", "sklearn.svm.SVC",
    "skorch.callbacks.Checkpoint", "sklearn_mixup.callbacks.Resume", "torch.nn.Module",
    "torch.nn.functional.F", "sklearn.metrics.accuracy_score", "numpy.add", "numpy.load.x", "",
    "..", "tests.mutated_files.main", "sklearn_mixup._saving.file.load", "this", "antigravity.x",
]  # fmt: skip
_VALUES = [
    None, True, -1, 0, 1, 7, 2**31, 2**63, 10**40, -(2**70), 1e308, 0.5, "", "nan", "x" * 50, [],
    {}, [[]], {"at": 0}, {"at": -1}, {"at": 10**9}, {"class": 0}, {"function": 0},
    {"array": [0, "<f8", None]}, {"mapping": [0, []]}, {"named": [0, []]},
    {"tensor": [0, None, True, True]}, {"list": []}, {"dict": {}}, {"pairs": [[{"list": []}, 1]]},
    {"range": [0, 10**18, 1]}, {"slice": [0, 1, 2]}, {"bytes": "00ff"}, {"float": "nan"},
    {"partial": [{"function": 0}, [], {}]}, {"size": [10**9, 10**9]}, {"dtype": "V1000000000"},
    {"objects": [[10**9], [], None]}, {"frozenset": [1, 2]}, {"decimal": "1e999999"},
]  # fmt: skip


def make_files():
    """Make good files, with rows to predict."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    y = (X[:, 0] > 0).astype(int)
    table = pd.DataFrame({"a": X[:, 0], "b": np.where(X[:, 1] > 0, "u", "v")})
    net = MixupClassifier(hidden_sizes=2, max_epochs=1, random_state=0)
    columns = ColumnTransformer([("s", SplineTransformer(3), ["a"]), ("o", OneHotEncoder(), ["b"])])
    models = [
        (net, X),
        (FusedBaggingClassifier(net, 2, random_state=0), X),
        (make_pipeline(columns, StandardScaler(with_mean=False), net), table),
        (ExtraTreesClassifier(2, max_depth=3, random_state=0), X),
        (HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=5), X),
        (MixupGAN(generator__hidden_sizes=(2,), discriminator__hidden_sizes=(2,), max_iter=1), X),
        (VicinalSampler(random_state=0), table),
    ]
    files = []
    for model, rows in models:
        file = io.BytesIO()
        sklearn_mixup.save(model.fit(rows, y), file)
        files.append((file.getvalue(), rows))
    return files


# -- mutations ------------------------------------------------------------------------------------


def write(members, **options):
    """Write members to a ZIP whose checksums are right."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, **options)
    return file.getvalue()


def read(good):
    """Read the members of a good file."""
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def flip_bits(rng, good, others):
    bad = bytearray(good)
    for _ in range(rng.choice([1, 1, 3, 30])):
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
    return bytes(bad)


def cut(rng, good, others):
    a, b = sorted(rng.randrange(len(good)) for _ in range(2))
    return rng.choice([good[:a], good[a:], good[:a] + good[b:], good + good[a:b], good[:a] * 2])


def overwrite(rng, good, others):
    bad = bytearray(good)
    start, n = rng.randrange(len(bad)), rng.choice([1, 4, 8, 100])
    bad[start : start + n] = rng.choice([rng.randbytes(n), b"\xff" * n, b"\0" * n])
    return bytes(bad)


def change_ends(rng, good, others):
    """Change sizes and places in what a ZIP says of its members."""
    bad = bytearray(good)
    start = rng.choice([0, good.rindex(b"PK\x05\x06"), good.index(b"PK\x01\x02")])
    for _ in range(rng.choice([1, 2])):
        place = min(start + rng.randrange(46), len(bad) - 1)
        bad[place : place + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", rng.randbytes(4)])
    return bytes(bad[: len(good)])


def change_members(rng, good, others):
    members = read(good)
    i = rng.randrange(2)
    name, content = members[i]
    match rng.randrange(6):
        case 0:
            new = [
                "../evil",
                "/etc/passwd",
                "model.json/",
                "MODEL.json",
                "evil.py",
                "evil.bin",
                name,
            ]
            members.insert(rng.randrange(3), (rng.choice(new), rng.randbytes(20)))
        case 1:
            members[i] = rng.choice(["../" + name, name.upper(), "x"]), content
        case 2:
            del members[i]
        case 3:
            members[i] = name, read(rng.choice(others))[i][1]
        case 4:
            members[i] = name, members[1 - i][1]
        case 5:
            return write(members, compress_type=zipfile.ZIP_DEFLATED)
    return write(members)


def change_json(rng, good, others):
    members = dict(read(good))
    model = json.loads(members["model.json"])
    for _ in range(rng.choice([1, 1, 2, 5])):
        change_value(rng, model)
    members["model.json"] = json.dumps(model).encode()
    return write(members.items())


def change_names(rng, good, others):
    members = dict(read(good))
    model = json.loads(members["model.json"])
    names = model[rng.choice(["classes", "functions"])]
    place = rng.randrange(len(names) + 1)
    names[place : place + 1] = [rng.choice(_WORDS)]
    members["model.json"] = json.dumps(model).encode()
    return write(members.items())


def change_text(rng, good, others):
    """Change the JSON of either member as text."""
    members = dict(read(good))
    name = rng.choice(list(members))
    content = bytearray(members[name])
    n_text = len(content) if name == "model.json" else int.from_bytes(content[:8], "little")
    for _ in range(rng.choice([1, 3])):
        place = rng.randrange(n_text)
        content[place : place + 1] = rng.choice(
            [b"[" * 5000, b'{"a":' * 500, b"9" * 30, b"\xff", b"NaN", b"1e999", b",", b"", b"\x00"]
        )
    members[name] = bytes(content)
    return write(members.items())


def change_header(rng, good, others):
    members = dict(read(good))
    content = members["arrays.safetensors"]
    n_header = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + n_header])
    for _ in range(rng.choice([1, 2])):
        change_value(rng, header)
    text = json.dumps(header).encode()
    size = rng.choice([len(text)] * 4 + [0, 2**63, len(text) + 1, 2**32])
    members["arrays.safetensors"] = size.to_bytes(8, "little") + text + content[8 + n_header :]
    return write(members.items())


def change_arrays(rng, good, others):
    members = dict(read(good))
    content = bytearray(members["arrays.safetensors"])
    n_header = int.from_bytes(content[:8], "little") + 8
    for _ in range(rng.choice([1, 5, 50])):
        place = rng.randrange(n_header, len(content))
        new = rng.choice([b"\xff" * 8, b"\0" * 8, rng.randbytes(8), rng.randbytes(1)])
        content[place : place + len(new)] = new
    members["arrays.safetensors"] = bytes(content[: len(members["arrays.safetensors"])])
    return write(members.items())


def change_value(rng, root):
    """Replace, remove or copy one value somewhere in JSON."""
    node, where = root, None
    for _ in range(rng.randrange(1, 14)):
        keys = list(node) if isinstance(node, dict) else range(len(node))
        if not keys:
            break
        key = rng.choice(list(keys))
        where = node, key
        if not isinstance(node[key], dict | list):
            break
        node = node[key]
    if where is None:
        return
    parent, key = where
    match rng.randrange(6):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        case 2 if isinstance(parent, dict):
            parent[rng.choice([*_WORDS, "__class__", "__dict__", "_in_fit", "memory"])] = (
                parent.pop(key)
            )
        case 3:
            other = rng.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
            parent[key], parent[other] = parent[other], parent[key]
        case _:
            parent[key] = copy.deepcopy(rng.choice(_VALUES))


MUTATIONS = [
    flip_bits, cut, overwrite, change_ends, change_members, change_names, change_text,
    change_header, change_arrays, change_json, change_json, change_json,
]  # fmt: skip


# -- what they do ---------------------------------------------------------------------------------


class Watch:
    """Notes what a file does that is no reading of data."""

    def __init__(self):
        self.imports = self.is_on = False
        self.seen = []
        sys.addaudithook(self.hear)

    def hear(self, event, args):
        if not self.is_on:
            return
        is_write = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
        is_import = self.imports and event == "import" and args[0] not in sys.modules
        is_forbidden = event.startswith(_FORBIDDEN) and event not in _HARMLESS
        if is_write or is_import or is_forbidden:
            self.seen.append((event, repr(args)[:200]))


def try_file(watch, content, rows):
    """Load a file, and predict if it is loaded; tell which it was."""
    watch.is_on = watch.imports = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = sklearn_mixup.load(io.BytesIO(content))
    except (RefusedFileError, ImportError):
        return "refused"
    finally:
        watch.is_on = watch.imports = False
    if rows is not None and hasattr(model, "predict"):
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                model.predict(rows)
        except Exception:  # of any kind, as long as the process lives
            return "no use"
    return "loaded"


def peak_bytes():
    """Tell the most memory that this process ever had."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(n_files, seed):
    """Try mutations of all good files."""
    files = make_files()
    watch = Watch()
    for good, rows in files:
        assert try_file(watch, good, rows) == "loaded"
    watch.seen.clear()
    before, counts, slowest = peak_bytes(), {}, 0.0
    for number in range(n_files):
        rng = random.Random(f"{seed} {number}")
        good, rows = rng.choice(files)
        mutate = rng.choice(MUTATIONS)
        content = mutate(rng, good, [other for other, _ in files])
        start = time.process_time()
        said = try_file(watch, content, rows if mutate is change_arrays else None)
        took = time.process_time() - start
        slowest = max(slowest, took)
        counts.setdefault(mutate.__name__, {}).setdefault(said, 0)
        counts[mutate.__name__][said] += 1
        assert not watch.seen, f"{mutate.__name__} {number} of seed {seed}: {watch.seen}"
        assert took < _MOST_S, f"{mutate.__name__} {number} of seed {seed} took {took:.1f} s"
        most = before + FREE_BYTES + 2 * len(content)
        assert peak_bytes() < most, f"{mutate.__name__} {number} of seed {seed}: {peak_bytes()}"
    grown = (peak_bytes() - before) / 2**20
    print(
        json.dumps({"counts": counts, "slowest_s": round(slowest, 3), "grown_mib": round(grown, 1)})
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
