import pytest
import torch
from torch.utils.data import Subset, TensorDataset

import sklearn_mixup.minibatches as minibatches_module
from sklearn_mixup.minibatches import Minibatches, content_order, map_tensors, peel


def table(n_rows=11):
    return torch.arange(2.0 * n_rows).view(n_rows, 2), torch.arange(n_rows)


@pytest.mark.parametrize("batch_size", [1, 4, 11, 20])
@pytest.mark.parametrize("chunk_bytes", [1, 200, 2**26])
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_visits_each_row_once_whatever_the_chunks(batch_size, chunk_bytes, shuffle):
    X, y = table()
    minibatches = Minibatches(X, y, batch_size=batch_size, shuffle=shuffle, chunk_bytes=chunk_bytes)
    batches = list(minibatches)
    assert len(batches) == len(minibatches)
    assert all(len(yi) == batch_size for _, yi in batches[:-1])
    visited = torch.cat([yi for _, yi in batches])
    assert visited.sort().values.tolist() == y.tolist()
    assert torch.equal(torch.cat([Xi for Xi, _ in batches]), X[visited])
    if not shuffle:
        assert torch.equal(visited, y)


def test_shuffle_changes_from_epoch_to_epoch_and_follows_the_generator():
    X, y = table(100)

    def epochs(seed):
        rng = torch.Generator().manual_seed(seed)
        minibatches = Minibatches(X, y, batch_size=30, shuffle=True, rng=rng)
        return [torch.cat([yi for _, yi in minibatches]).tolist() for _ in range(2)]

    first, second = epochs(0)
    assert first != second
    assert epochs(0) == [first, second]
    assert epochs(1)[0] != first


def test_drop_last_leaves_out_the_short_minibatch():
    X, y = table()
    assert [len(yi) for _, yi in Minibatches(X, y, batch_size=4, drop_last=True)] == [4, 4]


def test_order_chooses_rows_and_repeats_them():
    X, y = table()
    order = torch.tensor([3, 3, 0])
    batches = list(Minibatches(X, y, batch_size=2, order=order))
    assert [yi.tolist() for _, yi in batches] == [[3, 3], [0]]


def test_transform_meets_whole_minibatches_within_the_memory_bound():
    X, y = table(1000)
    seen = []

    def transform(X, y):
        seen.append(len(y))
        return X, y

    row_bytes = 4 * (2 * 4 + 8)
    chunk_bytes = 100 * row_bytes
    minibatches = Minibatches(X, y, batch_size=32, transform=transform, chunk_bytes=chunk_bytes)
    assert sum(1 for _ in minibatches) == 32
    assert max(seen) * row_bytes <= chunk_bytes
    assert all(n_rows % 32 == 0 for n_rows in seen[:-1])


@pytest.mark.parametrize("shuffle", [True, False])
def test_writing_to_a_minibatch_leaves_the_data_alone(shuffle):
    X, y = table()
    for Xi, _ in Minibatches(X, y, batch_size=4, shuffle=shuffle):
        Xi.zero_()
    assert torch.equal(X, table()[0])


def test_dicts_and_tuples_are_sliced_alike():
    X, y = table()
    batches = list(Minibatches({"a": X, "b": -X}, (y, 2 * y), batch_size=4, shuffle=True))
    for Xi, (own, double) in batches:
        assert torch.equal(Xi["a"], -Xi["b"])
        assert torch.equal(2 * own, double)
    assert sum(len(Xi["a"]) for Xi, _ in batches) == 11


def test_map_tensors_keeps_the_structure():
    doubled = map_tensors(lambda t: 2 * t, {"a": (torch.ones(1), [torch.ones(1)])})
    assert doubled == {"a": (torch.tensor([2.0]), [torch.tensor([2.0])])}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("block_bytes", [1, 2**24])
def test_content_order_does_not_depend_on_how_rows_are_stored(dtype, block_bytes, monkeypatch):
    monkeypatch.setattr(minibatches_module, "_HASHED_BYTES", block_bytes)
    rng = torch.Generator().manual_seed(0)
    X = torch.randn(50, 3, generator=rng).to(dtype)
    y = torch.randint(3, (50,), generator=rng)
    shuffled = torch.randperm(50, generator=rng)
    ordered = X[content_order(X, y)]
    assert torch.equal(ordered, X[shuffled][content_order(X[shuffled], y[shuffled])])
    assert not torch.equal(ordered, X)
    columns_first = X.t().contiguous().t()
    assert torch.equal(ordered, X[content_order(columns_first, y)])


def test_content_order_keeps_equal_rows_together_and_tells_labels_apart():
    y = torch.tensor([0, 1, 0, 1])
    assert y[content_order(torch.zeros(4, 2), y)].diff().abs().sum() == 1


def test_content_order_tells_rows_of_small_whole_numbers_apart():
    # Their floating-point bits end in zeros, which makes sums of them likelier to meet.
    X = torch.cartesian_prod(*[torch.arange(6.0)] * 6)
    keys = minibatches_module._hash_rows(X)
    assert len(keys.unique()) == len(X) == 6**6


def test_peel_finds_the_rows_of_nested_subsets():
    data = TensorDataset(torch.arange(10))
    base, rows = peel(Subset(Subset(data, [5, 6, 7, 8]), [3, 0]))
    assert base is data
    assert rows.tolist() == [8, 5]
    assert peel(data) == (data, None)
