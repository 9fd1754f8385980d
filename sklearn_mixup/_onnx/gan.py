"""The generator of a MixupGAN as a graph: noise in, rows of a table out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mixup._gan.classes import apply, has_classes
from sklearn_mixup._gan.encode import TableCodec
from sklearn_mixup._net.columns import read_keys
from sklearn_mixup._net.losses import unwrap
from sklearn_mixup._onnx.graph import OPSET, Curve, check_names, export

# What NumPy has for no date.
_NO_DATE = np.iinfo(np.int64).min
# Names within the graph, which are to be other than those of columns.
_WITHIN = "within/"


def convert_gan(gan: Any) -> Any:
    """Make the graph of a fitted GAN."""
    from onnx import TensorProto, helper

    sampler = _Sampler(gan)
    like = [torch.zeros(2, sampler.n_noise)]
    check_names(sampler.names, ("noise", "y")[: 1 + has_classes(gan)])
    if has_classes(gan):
        like.append(torch.zeros(2, dtype=torch.long))
    model = export(sampler, like)
    graph = model.graph
    for node in graph.node:
        node.input[:] = [name and _WITHIN + name for name in node.input]
        node.output[:] = [_WITHIN + name for name in node.output]
    for part in (*graph.initializer, *graph.input, *graph.output):
        part.name = _WITHIN + part.name
    taken = [part.name for part in graph.input]
    made = [(part.name, part.type.tensor_type.elem_type) for part in graph.output]
    for part in (graph.input, graph.output, graph.value_info):
        del part[:]
    first = [helper.make_node("Identity", ["noise"], taken[:1])]
    width = ["n_rows", sampler.n_noise]
    graph.input.append(helper.make_tensor_value_info("noise", TensorProto.FLOAT, width))
    if has_classes(gan):
        node, kind = _read_labels(gan.classes_, taken[1])
        first.append(node)
        graph.input.append(helper.make_tensor_value_info("y", kind, ["n_rows"]))
    for i, (name, (within, kind)) in enumerate(zip(sampler.names, made, strict=True)):
        words, shape = sampler.words.get(i), ["n_rows", *sampler.row_shape]
        if words is None:
            graph.node.append(helper.make_node("Identity", [within], [name]))
        else:
            kind = TensorProto.STRING
            values: Any = [word.encode() for word in words]
            all_words = helper.make_tensor(f"{_WITHIN}of/{name}", kind, [len(words)], values)
            graph.initializer.append(all_words)
            graph.node.append(helper.make_node("Gather", [all_words.name, within], [name]))
        graph.output.append(helper.make_tensor_value_info(name, kind, shape))
    nodes = [*first, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(*known) for known in OPSET.items())
    return model


def _read_labels(classes: np.ndarray, codes: str) -> tuple[Any, int]:
    """Make the node that gives the code of each label, and the type of labels."""
    from onnx import TensorProto, helper

    is_words = classes.dtype.kind in "OU"
    keys: Any = [str(label) for label in classes] if is_words else classes.astype(int).tolist()
    if not is_words and (keys != classes).any():
        raise ValueError(
            "The classes of a graph are words or whole numbers; got "
            f"{classes[:5].tolist()}. Fit the GAN to classes of that kind."
        )
    node = helper.make_node(
        "LabelEncoder",
        ["y"],
        [codes],
        domain="ai.onnx.ml",
        default_int64=-1,
        values_int64s=list(range(len(keys))),
        **{"keys_strings" if is_words else "keys_int64s": keys},
    )
    return node, TensorProto.STRING if is_words else TensorProto.INT64


class _Sampler(nn.Module):
    """What a GAN makes of noise, and of the codes of classes if there are any.

    **Shape**: input (batch_size, n_noise), standard normal, and (batch_size,); output rows, or a
    tensor (batch_size, 1) for each column of a table: a number, or the code of a word.
    """

    def __init__(self, gan: Any) -> None:
        super().__init__()
        self.parts = nn.ModuleList([unwrap(getattr(gan, "averaged_generator_", gan.generator_))])
        self.dtype = gan._module_dtype()
        self.n_classes = len(gan.classes_) if has_classes(gan) else 0
        self.n_noise = self.n_latent = gan._latent_dim_
        self.codec = getattr(gan, "_codec_", None)
        self.names, self.words, self.columns = ["X"], dict[int, list[str]](), list[Any]()
        self.row_shape = gan._row_shape_
        if isinstance(self.codec, TableCodec):
            self.n_noise += self.codec.width - self.codec.n_numbers
            self.names = [str(name) for name in gan.get_feature_names_out()]
            self.row_shape = (1,)
            for i, column in enumerate(self.codec._columns):
                made: Any = _Numbers(column) if hasattr(column, "ranks") else _Values(column)
                self.columns.append(made)
                if isinstance(made, _Values) and made.words is not None:
                    self.words[i] = made.words
        elif self.codec is not None:
            told = self.codec.spread, self.codec.mean, self.codec.least, self.codec.most
            self.scales = [torch.as_tensor(np.asarray(own, np.float64)) for own in told]
            self.made = torch.float64 if self.codec.dtype == np.float64 else torch.float32

    def forward(self, noise: Tensor, codes: Tensor | None = None) -> Any:
        """Return rows, or the columns of a table."""
        y = None
        if codes is not None:
            y = (codes[:, None] == torch.arange(self.n_classes)).to(self.dtype)
        rows = apply(self.parts[0], noise[:, : self.n_latent].to(self.dtype), y)
        if not isinstance(self.codec, TableCodec):
            if self.codec is None:
                return rows
            spread, mean, least, most = self.scales
            rows = rows.double() * spread + mean
            return torch.minimum(torch.maximum(rows, least), most).to(self.made)
        share = _count_below(noise[:, self.n_latent :].float())
        noisy = rows[:, self.codec.n_numbers :] - (-share.clamp(1e-9, 1.0).log()).log()
        made, n_told, start = [], 0, 0
        for own, column in zip(self.columns, self.codec._columns, strict=True):
            codes = (noise[:, 0] < -torch.inf).long()  # zeros, as many as there are rows
            if column.n_codes > 1:
                codes = noisy[:, start : start + column.n_codes].argmax(dim=1)
                start += column.n_codes
            made.append(own(rows[:, n_told], codes)[:, None])
            n_told += column.has_number
        return tuple(made)


def _count_below(x: Tensor) -> Tensor:
    """Tell which share of a normal distribution is below a number."""
    return 0.5 * (1 + torch.erf(x * math.sqrt(0.5)))


class _Values:
    """The values of a column by their codes; of words the codes."""

    def __init__(self, column: Any) -> None:
        values = read_keys(column.values, 0)
        known = [value for value in values if value is not None]
        self.words: list[str] | None = None
        self.values: Tensor | None = None
        kinds = {type(value) for value in known}
        if len(known) == len(values) and kinds <= {bool, np.bool_}:
            self.values = torch.tensor([bool(value) for value in values])
        elif len(known) == len(values) and all(issubclass(kind, int) for kind in kinds):
            self.values = torch.tensor([int(value) for value in values])
        else:
            self.words = ["" if value is None else str(value) for value in values]

    def __call__(self, told: Tensor, codes: Tensor) -> Tensor:
        """Return what stands in each row."""
        return codes if self.values is None else self.values[codes]


class _Numbers:
    """The numbers of a column, or dates as NumPy counts them."""

    def __init__(self, column: Any) -> None:
        self.step, self.has_gaps, self.n_codes = column.step, column.has_gaps, column.n_codes
        self.is_float = column.least.dtype.kind == "f"
        self.is_date = column.kind != "numbers"
        if not self.is_float and int(column.most) > np.iinfo(np.int64).max:
            raise ValueError(
                "Whole numbers of a graph are below 2**63; got "
                f"{column.most} in column {column.name!r}. Rescale it, or take it for words."
            )
        self.least = column.least.item()
        self.span = float(column.most) - float(column.least)
        self.most = column.most.item()
        self.gap = torch.tensor(_NO_DATE) if self.is_date else torch.tensor(torch.nan).double()
        self.few = torch.as_tensor(np.asarray(column.few, np.float64))
        self.curve = None
        if column.ranks is not None:
            ranks = column.ranks
            ends = np.stack([ranks.low, ranks.high], axis=1).ravel()
            self.curve = Curve(ends, np.repeat(ranks.values, 2), torch.double)

    def __call__(self, told: Tensor, codes: Tensor) -> Tensor:
        """Return the number of each row."""
        n_known = self.n_codes - self.has_gaps
        known = codes < n_known
        if self.curve is None:
            numbers = self.few[codes.clamp(0, n_known - 1)]
        else:
            numbers = self.curve(_count_below(told.float()))
        if self.step:
            numbers = (numbers / self.step).round() * self.step
        if self.is_float:
            numbers = numbers.clamp(self.least, self.most)
        else:
            numbers = numbers.clamp(0, self.span).long() + self.least
            if self.has_gaps and not self.is_date:
                numbers = numbers.double()
        if not self.has_gaps:
            return numbers
        return torch.where(known, numbers, self.gap)
