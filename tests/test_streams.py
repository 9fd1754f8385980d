"""Random numbers by counter. Statistical tests state how often a right generator fails them."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.utils._python_dispatch import TorchDispatchMode

from sklearn_mixup import MixupClassifier
from sklearn_mixup._engine.lane import Lane, Shared, initialize
from sklearn_mixup._engine.lockstep import Group
from sklearn_mixup._net.device import resolve_device
from sklearn_mixup._streams import Stream, draw_words, sort_words, uniform, word_at, words_at
from sklearn_mixup.vicinal import draw_lam

# A right generator fails a test once in so many runs with other seeds.
ONCE_IN = 1e6
N = 2**15


def test_words_are_those_published_for_splitmix64():
    # The first outputs for the seed 1234567 of "Pseudo-random numbers/Splitmix64" in Rosetta Code,
    # which took them from Vigna's C code.
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    words = words_at(torch.tensor(1234567), 5)
    assert words.numpy().view(np.uint64).tolist() == published
    assert [word_at(1234567, i) % 2**64 for i in range(5)] == published


@pytest.mark.parametrize("key", [0, 1, -1, 2**63 - 1, -(2**63)])
def test_host_and_tensors_compute_the_same_words(key):
    words = words_at(torch.tensor([key]), 50, first=2**40)
    assert words.tolist() == [[word_at(key, 2**40 + i) for i in range(50)]]


@pytest.mark.machines
def test_words_have_the_same_bits_on_the_device():
    device = resolve_device("auto")
    streams = [Stream(seed, device) for seed in range(3)]
    words = draw_words(streams, 1000)
    assert words.device.type == torch.device(device).type
    assert torch.equal(words.cpu(), draw_words([Stream(seed) for seed in range(3)], 1000))


def test_words_do_not_depend_on_what_is_drawn_at_once():
    together = draw_words([Stream(seed) for seed in (4, 9)], 30)
    one = Stream(9)
    parts = torch.cat([draw_words([one], n) for n in (1, 0, 12, 17)], 1)
    assert torch.equal(parts, together[1:])


def test_streams_at_other_places_draw_together_as_alone():
    streams = [Stream(seed) for seed in (4, 9)]
    draw_words(streams[:1], 11)
    assert torch.equal(draw_words(streams, 5)[0], draw_words([Stream(4)], 16)[0, 11:])


def test_a_stream_goes_on_from_its_state():
    stream = Stream(3)
    draw_words([stream], 100)
    state = stream.get_state()
    later, other = draw_words([stream], 7), Stream(3)
    other.set_state(state)
    assert torch.equal(draw_words([other], 7), later)


def uniform_of(seed, purpose=0, n=N):
    return uniform(draw_words([Stream(seed, purpose=purpose)], n))[0]


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 2, 2**62])
def test_numbers_are_uniform_on_the_half_open_interval(seed):
    numbers = uniform_of(seed)
    assert numbers.dtype == torch.float64
    assert 0 <= float(numbers.min()) < float(numbers.max()) < 1
    assert stats.kstest(numbers.numpy(), "uniform").pvalue > 1 / ONCE_IN


def test_the_largest_word_is_below_one_and_the_least_is_zero():
    words = torch.tensor([-1, 0, 2**63 - 1, -(2**63)])
    assert uniform(words).tolist() == [1 - 2.0**-53, 0, 0.5 - 2.0**-53, 0.5]


def test_each_bit_is_set_half_of_the_time_whatever_the_others():
    words = draw_words([Stream(5)], N)[0].numpy().view(np.uint64)
    bits = ((words[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)).astype(float)
    # 64 + 2016 normal variables of deviation 1, the largest below 6.2 but once in 1e6.
    assert np.abs(bits.mean(0) - 0.5).max() * 2 * N**0.5 < 6.2
    correlations = np.corrcoef(bits, rowvar=False) - np.eye(64)
    assert np.abs(correlations).max() * N**0.5 < 6.2


def test_words_that_follow_each_other_are_independent():
    numbers = uniform_of(8)
    for lag in (1, 2, 3, 32, 1000):
        table, *_ = np.histogram2d(numbers[lag:].numpy(), numbers[:-lag].numpy(), bins=16)
        assert stats.chi2_contingency(table).pvalue > 1 / ONCE_IN


def test_streams_of_neighbouring_seeds_and_other_purposes_are_independent():
    rows = torch.stack([uniform_of(seed, purpose) for seed in range(10) for purpose in range(4)])
    correlations = torch.corrcoef(rows) - torch.eye(len(rows))
    assert correlations.abs().max() * N**0.5 < 6.5  # of 780 normal variables
    words = draw_words([Stream(seed, purpose=p) for seed in range(10) for p in range(4)], N)
    assert len(words.unique()) == words.numel()  # else two streams overlap
    for first, second in ((0, 1), (0, 4), (1, 4)):  # the same words at other places
        table, *_ = np.histogram2d(rows[first].numpy(), rows[second].numpy(), bins=16)
        assert stats.chi2_contingency(table).pvalue > 1 / ONCE_IN


@pytest.mark.parametrize("n_rows", [3, 4])
def test_words_sort_to_each_permutation_alike(n_rows):
    order = draw_words([Stream(6)], 24_000 * n_rows).view(-1, n_rows).argsort(-1)
    codes = (order * n_rows ** torch.arange(n_rows)).sum(1)
    _, counts = codes.unique(return_counts=True)
    assert len(counts) == {3: 6, 4: 24}[n_rows]
    assert stats.chisquare(counts.numpy()).pvalue > 1 / ONCE_IN


# -- what is drawn by them ------------------------------------------------------------------------


class Counted(TorchDispatchMode):
    """Counts operations."""

    n_calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.n_calls += 1
        return func(*args, **kwargs or {})


def count_draws(n_nets, iris, epoch=2):
    """Count the operations that draw an epoch of a stack: its rows, partners, lam and dropout."""
    params = [{"alpha": 0.1 + i, "dropout": 0.5, "random_state": i} for i in range(n_nets)]
    nets = [MixupClassifier(module__hidden_sizes=(5,), **each) for each in params]
    shared = Shared()
    lanes = [Lane(net, *iris, {}, None, shared) for net in nets]
    initialize(dict(enumerate(lanes)))
    group = Group(lanes)
    for _ in range(epoch):
        for lane in group.lanes:
            lane.begin_epoch()
        with Counted() as counted:
            group.rows.draws.draw(range(n_nets))
            group.masks.begin(0)
            group.masks.draw(0, n_nets, 0, 4, 160)
    return counted.n_calls


def test_a_stack_draws_by_as_many_operations_whatever_the_number_of_nets(iris):
    assert count_draws(2, iris) == count_draws(6, iris) > 0


@pytest.mark.parametrize("lam_per", ["minibatch", "sample"])
def test_a_fit_draws_the_same_however_many_rows_are_mixed_at_once(iris, lam_per):
    coefs = []
    for chunk_bytes in (1, 3_000, 2**26):
        net = MixupClassifier(
            module__hidden_sizes=(5,),
            max_epochs=3,
            lam_per=lam_per,
            random_state=0,
            iterator_train__chunk_bytes=chunk_bytes,
        )
        coefs.append(net.fit(*iris).module_.output.weight.detach())
    torch.testing.assert_close(coefs[0], coefs[1])
    torch.testing.assert_close(coefs[0], coefs[2])


@pytest.mark.parametrize("n_words", [7, 600])
def test_words_are_sorted_row_by_row(n_words):
    words = draw_words([Stream(seed) for seed in range(3)], n_words)
    assert torch.equal(words.gather(1, sort_words(words)), words.sort(1).values)


@pytest.mark.parametrize("n_words", [1, 700, 5_000])
def test_words_drawn_one_stream_at_a_time_are_those_drawn_together(n_words):
    alone, together = [Stream(4)], [Stream(4), Stream(5)]
    for _ in range(3):
        assert torch.equal(draw_words(alone, n_words)[0], draw_words(together, n_words)[0])
    alone[0].set_state(n_words)
    assert torch.equal(draw_words(alone, 9)[0], draw_words([Stream(4)], n_words + 9)[0, n_words:])


@pytest.mark.machines
@pytest.mark.parametrize("alpha", [0.1, 1.0, 7.0])
@pytest.mark.parametrize("n_streams", [2, 3, 5])
def test_lam_is_the_same_to_the_bit_whichever_streams_draw_in_the_same_call(alpha, n_streams):
    """In float64, of which no last bit is rounded away: kernels end in numbers of another kind."""
    for n_lams in range(1, 40):
        seeds = range(n_streams)
        alone = [draw_lam([Stream(seed, "cpu")], n_lams, [alpha]) for seed in seeds]
        alphas = [alpha] * n_streams
        together = draw_lam([Stream(seed, "cpu") for seed in seeds], n_lams, alphas)
        assert torch.equal(together, torch.cat(alone))
