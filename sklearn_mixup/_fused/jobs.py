"""Many nets trained as one: those of one shape in stacks, the rest one by one."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
import torch
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend
from skorch.dataset import Dataset
from skorch.utils import is_dataset
from torch import nn

from sklearn_mixup._classifier import MixupClassifier
from sklearn_mixup._engine.lane import Lane, Shared, initialize
from sklearn_mixup._engine.lockstep import ROUNDS_OTHERWISE, Group
from sklearn_mixup._engine.stack import describe, fingerprint
from sklearn_mixup._engine.stack_optimizer import ELEMENTWISE, SCALED
from sklearn_mixup._fused.progress import Progress
from sklearn_mixup._fused.spread import Kind, count_chunks, measure, spread
from sklearn_mixup._net.device import fixed_threads, one_blas_thread
from sklearn_mixup._net.session import MINIBATCHES_OPTIONS, draw_seeds
from sklearn_mixup._net.validation import Validation, validated
from sklearn_mixup._net.vicinal_net import VicinalNet
from sklearn_mixup._regressor import MixupRegressor
from sklearn_mixup.minibatches import Minibatches

__all__ = ["fit_fused"]

_Net = TypeVar("_Net", bound=VicinalNet)

# What may differ between nets of a stack. All else is the same for the nets that share one.
_FUSED = {
    "alpha",
    "dropout",
    "vicinity",
    "pairs",
    "erm_weight",
    "n_neighbors",
    "bandwidth",
    "lam_per",
    "erm_epochs",
    "early_stopping",
    "validation_fraction",
    "n_iter_no_change",
    "class_weight",
    "classes",
    "random_state",
    "lr",
    "optimizer__lr",
    "optimizer__weight_decay",
}


def _why_alone(net: Any, X: Any, fit_params: Mapping[str, Any]) -> str | None:
    """Say what keeps a net from being fused, None if nothing is known to."""
    if type(net) not in (MixupClassifier, MixupRegressor):
        return f"{type(net).__name__} may do more in a step than MixupClassifier does"
    if other := sorted(fit_params.keys() - {"sample_weight"}):
        return f"fit is given {', '.join(other)}"
    if net.warm_start and net.initialized_:
        return "warm_start goes on with what a net has learned"
    if is_dataset(X) or net.dataset is not Dataset:
        return "a torch Dataset yields its rows one by one"
    if net.callbacks:
        return "a callback may need its net at any time"
    settings = net.get_params(deep=False)
    if any(name.startswith("callbacks__") and settings[name] is not None for name in settings):
        return "a callback may need its net at any time"
    if net.verbose and settings.get("callbacks__print_log", net) is not None:
        return "verbose > 0 prints the epochs of one net"
    if net.train_split:
        return "train_split asks for a score after each epoch"
    if net.compile:
        return "compile=True compiles one module"
    if net.precision in ("bfloat16", "float16"):
        return ROUNDS_OTHERWISE
    options = net.get_params_for("iterator_train").keys()
    if net.iterator_train is not Minibatches or options - MINIBATCHES_OPTIONS:
        return "iterator_train is not the default"
    if "augment" in options:
        return "augment may draw from the generator that all nets of a stack share"
    if net.optimizer not in ELEMENTWISE:
        return f"{getattr(net.optimizer, '__name__', net.optimizer)} is not an optimizer that " + (
            "treats each number apart"
        )
    return None


# A net to train, its X and y, the keyword arguments of its fit, its seeds if they are drawn, and
# what it is validated on.
_Job = tuple[Any, Any, Any, Mapping[str, Any], "list[int] | None", "Validation | None"]
# The net, or what it raised; its share of the time, in seconds; why it was trained alone, if so.
_Outcome = tuple[Any, float, "str | None"]
# What looks at a net after each of its epochs.
_Look = Callable[[Any], None]


def _ignore(n_steps: int) -> None:
    """Show no progress."""


def _fit_alone(job: _Job, reason: str, on_epoch_end: _Look | None) -> _Outcome:
    """Fit one net by its own ``fit``."""
    net, X, y, fit_params, _, validation = job
    start = time.perf_counter()
    try:
        with _telling(net, on_epoch_end), validated(net, validation):
            result = net.fit(X, y, **fit_params)
    except Exception as error:
        result = error
    return result, time.perf_counter() - start, reason


@contextmanager
def _telling(net: Any, on_epoch_end: _Look | None) -> Iterator[None]:
    """Let a net call `on_epoch_end` when its callbacks have seen the end of an epoch."""
    if on_epoch_end is None:
        yield
        return
    tell_callbacks = net.notify

    def notify(method_name: str, **kwargs: Any) -> None:
        tell_callbacks(method_name, **kwargs)
        if method_name == "on_epoch_end":
            on_epoch_end(net)

    net.notify = notify
    try:
        yield
    finally:
        del net.notify


@torch.inference_mode(False)  # It may be called where gradients are off.
@torch.enable_grad()
def _fit_chunk(
    jobs: Sequence[_Job], progress: Callable[[int], None], on_epoch_end: _Look | None
) -> list[_Outcome]:
    """Fit nets together, those of one shape as one stack."""
    outcomes: dict[int, _Outcome] = {}
    lanes: dict[int, Lane] = {}
    start = time.perf_counter()
    try:
        shared = Shared()
        for i, job in enumerate(jobs):
            try:
                *_, validation = job
                lanes[i] = Lane(*job[:5], shared, validation)
            except Exception as error:  # noqa: PERF203
                outcomes[i] = error, time.perf_counter() - start, None
        del shared
        for i, failed in initialize(lanes).items():
            del lanes[i]
            outcomes[i] = failed, time.perf_counter() - start, None
        groups: dict[str, list[int]] = {}
        for i, lane in lanes.items():
            groups.setdefault(lane.key(), []).append(i)
        prepared = (time.perf_counter() - start) / len(jobs)
        for members in groups.values():
            start = time.perf_counter()
            try:
                Group([lanes[i] for i in members]).fit(progress, on_epoch_end)
            except Exception as error:
                for i in members:
                    lanes.pop(i).rewind()
                if isinstance(error, torch.cuda.OutOfMemoryError) and len(members) > 1:
                    for half in members[::2], members[1::2]:
                        found = _fit_chunk([jobs[i] for i in half], progress, on_epoch_end)
                        outcomes.update(zip(half, found, strict=True))
                    continue
                # Whether it is the stack's or a net's own will show when each is trained alone.
                for i in members:
                    reason = f"{type(error).__name__}: {error}"
                    outcomes[i] = _fit_alone(jobs[i], reason, on_epoch_end)
                continue
            seconds = prepared + (time.perf_counter() - start) / len(members)
            for i in members:
                diverged = lanes.pop(i).failed
                outcomes[i] = jobs[i][0] if diverged is None else diverged, seconds, None
    finally:
        for lane in lanes.values():  # interrupted before it had learned anything
            if not lane.is_closed:
                lane.rewind()
    return [outcomes[i] for i in range(len(jobs))]


def _settings(net: Any, X: Any) -> str:
    """Write down what nets must have in common to be trained together, as far as it is known."""
    scaled = net.optimizer in SCALED and "optimizer__param_groups" not in vars(net)
    fused = _FUSED if scaled else _FUSED - {"lr", "optimizer__lr", "optimizer__weight_decay"}
    values = {name: v for name, v in net.get_params(deep=False).items() if name not in fused}
    if isinstance(net.module, nn.Module):  # Instances may start from other numbers.
        values["module"] = describe(net.module)
    shown = fingerprint(values)
    inputs = X if isinstance(X, Mapping) else {"X": X}
    shapes = [(name, getattr(part, "shape", (0, 0))[1:]) for name, part in inputs.items()]
    return f"{shown} {shapes}"


def _cut(group: list[int], jobs: Sequence[_Job], size: int, n_workers: int) -> list[list[int]]:
    """Cut nets into chunks of so many at most, one for each worker at least."""
    # Nets that drop nothing are quicker among themselves.
    group = sorted(group, key=lambda i: bool(jobs[i][0].dropout))
    n_chunks = count_chunks(len(group), size, n_workers)
    return [part.tolist() for part in np.array_split(group, n_chunks)]


def fit_together(
    estimators: Sequence[Any],
    Xs: Sequence[Any],
    ys: Sequence[Any],
    fit_params: Sequence[Mapping[str, Any]],
    *,
    max_fused: int | str = "auto",
    n_jobs: int | None = None,
    verbose: int = 0,
    on_epoch_end: _Look | None = None,
    stacklevel: int = 3,
    validation: Sequence[Any] | None = None,
) -> list[tuple[Any, float]]:
    """Fit every estimator, in place; return it, or the exception it raised, and its seconds.

    A net with a `validation`, a `Validation` or a tuple of what that holds, looks at these rows
    after each epoch, notes ``valid_loss`` in its history, and keeps what it had learned in its best
    epoch. One warning tells which nets could not be fused, and why; `stacklevel` is where the user
    is.
    """
    if not (max_fused == "auto" or (isinstance(max_fused, Integral) and max_fused >= 1)):
        raise ValueError(f'`max_fused` must be "auto" or an int >= 1; got {max_fused!r}.')
    states = Counter(id(getattr(net, "random_state", None)) for net in estimators)
    jobs: list[_Job] = []
    groups: dict[str, list[int]] = {}
    reasons: dict[int, str] = {}
    validation = [None] * len(estimators) if validation is None else validation
    columns = zip(estimators, Xs, ys, fit_params, validation, strict=True)
    for i, (net, X, y, params, own) in enumerate(columns):
        seeds = None
        if (reason := _why_alone(net, X, params)) is not None:
            reasons[i] = reason
        else:
            groups.setdefault(_settings(net, X), []).append(i)
            state = net.random_state
            if isinstance(state, np.random.RandomState) and states[id(state)] > 1:
                # Nets that share one draw from it in their order, whatever that of the stacks.
                seeds = draw_seeds(state)
        jobs.append((net, X, y, params, seeds, None if own is None else Validation(*own)))
    backend, _ = get_active_backend(prefer="threads")
    n_workers, n_threads_each = effective_n_jobs(n_jobs), 1
    shares_memory = n_workers == 1 or getattr(backend, "supports_sharedmem", False)
    asks_for_several = n_workers > 1
    most = None if max_fused == "auto" else int(max_fused)
    spreads = shares_memory and n_workers > 1
    kinds = [
        # Nothing of a net is made here where it is not needed.
        measure([jobs[i] for i in group]) if spreads or most is None else Kind(len(group))
        for group in groups.values()
    ]
    if spreads and kinds:
        largest = max(kinds, key=lambda kind: kind.n_nets * kind.n_flops)
        n_workers, n_threads_each = spread(n_workers, largest, most)
        n_jobs = n_workers
    chunks = [[i] for i in reasons]
    for group, kind in zip(groups.values(), kinds, strict=True):
        chunks += _cut(group, jobs, most or kind.most(n_workers, n_threads_each), n_workers)
    outcomes: dict[int, _Outcome] = {}
    # Results as they come, for the bar; ray's and multiprocessing's backends give them at the end.
    as_they_come = getattr(backend, "supports_return_generator", False)
    is_compiled = any(kind.is_compiled for kind in kinds)
    with (
        # By this thread: a library may listen to one alone.
        one_blas_thread if is_compiled and shares_memory else nullcontext(),
        Progress([(net, X) for net, X, *_ in jobs], len(chunks), verbose) as progress,
    ):
        n_threads = torch.get_num_threads()
        return_as = "generator" if as_they_come else "list"
        parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as=return_as)
        run_chunk = progress.counted(_run_chunk) if shares_memory else _run_chunk
        done = parallel(
            delayed(run_chunk)(
                [jobs[i] for i in chunk],
                reasons.get(chunk[0]),
                n_threads=n_threads_each if asks_for_several else None,
                progress=partial(progress.advance, chunk[0]) if shares_memory else _ignore,
                on_epoch_end=on_epoch_end,
            )
            for chunk in chunks
        )
        try:
            for chunk, results in zip(chunks, done, strict=True):
                outcomes.update(zip(chunk, results, strict=True))
                progress.finish(chunk, results)
        finally:
            torch.set_num_threads(n_threads)
    for i, (net, *_) in enumerate(jobs):
        result, seconds, reason = outcomes[i]
        if isinstance(result, Exception):
            reasons.pop(i, None)  # It was not trained at all.
        elif reason is not None:
            reasons[i] = reason
        if not isinstance(result, Exception) and result is not net:  # from another process
            net.__dict__ = result.__dict__
            outcomes[i] = net, seconds, reason
    if reasons:
        listed = "; ".join(sorted({*reasons.values()}))
        warnings.warn(
            f"{len(reasons)} of {len(jobs)} nets could not be fused and were trained one by one, "
            f"with the same results: {listed}.",
            stacklevel=stacklevel,
        )
    return [outcomes[i][:2] for i in range(len(jobs))]


def _run_chunk(
    jobs: Sequence[_Job],
    reason: str | None,
    *,
    n_threads: int | None,
    progress: Callable[[int], None],
    on_epoch_end: _Look | None,
) -> list[_Outcome]:
    """Fit nets together, or the one net that cannot be fused; a task for joblib."""
    if reason is not None:
        if n_threads is not None:
            torch.set_num_threads(n_threads)
        return [_fit_alone(jobs[0], reason, on_epoch_end)]
    with nullcontext() if n_threads is None else fixed_threads(n_threads):
        return _fit_chunk(jobs, progress, on_epoch_end)


def fit_fused(
    estimators: Sequence[_Net],
    Xs: Sequence[Any],
    ys: Sequence[Any],
    *,
    sample_weights: Sequence[Any] | None = None,
    max_fused: int | str = "auto",
    n_jobs: int | None = None,
    verbose: int = 0,
    on_epoch_end: Callable[[_Net], None] | None = None,
) -> list[_Net]:
    """Fit many nets at once, each on its own rows, as one stack [1]_.

    A small net leaves a machine idle most of the time. Here the operations of many nets are one
    batched operation, while each net sees the minibatches, ``lam`` and partners that it would
    have drawn alone: without dropout it ends with the same weights, to rounding. With dropout
    the masks are other ones of the same distribution.

    Nets that share a stack may differ in their rows, `alpha`, `dropout`, `vicinity`, `pairs` and
    their `n_neighbors` and `bandwidth`, `erm_weight` above 0, `lam_per`, `erm_epochs`,
    `class_weight`, `random_state`, `lr`, ``optimizer__weight_decay``, `validation_fraction` and
    `n_iter_no_change`; what differs in anything else goes into another stack.

    Parameters
    ----------
    estimators : list of MixupClassifier or MixupRegressor
        The nets, fitted in place.
    Xs, ys : list of array-like
        The data of each, as its ``fit`` takes them. The same array may occur many
        times: it is checked once, and lies on the device once.
    sample_weights : list of array-like, default=None
        The weights of the rows of each net; an entry may be None.
    max_fused : int or "auto", default="auto"
        How many nets are trained together at most. "auto" goes by the memory that is free, and on
        a CPU by the cache. It makes no difference to the result.
    n_jobs : int, default=None
        How many threads train, -1 all there are: as many stacks at a time, and threads in each, as
        suit the size and the number of the nets. ``joblib.parallel_config`` sends stacks to so many
        processes, or to the workers of a cluster.
    verbose : int, default=0
        1 shows a progress bar.
    on_epoch_end : callable, default=None
        ``on_epoch_end(net)`` is called after each epoch of each net, in its thread or process, when
        the net can predict with what it has learned so far. It may note what it finds, as by
        ``net.history.record("test_error", 0.1)``; it must not change the weights.

    Returns
    -------
    list of MixupClassifier or MixupRegressor
        `estimators`.

    Raises
    ------
    ValueError
        If the lists are not of one length, `max_fused` is not as said above, or a net cannot be
        fitted: what its own ``fit`` raises.
    KeyboardInterrupt
        If somebody presses Ctrl-C. A net keeps what it has learned up to its last whole epoch; one
        that has none is unfitted.

    Warns
    -----
    UserWarning
        If nets cannot be fused, with the reasons; these are fitted one by one. Reasons are
        callbacks, `train_split`, torch Datasets, subclasses, optimizers like LBFGS, a `precision`
        below float32, and modules that :func:`torch.func.vmap` does not take.

    See Also
    --------
    FusedGridSearchCV : GridSearchCV, all nets of which are trained this way.

    References
    ----------
    .. [1] Wang et al., "Horizontally Fused Training Array: An Effective Hardware Utilization
       Squeezer for Training Novel Deep Learning Models", MLSys 2021.

    Examples
    --------
    Five seeds of a net at once:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mixup import MixupClassifier, fit_fused
    >>> X, y = load_iris(return_X_y=True)
    >>> nets = [MixupClassifier(max_epochs=20, random_state=seed) for seed in range(5)]
    >>> nets = fit_fused(nets, [X] * 5, [y] * 5)
    >>> all(net.score(X, y) > 0.8 for net in nets)
    True
    """
    weights = [None] * len(estimators) if sample_weights is None else sample_weights
    lengths = {"estimators": len(estimators), "Xs": len(Xs), "ys": len(ys)}
    if len({*lengths.values(), len(weights)}) > 1:
        raise ValueError(
            "`estimators`, `Xs`, `ys` and `sample_weights` must have an entry for each net; got "
            f"{lengths}, and {len(weights)} weights."
        )
    if len({id(estimator) for estimator in estimators}) < len(estimators):
        raise ValueError("Each of `estimators` must be another object; got one twice. Clone it.")
    params = [{} if weight is None else {"sample_weight": weight} for weight in weights]
    outcomes = fit_together(
        estimators,
        Xs,
        ys,
        params,
        max_fused=max_fused,
        n_jobs=n_jobs,
        verbose=verbose,
        on_epoch_end=on_epoch_end,
    )
    for result, _ in outcomes:
        if isinstance(result, Exception):
            raise result
    return list(estimators)
