import pytest
import torch
from skorch.dataset import unpack_data
from torch.utils.data import Subset, TensorDataset

import sklearn_mixup.minibatches as minibatches_module
from sklearn_mixup._gan.minibatches import Rounds
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


# -- an epoch that is no pass over the rows -------------------------------------------------------


def epochs_of(minibatches, n_epochs):
    """The rows of some epochs, each in the order of their visit."""
    return [torch.cat([yi for _, yi in minibatches]).tolist() for _ in range(n_epochs)]


@pytest.mark.parametrize(("n_rows", "n_visits"), [(11, 4), (11, 15), (11, 33), (3, 100), (1, 5)])
@pytest.mark.parametrize("batch_size", [1, 4, 50])
@pytest.mark.parametrize("chunk_bytes", [1, 2**26])
def test_every_row_is_visited_once_before_any_twice_across_epochs(
    n_rows, n_visits, batch_size, chunk_bytes
):
    X, y = table(n_rows)
    rng = torch.Generator().manual_seed(0)
    minibatches = Minibatches(
        X,
        y,
        batch_size=batch_size,
        n_visits=n_visits,
        shuffle=True,
        rng=rng,
        chunk_bytes=chunk_bytes,
    )
    epochs = epochs_of(minibatches, 12)
    assert [len(epoch) for epoch in epochs] == [n_visits] * 12
    assert len(list(minibatches)) == len(minibatches) == -(-n_visits // batch_size)
    visits = [row for epoch in epochs for row in epoch]
    for start in range(0, len(visits), n_rows):
        visited = visits[start : start + n_rows]
        assert len(set(visited)) == len(visited)


def test_passes_differ_and_follow_the_generator():
    def visits(seed):
        rng = torch.Generator().manual_seed(seed)
        minibatches = Minibatches(*table(50), batch_size=20, n_visits=125, shuffle=True, rng=rng)
        return [row for epoch in epochs_of(minibatches, 2) for row in epoch]

    passes = [visits(0)[i : i + 50] for i in range(0, 250, 50)]
    assert len(set(map(tuple, passes))) == 5
    assert visits(0) == visits(0) != visits(1)


def test_every_order_of_a_small_table_is_equally_likely():
    rng = torch.Generator().manual_seed(0)
    minibatches = Minibatches(*table(3), batch_size=300, n_visits=3 * 6000, shuffle=True, rng=rng)
    (visits,) = epochs_of(minibatches, 1)
    orders = torch.tensor(visits).view(-1, 3) @ torch.tensor([9, 3, 1])
    counts = orders.unique(return_counts=True)[1]
    assert len(counts) == 6
    # Chi-squared with 5 degrees of freedom: above 39 with a probability of 2e-7.
    assert ((counts - 1000) ** 2 / 1000).sum() < 39


def test_without_shuffle_an_epoch_goes_on_where_the_last_one_ended():
    minibatches = Minibatches(*table(5), batch_size=2, n_visits=7)
    assert epochs_of(minibatches, 3) == [
        [0, 1, 2, 3, 4, 0, 1],
        [2, 3, 4, 0, 1, 2, 3],
        [4, 0, 1, 2, 3, 4, 0],
    ]


@pytest.mark.parametrize("shuffle", [True, False])
def test_visits_are_of_the_rows_that_order_chooses(shuffle):
    order = torch.tensor([7, 3, 3])
    rng = torch.Generator().manual_seed(0)
    minibatches = Minibatches(
        *table(), batch_size=2, order=order, n_visits=5, shuffle=shuffle, rng=rng
    )
    visits = [row for epoch in epochs_of(minibatches, 3) for row in epoch]
    for start in range(0, 15, 3):
        assert sorted(visits[start : start + 3]) == [3, 3, 7]
    if not shuffle:
        assert visits == [7, 3, 3] * 5


@pytest.mark.parametrize("shuffle", [True, False])
def test_as_many_visits_as_rows_is_a_pass(shuffle):
    def epochs(n_visits):
        rng = torch.Generator().manual_seed(0)
        minibatches = Minibatches(
            *table(), batch_size=4, n_visits=n_visits, shuffle=shuffle, rng=rng
        )
        return epochs_of(minibatches, 3)

    assert epochs(None) == epochs(11)


def test_a_short_last_minibatch_of_visits_may_be_left_out():
    minibatches = Minibatches(*table(5), batch_size=4, n_visits=7, drop_last=True)
    assert [len(yi) for _, yi in minibatches] == [4]
    assert len(minibatches) == 1


# -- rounds ---------------------------------------------------------------------------------------


def read_round(minibatch):
    """Unpack a minibatch as a GAN has it: rows, their weights, and the codes of their classes."""
    X, y = unpack_data(minibatch)
    return X, (X[:, 0], y)


def test_rounds_join_minibatches_and_start_the_loader_over():
    loader = Minibatches(*table(5), batch_size=2)  # minibatches of 2, 2 and 1 rows
    rounds = Rounds(loader, read_round, n_minibatches=2, n_rounds=3)
    assert len(rounds) == 3
    assert [yi.tolist() for _, (_, yi, _) in rounds] == [[0, 1, 2, 3], [4, 0, 1], [2, 3, 4]]
    # Another epoch goes on where this one ended: here with the loader's first minibatch.
    assert [yi.tolist() for _, (_, yi, _) in rounds] == [[0, 1, 2, 3], [4, 0, 1], [2, 3, 4]]
    for Xi, (lam, yi, _) in rounds:
        assert torch.equal(Xi, table(5)[0][yi])
        assert torch.equal(lam, Xi[:, 0])
    assert [sizes for _, (_, _, sizes) in rounds] == [[2, 2], [1, 2], [2, 1]]


def test_rounds_go_on_in_the_middle_of_a_pass():
    rounds = Rounds(Minibatches(*table(6), batch_size=2), read_round, n_minibatches=1, n_rounds=2)
    epochs = [[yi.tolist() for _, (_, yi, _) in rounds] for _ in range(3)]
    assert epochs == [[[0, 1], [2, 3]], [[4, 5], [0, 1]], [[2, 3], [4, 5]]]


def test_rounds_of_a_shuffled_loader_are_shuffled_anew_in_each_pass():
    rng = torch.Generator().manual_seed(0)
    loader = Minibatches(*table(20), batch_size=5, shuffle=True, rng=rng)
    rounds = Rounds(loader, read_round, n_minibatches=4, n_rounds=3)
    passes = [yi.tolist() for _, (_, yi, _) in rounds]
    assert [sorted(rows) for rows in passes] == [list(range(20))] * 3
    assert len(set(map(tuple, passes))) == 3


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


@pytest.mark.parametrize("n_columns", [1, 3])
def test_content_order_does_not_depend_on_the_last_bits_of_numbers(n_columns):
    rng = torch.Generator().manual_seed(0)
    X = torch.randint(3, (200, 3), generator=rng).float()  # many rows have the same inputs
    y = torch.randint(5, (200, n_columns), generator=rng).float() + 0.1
    y = y.squeeze(1) if n_columns == 1 else y
    order = content_order(X, y)
    assert torch.equal(order, content_order(X, (y * 1.1).double() / 1.1))
    assert order.sort().values.tolist() == [*range(200)]
    shuffled = torch.randperm(200, generator=rng)
    for part in (X, y):
        assert torch.equal(part[order], part[shuffled][content_order(X[shuffled], y[shuffled])])


def test_content_order_tells_rows_of_small_whole_numbers_apart():
    # Their floating-point bits end in zeros, which makes sums of them likelier to meet.
    X = torch.cartesian_prod(*[torch.arange(6.0)] * 6)
    keys = minibatches_module.hash_rows(X)
    assert len(keys.unique()) == len(X) == 6**6


def test_peel_finds_the_rows_of_nested_subsets():
    data = TensorDataset(torch.arange(10))
    base, rows = peel(Subset(Subset(data, [5, 6, 7, 8]), [3, 0]))
    assert base is data
    assert rows.tolist() == [8, 5]
    assert peel(data) == (data, None)


@pytest.mark.parametrize(
    ("n_rows", "sizes"), [(9, [4, 5]), (8, [4, 4]), (10, [4, 4, 2]), (5, [5]), (1, [1]), (4, [4])]
)
@pytest.mark.parametrize("chunk_bytes", [1, 100, 2**20])
def test_a_single_last_row_joins_the_minibatch_before_it(n_rows, sizes, chunk_bytes):
    X, y = table(n_rows)
    minibatches = Minibatches(X, y, batch_size=4, join_single=True, chunk_bytes=chunk_bytes)
    assert [len(yi) for _, yi in minibatches] == sizes
    assert len(minibatches) == len(sizes)
    assert torch.equal(torch.cat([Xi for Xi, _ in minibatches]), X)


def test_a_single_last_row_that_is_dropped_joins_nothing():
    minibatches = Minibatches(*table(9), batch_size=4, join_single=True, drop_last=True)
    assert [len(yi) for _, yi in minibatches] == [4, 4]
    assert [len(yi) for _, yi in Minibatches(*table(3), batch_size=1, join_single=True)] == [1] * 3


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_without_a_target_are_refused(shuffle):
    X = torch.zeros(6, 2)
    for y in (torch.zeros(5), (torch.zeros(6), torch.zeros(7))):
        with pytest.raises(ValueError, match=r"same number of rows; got \[[56], [67]\]"):
            Minibatches(X, y, shuffle=shuffle)
