"""Training on shards in one process: next to plain training, and with the same bits whatever is not a size."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tolerance import assert_close

import pyrnn
from pyrnn import layers, seeds
from pyrnn.data import as_batches
from pyrnn.distributed import DataParallel
from pyrnn.distributed.communicator import GradientSum
from pyrnn.distributed.passes import blocks_of
from shards.models import MODELS, OPTIMIZERS, ROWS, SHAPE, Attributes, data, digest, trained

# Random numbers, statistics of a batch or `forward_pass` depend on the shards.
OF_SHARDS = {"recurrent_dropout", "batch_norm", "noise", "attention", "wide", "drawing", "stateful", "called",
             "own_passes", "subclassed", "graph", "nested"}  # fmt: skip


def on_shards(shards: int, name: str, *arguments: Any, **options: Any) -> Any:
    with DataParallel(shards).scope():
        return trained(name, *arguments, **options)


@pytest.mark.parametrize("name", sorted(set(MODELS) - OF_SHARDS))
def test_shards_train_like_whole_batches(name: str) -> None:
    model, history = trained(name, "sgd")
    sharded, sharded_history = on_shards(4, name, "sgd")
    for array, expected in zip(sharded.get_weights(), model.get_weights(), strict=True):
        assert_close(array, expected, terms=ROWS * SHAPE[0], what=name)
    assert history.keys() == sharded_history.keys()
    for key, values in history.items():
        assert_close(np.asarray(sharded_history[key], np.float32), values, terms=ROWS * SHAPE[0], what=key)


@pytest.mark.parametrize("name", MODELS)
def test_threads_do_not_change_the_bits(name: str) -> None:
    before = pyrnn.get_num_threads()
    digests = []
    try:
        for threads in (1, 2, 2):
            pyrnn.set_num_threads(threads)
            digests.append(digest(*on_shards(8, name, epochs=1)))
    finally:
        pyrnn.set_num_threads(before)
    assert len(set(digests)) == 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer(optimizer: str) -> None:
    options = {"gradient_accumulation_steps": 2, "global_clipnorm": 0.5, "use_ema": True}
    make = getattr(pyrnn.optimizers, optimizer)
    plain, sharded = trained("lstm", make(0.01, **options)), on_shards(8, "lstm", make(0.01, **options))
    np.testing.assert_allclose(sharded[1]["loss"], plain[1]["loss"], rtol=1e-3)
    assert digest(*sharded) == digest(*on_shards(8, "lstm", make(0.01, **options)))


@pytest.mark.parametrize("name", ["lstm", "masking", "convolution", "batch_norm", "attributes"])
def test_one_shard_is_the_whole_batch(name: str) -> None:
    assert digest(*trained(name)) == digest(*on_shards(1, name))


def model_on(shards: int | None, model: Any, *arguments: Any, **options: Any) -> Any:
    """Train a model that is compiled; return its history."""
    with contextlib.nullcontext() if shards is None else DataParallel(shards).scope():
        return model.fit(*arguments, verbose=0, **options).history


@pytest.mark.parametrize("loss", ["mse", pyrnn.losses.MeanSquaredError(reduction="mean_with_sample_weight")])
def test_weights_and_masks_count_over_the_whole_batch(loss: Any) -> None:
    x, _ = data()
    y = x[:, :, :1] * 2
    weight = np.linspace(0, 3, ROWS)
    results = []
    for shards in (None, 4):
        pyrnn.utils.set_random_seed(3)
        model = pyrnn.Sequential(
            [layers.Input(SHAPE), layers.Masking(), layers.GRU(4, return_sequences=True), layers.Dense(1)]
        )
        model.compile("sgd", loss, weighted_metrics=["mae"])
        history = model_on(shards, model, x, y, sample_weight=weight, batch_size=9)
        results.append([*model.get_weights(), *(np.float32(value) for value in history.values())])
    for plain, sharded in zip(*results, strict=True):
        assert_close(sharded, plain, terms=ROWS * SHAPE[0])


def test_class_weights() -> None:
    x, y = data()
    results = []
    for shards in (None, 4):
        pyrnn.utils.set_random_seed(3)
        model = MODELS["lstm"]()
        model.compile("sgd", pyrnn.losses.BinaryCrossentropy(from_logits=True))
        model_on(shards, model, x, y > 0, class_weight={0: 0.3, 1: 2.0})
        results.append(model.get_weights())
    for plain, sharded in zip(*results, strict=True):
        assert_close(sharded, plain, terms=ROWS * SHAPE[0])


def test_dropout_follows_from_the_shard() -> None:
    """The masks of a shard do not depend on which shards ran before, and the next step has others."""
    x = np.ones((8, 50), np.float32)
    model = pyrnn.Sequential([layers.Input((50,)), layers.Dropout(0.5, seed=1)])
    with DataParallel(4).scope() as distribution:
        runner = distribution.runner(model)
        first, _ = runner.forward_pass(x, training=True)
        second, _ = runner.forward_pass(x, training=True)
    rows = {row.tobytes() for row in (*first, *second)}
    assert len(rows) == 16


@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.SFC64, np.random.Philox, np.random.PCG64])
def test_every_kind_of_generator_has_a_stream_for_each_shard(kind: Any) -> None:
    from pyrnn.distributed.streams import ShardStreams

    generator = np.random.Generator(kind(3))
    streams = ShardStreams([generator], 2)
    drawn = []
    for shard in (0, 1, 1, 0):
        streams.enter(shard)
        drawn.append(generator.random())
    assert drawn[0] == drawn[3] != drawn[1] == drawn[2]
    streams.leave()
    after = generator.random()
    assert after not in drawn
    streams.restore()
    assert generator.random() == np.random.Generator(kind(3)).random()


def test_rows_of_states_stay_with_their_rows() -> None:
    x, y = data(8)
    results = []
    for shards in (None, 4):
        pyrnn.utils.set_random_seed(3)
        model = pyrnn.Sequential(
            [layers.Input(batch_shape=(8, *SHAPE)), layers.LSTM(4, stateful=True), layers.Dense(1)]
        )
        model.compile("sgd", "mse")
        model_on(shards, model, x, y, batch_size=8, epochs=3, shuffle=False)
        results.append([*model.layers[0].states, *model.get_weights()])
    for plain, sharded in zip(*results, strict=True):
        assert_close(sharded, plain, terms=8 * SHAPE[0])
    with DataParallel(4).scope(), pytest.raises(ValueError, match="stateful with batch size 8, got a batch of 6"):
        model.predict_on_batch(x[:6])


def test_moving_averages_are_means_over_shards() -> None:
    x = np.arange(10, dtype=np.float32)[:, None]
    model = pyrnn.Sequential([layers.Input((1,)), layers.BatchNormalization(momentum=0.5)])
    model.compile("sgd", "mse")
    with DataParallel(4).scope():
        model.train_on_batch(x, x)
    mean, variance = model.layers[0].moving_mean.numpy(), model.layers[0].moving_variance.numpy()
    bounds = [(0, 2), (2, 5), (5, 7), (7, 10)]
    np.testing.assert_allclose(mean, 0.5 * x.mean(), rtol=1e-6)
    expected = sum((stop - start) * x[start:stop].var() for start, stop in bounds) / 10
    np.testing.assert_allclose(variance, 0.5 + 0.5 * expected, rtol=1e-6)


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_fewer_rows_than_shards(rows: int) -> None:
    x, y = data(rows)
    results = []
    for shards in (None, 8):
        pyrnn.utils.set_random_seed(3)
        model = MODELS["lstm"]()
        model.compile("sgd", "mse")
        model_on(shards, model, x, y)
        results.append(model.get_weights())
    for plain, sharded in zip(*results, strict=True):
        assert_close(sharded, plain, terms=ROWS * SHAPE[0])


class Fails(Attributes):
    """Raises an error for one of the shards."""

    calls = 0
    backward = Attributes.backward

    def forward(self, x, *, training=False, mask=None):
        self.calls += training
        if self.calls == 3:
            raise ValueError("the third shard fails")
        return super().forward(x, training=training)


def test_a_shard_that_fails_leaves_the_model_as_it_was() -> None:
    x, y = data(8)
    noise = layers.Dropout(0.5, seed=1)
    model = pyrnn.Sequential(
        [layers.Input(batch_shape=(8, *SHAPE)), noise, layers.BatchNormalization(), Fails(),
         layers.LSTM(4, stateful=True), layers.Dense(1)]
    )  # fmt: skip
    model.compile("sgd", "mse")
    before = model.get_weights(), noise._rng.bit_generator.state, [each.copy() for each in model.layers[3].states]
    with DataParallel(4).scope(), pytest.raises(ValueError, match="the third shard fails"):
        model.train_on_batch(x, y)
    for array, expected in zip(model.get_weights(), before[0], strict=True):
        assert array.tobytes() == expected.tobytes()
    assert noise._rng.bit_generator.state == before[1]
    for state, expected in zip(model.layers[3].states, before[2], strict=True):
        assert state.tobytes() == expected.tobytes()


def test_gradients_are_sent_in_blocks_as_soon_as_they_are_written() -> None:
    """The blocks tile the vector from its end; each ends with the layer whose gradients are written last."""
    model = MODELS["wide"]()
    gru, last = model.layers[1], model.layers[3]
    sizes = [layer.count_params() for layer in (gru, last, model.layers[4])]
    blocks = blocks_of(model.plan(), 10_000)
    assert blocks == [(last, slice(sizes[0], sum(sizes))), (gru, slice(0, sizes[0]))]
    assert blocks_of(model.plan(), 10**6) == [(gru, slice(0, sum(sizes)))]
    graph = MODELS["graph"]()
    assert blocks_of(graph.plan(), 1) == [(None, slice(0, graph.count_params()))]
    written = []
    x, y = data()
    model.compile("sgd", "mse")

    class Sum(GradientSum):
        def send(self, block, sums):
            written.append((block, self._gradients[: sizes[0]].any()))
            super().send(block, sums)

    with DataParallel(8).scope() as distribution:
        distribution._communicator.begin_sum = lambda bounds, gradients, adder: Sum((0, 8), gradients)
        model.train_on_batch(x[:1], y[:1])
    # With one row there is one shard, and the gradients of the lower layer are not yet written at the first block.
    assert written == [(blocks[0][1], False), (blocks[1][1], True)]


def test_predict_evaluate_and_single_batches() -> None:
    x, y = data()
    pyrnn.utils.set_random_seed(3)
    model = MODELS["lstm"]()
    model.compile("sgd", "mse", metrics=["mae"])
    plain = model.predict(x, verbose=0), model.evaluate(x, y, verbose=0), model.test_on_batch(x, y)
    with DataParallel(8).scope():
        sharded = model.predict(x, verbose=0), model.evaluate(x, y, verbose=0), model.test_on_batch(x, y)
        assert model(x).numpy().shape == (ROWS, 1)
    for each, expected in zip(sharded, plain, strict=True):
        assert_close(np.asarray(each, np.float32), np.asarray(expected), terms=SHAPE[0] * 4)


def test_distribution_of_the_process() -> None:
    distributed = pyrnn.distributed
    assert distributed.distribution() is None
    distribution = DataParallel(2)
    assert (distribution.rank, distribution.size, distribution.shards) == (0, 1, 2)
    distributed.set_distribution(distribution)
    try:
        assert distributed.distribution() is distribution
        distribution.barrier()
        assert distribution.of_first(lambda: 5) == 5
    finally:
        distributed.set_distribution(None)
    with pytest.raises(TypeError, match="value must be a DataParallel"):
        distributed.set_distribution("mpi")
    with pytest.raises(ValueError, match="shards must be a positive integer, got 0"):
        DataParallel(0)


def test_a_process_reads_its_rows_of_shuffled_inputs() -> None:
    """The first batch of an epoch is whole, because the processes compare it; targets always are."""
    x = np.arange(1, 13, dtype=np.float32)[:, None]
    batches = as_batches(x, 2 * x, dtype="float32", batch_size=4, steps=3, shuffle=True, repeat=True)
    batches.read_only(lambda rows: slice(rows // 4, rows // 2))
    for _ in range(2):
        first, *others = batches.epoch()
        np.testing.assert_array_equal(first.y, 2 * first.x)
        for batch in others:
            np.testing.assert_array_equal(batch.x[:, 0], [0, batch.y[1, 0] / 2, 0, 0])
            assert (batch.y > 0).all()


def test_a_thread_that_sets_a_seed_trains_to_the_same_bits() -> None:
    """The seeds of a Lambda come from the stream of the thread there."""
    with DataParallel(4).scope(), ThreadPoolExecutor(1) as pool:
        before = seeds.root().bit_generator.state
        in_thread = digest(*pool.submit(trained, "drawing").result())
        assert seeds.root().bit_generator.state == before
        assert in_thread == digest(*trained("drawing"))
