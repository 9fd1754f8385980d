"""What is not saved, and files that are not opened: each is told by name, and runs nothing."""

import functools
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from skorch.callbacks import Checkpoint, EpochScoring
from torch import nn

import sklearn_mixup
from sklearn_mixup import MixupClassifier, VicinalSampler
from sklearn_mixup.callbacks import Resume
from sklearn_mixup.exceptions import RefusedFileError
from tests.mutated_files import read, write

X = np.random.default_rng(0).normal(size=(40, 2))
Y = (X[:, 0] > 0).astype(int)


def net(**params):
    return MixupClassifier(**{"hidden_sizes": 2, "max_epochs": 1, "random_state": 0, **params})


def own_function(*args, **kwargs):
    raise AssertionError


class Hooked(nn.Linear):
    def __init__(self):
        super().__init__(2, 2)
        self.register_forward_hook(own_function)


class _Callable:
    def __call__(self, net, X, y):
        return 0.0


def save(model):
    file = io.BytesIO()
    sklearn_mixup.save(model, file)
    return file.getvalue()


def load(content, **options):
    return sklearn_mixup.load(io.BytesIO(content), **options)


# -- saving ---------------------------------------------------------------------------------------


def _local():
    class Local(nn.Linear):
        pass

    return Local


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (net(vicinity=lambda *args: None), r"`MixupClassifier\.vicinity` is a function"),
        (net(vicinity=own_function), r"`MixupClassifier\.vicinity` is a function.*own_function"),
        (net(pairs=functools.partial(own_function)), r"`MixupClassifier\.pairs\.func` is a func"),
        (net(module=_local()), r"`MixupClassifier\.module` .*is defined inside of something else"),
        (net(module=Hooked()), r"`MixupClassifier\.module` has hooks.*_forward_hooks"),
        (
            net(callbacks=[("own", EpochScoring(own_function))]),
            r"`MixupClassifier\.callbacks\[0\]\[1\]\.scoring` is a function",
        ),
        (
            net(callbacks=[("own", EpochScoring(_Callable()))]),
            r"`MixupClassifier\.callbacks\[0\]\[1\]\.scoring` .*none of the classes",
        ),
        (
            net(torch_load_kwargs={"weights_only": False}),
            r"`MixupClassifier\.torch_load_kwargs` makes",
        ),
        (
            make_pipeline(FunctionTransformer(lambda X: X), net()),
            r"`Pipeline\.steps\[0\]\[1\]\.func` is a function",
        ),
        (
            Pipeline([("net", net())], memory="cache"),
            r"`Pipeline\.memory` makes the model read pick",
        ),
        (
            net(random_state=np.random.RandomState(np.random.PCG64(0))),
            r"`MixupClassifier\.random_state` draws from another generator",
        ),
        (object(), "`object` is of a kind that the file has no place for"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_cannot_be_saved_is_told_by_its_parameter(model, told):
    with pytest.raises(ValueError, match=told):
        save(model)


def test_model_that_holds_itself_is_not_saved():
    model = StandardScaler()
    model.own = [model]
    with pytest.raises(ValueError, match=r"`StandardScaler\.own\[0\]` holds itself"):
        save(model)


def test_model_that_load_would_refuse_for_its_size_is_not_saved():
    model = StandardScaler()
    model.words = [[] for _ in range(500_000)]
    with pytest.raises(ValueError, match="fewer words and numbers"):
        save(model)


# -- classes that are not trusted -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (SVC(), "sklearn.svm._classes.SVC"),
        (net(callbacks=[Checkpoint()]), "skorch.callbacks.training.Checkpoint"),
        (net(callbacks=[Resume("folder")]), "sklearn_mixup.callbacks.Resume"),
    ],
)
def test_class_that_is_not_harmless_is_asked_for(model, path):
    content = save(model)
    with pytest.raises(RefusedFileError, match="not trusted") as caught:
        load(content)
    assert caught.value.untrusted == (path,)
    assert type(load(content, trusted=[path])) is type(model)


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "torch.load",
        "torch.hub.load",
        "builtins.eval",
        "sklearn_mixup.load",
        "torch.nn.functional.relu",
    ],
)
def test_function_is_no_class_even_if_it_is_trusted(path):
    content = _with_json(save(net()), lambda model: model["classes"].append(path))
    with pytest.raises(RefusedFileError, match=r"not trusted|must be the class of a module"):
        load(content)
    with pytest.raises(RefusedFileError, match="must be the class of a module"):
        load(content, trusted=[path])


@pytest.mark.parametrize("path", ["os.path.sep", "subprocess.Popen", "io.FileIO"])
def test_class_of_another_kind_is_not_made_even_if_it_is_trusted(path):
    content = _with_json(save(net()), lambda model: model["classes"].append(path))
    with pytest.raises(RefusedFileError, match="must be the class of a module"):
        load(content, trusted=[path])


def test_class_is_trusted_only_where_it_is_defined():
    content = _with_json(save(net()), lambda model: model["classes"].append("sklearn.svm.SVC"))
    with pytest.raises(RefusedFileError, match="where it is defined"):
        load(content, trusted=["sklearn.svm.SVC"])


@pytest.mark.parametrize(
    "path", ["os.system", "builtins.eval", "torch.load", "numpy.load", "sklearn.metrics.os", "x"]
)
def test_function_that_no_model_needs_is_not_found(path):
    content = _with_json(save(net()), lambda model: model["functions"].append(path))
    with pytest.raises(RefusedFileError, match="names a function that no model needs"):
        load(content)


def test_trusted_is_a_list():
    with pytest.raises(TypeError, match=r"Use \['own.Net'\]"):
        load(save(net()), trusted="own.Net")


# -- hostile files --------------------------------------------------------------------------------


def _with_json(content, change):
    members = dict(read(content))
    model = json.loads(members["model.json"])
    change(model)
    members["model.json"] = json.dumps(model).encode()
    return write(members.items())


def _with_arrays(content, change):
    """Change the header of the arrays, and what is behind it."""
    members = dict(read(content))
    arrays = members["arrays.safetensors"]
    n_header = int.from_bytes(arrays[:8], "little")
    header, data = json.loads(arrays[8 : 8 + n_header]), bytearray(arrays[8 + n_header :])
    header = change(header, data) or header
    text = json.dumps(header).encode()
    members["arrays.safetensors"] = len(text).to_bytes(8, "little") + text + bytes(data)
    return write(members.items())


GOOD = save(net().fit(X, Y))


def _member(name, content):
    return lambda: write([*read(GOOD), (name, content)])


def _json(text):
    return lambda: write([("model.json", text), *read(GOOD)[1:]])


def _changed(change):
    return lambda: _with_json(GOOD, change)


def _stretched(header, data):
    next(iter(header.values()))["shape"] = [10**9, 10**9]


def _overlapping(header, data):
    first, second = list(header.values())[:2]
    second["data_offsets"] = first["data_offsets"]


def _encrypted():
    bad = bytearray(GOOD)
    bad[bad.index(b"PK\x01\x02") + 8] |= 1
    return bytes(bad)


def _zip_bomb():
    members = [(name, content) for name, content in read(GOOD)]
    members[0] = "model.json", members[0][1] + b" " * 10_000_000
    return write(members, compress_type=zipfile.ZIP_DEFLATED)


def _many_members():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for i in range(20_000):
            archive.writestr(str(i), b"")
    return file.getvalue()


def _twice_as_long():
    """Say in the list of members that one is longer than the file."""
    bad = bytearray(GOOD)
    place = bad.index(b"PK\x01\x02")
    struct.pack_into("<2I", bad, place + 20, 2**31, 2**31)
    return bytes(bad)


def _changed_weight():
    bad = bytearray(GOOD)
    bad[bad.index(b"PK\x01\x02") - 8] ^= 1
    return bytes(bad)


def _rename(value):
    def change(model):
        model["objects"][0] = {value: None}

    return change


HOSTILE = {
    "a pickle": (lambda: pickle.dumps(net()), "no file that"),
    "nothing": (lambda: b"", "no file that"),
    "words": (lambda: b"import os" * 100, "no file that"),
    "half of a file": (lambda: GOOD[: len(GOOD) // 2], "end is missing"),
    "all but a byte": (lambda: GOOD[:-1], "end is missing"),
    "something behind it": (lambda: GOOD + b"PK", "end is missing"),
    "a comment": (lambda: GOOD[:-2] + b"\x04\x00evil", "end is missing"),
    "a changed weight": (
        lambda: (
            GOOD[: len(GOOD) // 2] + bytes([GOOD[len(GOOD) // 2] ^ 1]) + GOOD[len(GOOD) // 2 + 1 :]
        ),
        "CRC",
    ),
    "a member outside": (_member("../evil.py", b"x"), "no other"),
    "a member at the root": (_member("/etc/passwd", b"x"), "no other"),
    "a pickle beside": (_member("model.bin", pickle.dumps(1)), "no other"),
    "a member twice": (_member("model.json", b"{}"), "once each"),
    "no arrays": (lambda: write(read(GOOD)[:1]), "once each"),
    "compressed": (_zip_bomb, "compressed or encrypted"),
    "encrypted": (_encrypted, "compressed or encrypted"),
    "many members": (_many_members, "list of members"),
    "a member longer than the file": (_twice_as_long, "larger than the file"),
    "no JSON": (_json(b"{"), "damaged"),
    "JSON of another file": (_json(b'{"format": "else"}'), "another format"),
    "a list": (_json(b"[]"), "another format"),
    "a name twice": (_json(b'{"format": 1, "format": 2}'), "stands for two"),
    "no number": (_json(b'{"format": NaN}'), "NaN is no JSON"),
    "letters that are none": (_json(b'{"format": "\xff"}'), "damaged"),
    "deep JSON": (_json(b"[" * 100_000), "damaged"),
    "much JSON": (_json(b"[" + b"[]," * 1_000_000 + b"[]]"), "more memory"),
    "a newer format": (_changed(lambda m: m.update(format_version=2)), "version 2 of the format"),
    "no version": (_changed(lambda m: m.pop("format_version")), "damaged"),
    "an unknown kind": (_changed(_rename("pickle")), "damaged"),
    "an object after what holds it": (
        _changed(lambda m: m["objects"].reverse()),
        "damaged|wrong type|no place",
    ),
    "an attribute of Python's": (
        _changed(lambda m: m["objects"][-1]["net"][1].update(__class__=1)),
        "name of Python's own",
    ),
    "weights that are pickles": (
        _changed(
            lambda m: m["objects"][-1]["net"][1].update(
                torch_load_kwargs={"dict": {"weights_only": False}}
            )
        ),
        "read pickles",
    ),
    "a net that is an object": (
        _changed(lambda m: m["objects"].append({"object": m["objects"][-1]["net"]})),
        "described as something else",
    ),
    "an array too large": (lambda: _with_arrays(GOOD, _stretched), "not where its header says"),
    "arrays over each other": (lambda: _with_arrays(GOOD, _overlapping), "not where its header"),
    "more behind the arrays": (
        lambda: _with_arrays(GOOD, lambda header, data: data.extend(b"evil")),
        "more behind",
    ),
    "too few numbers": (lambda: _with_arrays(GOOD, lambda h, data: data.pop()), "not where its"),
    "a dtype of its own": (
        lambda: _with_arrays(GOOD, lambda h, d: next(iter(h.values())).update(dtype="O")),
        "malformed",
    ),
    "a header that is a list": (lambda: _with_arrays(GOOD, lambda h, d: [1]), "is no table"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_refused_by_name(name):
    make, told = HOSTILE[name]
    with pytest.raises(RefusedFileError, match=told) as caught:
        load(make())
    assert "must be a whole and harmless file" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_file_that_is_not_there_is_no_hostile_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        sklearn_mixup.load(tmp_path / "nothing.mixup")


def test_refused_file_is_told_by_its_name(tmp_path):
    path = tmp_path / "evil.mixup"
    path.write_bytes(b"x" * 100)
    with pytest.raises(RefusedFileError, match=r"evil\.mixup"):
        sklearn_mixup.load(path)
    assert os.listdir(tmp_path) == ["evil.mixup"]


# -- what compiled code would take as it is -------------------------------------------------------


def _change_nodes(content, field, value):
    """Set a field of the second node of all trees."""
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
    from sklearn.tree._tree import NODE_DTYPE

    model = json.loads(dict(read(content))["model.json"])
    dtypes = {"tree": NODE_DTYPE, "boosted": PREDICTOR_RECORD_DTYPE}

    def change(header, data):
        entries = list(header.values())
        for entry in model["objects"]:
            ((kind, written),) = entry.items()
            if kind in dtypes:
                number = written[1 if kind == "tree" else 0][1]
                start, stop = entries[number]["data_offsets"]
                nodes = np.frombuffer(bytes(data[start:stop]), dtypes[kind]).copy()
                nodes[field][0] = value
                data[start:stop] = nodes.tobytes()

    return _with_arrays(content, change)


TREES = ExtraTreesClassifier(2, max_depth=2, random_state=0)
BOOSTING = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=5)


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (TREES, "left_child", 10**6),
        (TREES, "left_child", 0),
        (TREES, "right_child", 1),
        (TREES, "right_child", -5),
        (TREES, "feature", 2),
        (TREES, "feature", -1),
        (BOOSTING, "left", 10**6),
        (BOOSTING, "right", 0),
        (BOOSTING, "feature_idx", 2),
        (BOOSTING, "feature_idx", -1),
        (BOOSTING, "is_categorical", 1),
    ],
)
def test_nodes_that_are_no_tree_are_refused(model, field, value):
    content = save(model.fit(X, Y))
    with pytest.raises(RefusedFileError, match=r"no tree|do not fit|by categories"):
        load(_change_nodes(content, field, value))


def _edit(kind, change):
    def apply(model):
        for entry in model["objects"]:
            if kind in entry:
                change(entry[kind])

    return apply


def _of_class(name, change):
    def apply(model):
        number = next(i for i, path in enumerate(model["classes"]) if path.endswith(name))
        for entry in model["objects"]:
            if entry.get("object", [None])[0] == number:
                change(entry["object"][1])

    return apply


def _sparse():
    model = StandardScaler()
    model.matrix = scipy.sparse.csr_matrix(np.eye(3))
    return model


WORDS = ["a b", "b c", "c d"]
UNSOUND = {
    "a tree deeper than it says": (
        TREES.fit(X, Y),
        _edit("tree", lambda w: w[0].__setitem__(3, 0)),
        "deeper than it says",
    ),
    "a tree of more features than its forest": (
        TREES.fit(X, Y),
        _edit("tree", lambda w: w[0].__setitem__(0, 9)),
        "do not fit",
    ),
    "a tree of too many classes": (
        TREES.fit(X, Y),
        _edit("tree", lambda w: w[0].__setitem__(1, [10**6])),
        "more or fewer values",
    ),
    "members of another width": (
        TREES.fit(X, Y),
        _of_class("ExtraTreesClassifier", lambda state: state.update(n_features_in_=9)),
        "do not fit",
    ),
    "nodes of another scikit-learn": (
        TREES.fit(X, Y),
        _edit("tree", lambda w: w[1].__setitem__(0, "0" * 16)),
        "another scikit-learn",
    ),
    "boosting in the middle of a fit": (
        BOOSTING.fit(X, Y),
        _of_class("HistGradientBoostingClassifier", lambda state: state.update(_in_fit=True)),
        "do not fit",
    ),
    "a word without a column": (
        CountVectorizer(token_pattern=r"\w").fit(WORDS),
        _of_class("CountVectorizer", lambda state: state["vocabulary_"]["dict"].update(a=10**9)),
        "wrong type|do not fit",
    ),
    "a category without a column": (
        OneHotEncoder().fit([["a"], ["b"]]),
        _of_class("OneHotEncoder", lambda s: s["_n_features_outs"].update(list=[1])),
        "do not fit",
    ),
    "an entry beside its matrix": (
        _sparse(),
        _edit("sparse", lambda w: w.__setitem__(2, [3, 2])),
        "damaged",
    ),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_parts_that_do_not_fit_are_refused(name):
    model, change, told = UNSOUND[name]
    content = save(model)
    load(content)
    with pytest.raises(RefusedFileError, match=told):
        load(_with_json(content, change))


def test_state_of_a_generator_that_is_none_is_refused():
    def change(model):
        (entry,) = [e["random_state"] for e in model["objects"] if "random_state" in e]
        entry["state"]["dict"]["pos"] = 10**6

    with pytest.raises(RefusedFileError, match="random generator"):
        load(_with_json(save(net(random_state=np.random.RandomState(0))), change))


@pytest.mark.parametrize(
    "value",
    [
        {"scalar": ["S1000000000", 1]},
        {"scalar": ["V1000000000", 1]},
        {"objects": [[10**9], [], None]},
        {"objects": [[-1], [None], 0]},
        {"dtype": "(1000,1000)f8"},
        {"device": "elsewhere"},
        {"torch_dtype": "load"},
        {"decimal": 1},
        {"float": "1" * 100},
        {"at": -1},
        {"at": 10**9},
        {"at": True},
        {"function": -1},
        {"class": "os.system"},
        {"mapping": [0, []]},
        {"named": [0, []]},
        {"list": {}},
        {"float": "nan", "list": []},
        [1],
    ],
    ids=str,
)
def test_value_that_is_none_is_refused(value):
    with pytest.raises(RefusedFileError):
        load(_with_json(GOOD, lambda model: model.update(model=value)))


@pytest.mark.parametrize(
    "path", ["torch.utils.data.DataLoader", "builtins.list", "torch.optim.lr_scheduler.StepLR"]
)
def test_class_that_is_only_named_is_not_made(path):
    def change(model):
        model["classes"].append(path)
        model["objects"].append({"object": [len(model["classes"]) - 1, {}]})

    with pytest.raises(RefusedFileError, match="makes an object"):
        load(_with_json(GOOD, change))


@pytest.mark.parametrize("zone", ["dateutil//etc/passwd", "/etc/passwd", "../x", "tzlocal()", ""])
def test_place_whose_time_is_in_a_file_is_refused(zone):
    table = pd.DataFrame({"day": pd.date_range("2020", periods=40, tz="Europe/Paris")})
    content = save(VicinalSampler().fit(table.assign(a=X[:, 0]), Y))

    def change(model):
        (frame,) = [entry["frame"] for entry in model["objects"] if "frame" in entry]
        (column,) = [column for column in frame[2] if column[0] == "zone"]
        column[1] = zone

    with pytest.raises(RefusedFileError, match="none that has a time"):
        load(_with_json(content, change))


@pytest.mark.parametrize("written", [["ns", "/etc/passwd"], ["weeks", "UTC"], ["ns", 3], ["ns"]])
def test_kind_of_dates_that_there_is_not_is_refused(written):
    content = _with_json(GOOD, lambda model: model.update(model={"zone": written}))
    with pytest.raises(RefusedFileError):
        load(content)


def test_numbers_that_collide_as_keys_are_refused():
    pairs = [[k * (2**61 - 1), None] for k in range(5000)]
    content = _with_json(GOOD, lambda model: model.update(model={"pairs": pairs}))
    with pytest.raises(RefusedFileError, match="too many keys"):
        load(content)


def test_history_that_unfolds_is_refused():
    def change(model):
        (history,) = [entry["history"] for entry in model["objects"] if "history" in entry]
        history[1] = [10**9]

    with pytest.raises(RefusedFileError, match="not as many"):
        load(_with_json(GOOD, change))


def test_encoder_of_rare_categories_is_sound():
    rows = [["a"], ["a"], ["b"], ["c"], ["d"], ["d"]]
    for params in (
        {"min_frequency": 2, "handle_unknown": "infrequent_if_exist"},
        {"drop": "first"},
        {"drop": "if_binary", "max_categories": 2},
    ):
        encoder = OneHotEncoder(**params).fit(rows)
        other = load(save(encoder))
        np.testing.assert_array_equal(
            other.transform(rows).toarray(), encoder.transform(rows).toarray()
        )


# -- many mutations -------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_mutation_runs_code_hangs_or_takes_much_memory():
    """`make fuzz` asks for more, and for others each time."""
    n_files = os.environ.get("SKLEARN_MIXUP_FUZZ", "300")
    seed = (
        str(int.from_bytes(os.urandom(4), "little")) if "SKLEARN_MIXUP_FUZZ" in os.environ else "0"
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutated_files", n_files, seed],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    counts = json.loads(done.stdout)["counts"]
    said = {word: sum(of.get(word, 0) for of in counts.values()) for word in ("refused", "loaded")}
    assert said["refused"] > said["loaded"] > 0
