"""Committees as graphs: the encoding of a table, the networks, and what stands beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from torch import Tensor, nn

from sklearn_mixup._net.tables import is_missing
from sklearn_mixup._onnx.graph import Parts
from sklearn_mixup._onnx.nets import Said, check_convertible, put_out_classes
from sklearn_mixup._tabular.base import TabularMixup
from sklearn_mixup._tabular.bins import Bins
from sklearn_mixup._tabular.encode import HUGE, TableEncoder
from sklearn_mixup._tabular.select import TINY


def convert_committee(scope: Any, operator: Any, container: Any) -> None:
    """Add the graph of a committee: the mean of what its members say of an encoded table."""
    model, parts = operator.raw_operator, Parts(scope, operator, container)
    rows, width = _encode(parts, model._encoder)
    settings = [model.settings_[i] for i in model.estimator_settings_]  # networks come first
    n_bins = [own.get("bins", 0) for own in settings if isinstance(own, dict)]
    check_convertible(*model.estimators_[: len(n_bins)])
    terms = []
    for n in dict.fromkeys(n_bins):
        members = [i for i, own in enumerate(n_bins) if own == n]
        nets = [model.estimators_[i] for i in members]
        module: nn.Module = Said(nets, model.estimator_weights_[members].tolist())
        module = nn.Sequential(_Binned(model._bins[n]), module) if n else module
        terms += parts.embed(module, rows, like=[torch.zeros(2, width)])
    for other, weight in zip(
        model.estimators_[len(n_bins) :], model.estimator_weights_[len(n_bins) :], strict=True
    ):
        taken = [parts.variable(rows, width)]
        if is_classifier(model):
            said = parts.say(other, taken)
            places = np.eye(model._n_told, dtype=np.float32)[other.classes_]
            terms.append(parts.node("MatMul", said, parts.constant(places * np.float32(weight))))
        else:
            said = parts.node("Flatten", parts.say(other, taken, "predict"), axis=1)
            terms.append(parts.node("Mul", said, parts.constant(np.float32(weight))))
    mean = parts.node("Sum", *terms)
    if is_classifier(model):
        logits = parts.node("Log", parts.node("Max", mean, parts.constant(np.float32(TINY))))
        cooled = parts.node("Div", logits, parts.constant(np.float32(model.temperature_)))
        put_out_classes(parts, parts.node("Softmax", cooled, axis=1))
        return
    scaled = parts.node("Mul", mean, parts.constant(model.target_scale_.astype(np.float32)))
    parts.put_out(0, parts.node("Add", scaled, parts.constant(model.target_mean_.astype("f"))))


# -- the table ------------------------------------------------------------------------------------


def find_words(model: Any) -> np.ndarray | None:
    """Tell which columns of a committee's table hold words; None of any other model."""
    if not isinstance(model, TabularMixup):
        return None
    encoder = model._encoder
    is_word = ~encoder.is_number
    if encoder.vectorizer is not None:
        for name in encoder.vectorizer.kind_to_columns_["numeric"]:
            is_word[int(name)] = False  # words of digits
    return is_word


def _encode(parts: Parts, encoder: TableEncoder) -> tuple[str, int]:
    """Add the encoding of a table; get the name of the rows, and how many numbers each has."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import StringTensorType

    columns, n_columns = parts.inputs, len(encoder.is_number)
    is_word = np.array([isinstance(column.type, StringTensorType) for column in columns])
    outputs = {} if encoder.vectorizer is None else encoder.vectorizer.input_to_outputs_
    numbers = np.flatnonzero(encoder.is_number)
    words: list[int] = []
    if len(columns) == 1 and n_columns > 1:
        if encoder.vectorizer is not None or is_word.any():
            raise ValueError(
                "A table with words goes into a committee by its columns: nothing but a search "
                "may stand around it, and X_sample must be a DataFrame."
            )
        told = [parts.join(kind="DOUBLE")]
    else:
        kinds = {} if encoder.vectorizer is None else encoder.vectorizer.kind_to_columns_
        for kind, advice in (
            ("datetime", "Make numbers of dates"),
            ("high_cardinality", "Group the rare words of text, or leave it out,"),
        ):
            for name in kinds.get(kind, ()):
                if any(outputs[name]):
                    raise ValueError(
                        f"Column {encoder._tell(name)} of the committee's table holds what no "
                        f"graph encodes. {advice} before the fit."
                    )
        digits = [int(name) for name in outputs if name in kinds["numeric"]] if kinds else []
        words = [int(name) for name in outputs if name in kinds["low_cardinality"]] if kinds else []
        numbers = np.array([*numbers, *digits], int)
        for place in [*numbers, *words]:
            if is_word[place] != (place in words):
                holds = "words" if place in words else "numbers"
                raise ValueError(
                    f"Column {encoder._tell(str(place))} of X_sample must hold {holds}, as in the "
                    "fit. Give the same, and spans of time in seconds."
                )
        told = [parts.join([columns[place] for place in numbers], "DOUBLE")] if len(numbers) else []
    # Numbers of which none was there in the fit count for nothing.
    told = told if encoder.scaler is not None else []
    like: list[Tensor] = [torch.zeros(2, len(numbers), dtype=torch.double)] if told else []
    if words:
        codes = [
            parts.node(
                "LabelEncoder",
                columns[place].full_name,
                domain="ai.onnx.ml",
                default_int64=-1,
                **_list_codes(encoder, str(place)),
            )
            for place in words
        ]
        codes = [parts.node("Cast", code, to=TensorProto.FLOAT) for code in codes]
        told.append(parts.node("Concat", *codes, axis=1))
        like.append(torch.zeros(2, len(words)))
    n_known = [len(outputs[str(place)]) for place in words]
    (rows,) = parts.embed(_Encoded(encoder, n_known), *told, like=like)
    return rows, len(encoder.kept)


def _list_codes(encoder: TableEncoder, name: str) -> dict[str, list[Any]]:
    """List the words of a column with the place of each, and that of gaps if there were any."""
    vectorizer = encoder.vectorizer
    (known,) = vectorizer.transformers_[name].categories_
    codes = {str(word): code for code, word in enumerate(known) if not is_missing(word)}
    steps = {type(step).__name__ for step in vectorizer.all_processing_steps_[name]}
    if is_missing(known[-1]):
        gaps = ["", " ", *_list_gaps()] if "CleanNullStrings" in steps else [""]
        codes = {**dict.fromkeys(gaps, len(known) - 1), **codes}
    return {"keys_strings": [*codes], "values_int64s": [*codes.values()]}


def _list_gaps() -> list[str]:
    """List the words that skrub takes for gaps."""
    from skrub._clean_null_strings import STR_NA_VALUES

    return [*STR_NA_VALUES]


class _Encoded(nn.Module):
    """What `TableEncoder` makes of numbers, NaN where there is a gap, and of the codes of words.

    **Shape**: input (batch_size, n_numbers) and (batch_size, n_words), those that there are;
    output (batch_size, n_encoded), float32.
    """

    def __init__(self, encoder: TableEncoder, n_known: Sequence[int]) -> None:
        super().__init__()
        self.has_words = bool(n_known)
        self.of_word = torch.repeat_interleave(torch.tensor([*n_known], dtype=torch.long))
        self.code = torch.cat([torch.zeros(0), *(torch.arange(n) for n in n_known)])
        self.kept = torch.as_tensor(encoder.kept)
        self.has_scaler = encoder.scaler is not None
        if encoder.scaler is None:
            return
        self.center, self.factor, self.divisor = map(torch.as_tensor, _read_scaler(encoder.scaler))
        self.bound = float(encoder.scaler.max_absolute_value)
        # Of words of digits skrub keeps single precision.
        self.n_exact = int(encoder.is_number.sum())
        self.usable = torch.as_tensor(encoder.usable)
        self.typical = torch.as_tensor(encoder.typical[encoder.usable])
        self.gaps = torch.as_tensor(encoder.gaps)
        few = [(j, value) for j, values in encoder.few for value in values]
        self.of_few = torch.tensor([j for j, _ in few], dtype=torch.long)
        self.few = torch.tensor([value for _, value in few], dtype=torch.double)

    def forward(self, *told: Tensor) -> Tensor:
        """Return rows of numbers of about the same size."""
        blocks = []
        if self.has_words:
            blocks.append((told[-1][:, self.of_word] == self.code).float())
        if self.has_scaler:
            # Step by step what scikit-learn and skrub do: a bit may be on the other side of a
            # threshold of a tree.
            digits = told[0][:, self.n_exact :].float().double()
            numbers = torch.cat([told[0][:, : self.n_exact], digits], dim=1)
            size = numbers[:, self.usable] / self.typical
            moved = (size.clamp(-HUGE, HUGE) - self.center) * self.factor / self.divisor
            share = moved / self.bound
            scaled = moved / (1 + share * share).sqrt()
            scaled = torch.where(size.isnan(), torch.zeros_like(scaled), scaled)
            blocks.append(scaled.float())
            blocks.append(numbers[:, self.gaps].isnan().float())
            blocks.append((numbers[:, self.of_few] == self.few).float())
        return torch.cat(blocks, dim=1)[:, self.kept]


def _read_scaler(scaler: Any) -> np.ndarray:
    """Read skrub's SquashingScaler: the middle of each column, a factor, and a divisor."""
    center, factor, divisor = np.zeros(n := len(scaler.zero_cols_)), np.zeros(n), np.ones(n)
    if scaler.robust_scaler_ is not None:
        center[scaler.robust_cols_] = scaler.robust_scaler_.center_
        factor[scaler.robust_cols_] = 1
        divisor[scaler.robust_cols_] = scaler.robust_scaler_.scale_
    if scaler.minmax_scaler_ is not None:
        center[scaler.minmax_cols_] = scaler.minmax_scaler_.median_
        factor[scaler.minmax_cols_] = scaler.minmax_scaler_.scale_
    return np.stack([center, factor, divisor])


class _Binned(nn.Module):
    """What `Bins` put beside encoded rows.

    **Shape**: input (batch_size, n_encoded); output (batch_size, n_encoded + n_bins).
    """

    def __init__(self, bins: Bins) -> None:
        super().__init__()
        edges, n_each = bins.edges, [len(found) - 1 for found in bins.edges.values()]
        self.columns = torch.as_tensor(np.repeat([*edges], n_each).astype(np.int64))
        parts: list[tuple[np.ndarray, ...]] = []
        for j, found in edges.items():
            least, most = np.zeros(len(found) - 1), np.ones(len(found) - 1)
            least[0], most[-1] = -1, 2
            parts.append((found[:-1], np.diff(found), least, most, bins.means[j]))
        self.start, self.width, self.least, self.most, self.mean = (
            (
                torch.as_tensor(np.concatenate(own).astype(np.float64))
                for own in zip(*parts, strict=True)
            )
            if parts
            else [torch.zeros(0)] * 5
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Return rows with their bins."""
        come = (rows[:, self.columns].double() - self.start) / self.width
        come = torch.minimum(torch.maximum(come, self.least), self.most) - self.mean
        return torch.cat([rows, come.float()], dim=1)
