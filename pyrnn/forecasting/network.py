"""The networks of a forecaster, and their training.

A direct network has an encoder over the lookback and a decoder over the steps ahead. A recursive one has a stack of
layers over rows, each with the target of the row before; while it is trained it reads the true targets. Of both the
outputs also depend linearly on the steps ahead and on the lookback.

All members of an ensemble are trained side by side on the same batches, which are made once; they differ in their first
weights. The order of batches and every sum depend on sizes and seeds only, so that results have the same bits at any
number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pyrnn import layers, optimizers, seeds
from pyrnn.forecasting.heads import Head
from pyrnn.forecasting.history import Layout, Source
from pyrnn.forecasting.inputs import Inputs, make_inputs
from pyrnn.forecasting.usual import CORRECTIONS, DECODER, ENCODER, LINEAR, SERIES, USUAL, Usual, is_usual
from pyrnn.models import Model
from pyrnn.optimizers import Optimizer
from pyrnn.validation import WrongType, shown

Array = NDArray[Any]
Builder = Callable[..., Any]
Batch = tuple[list[Array], Array, Array]  # inputs, targets and weights
# Names of parts of recursive networks.
CHAIN, FIXED, AHEAD = "chain", "fixed", "ahead"
CELLS = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.SimpleRNN}
PREDICTED_AT_ONCE = 1024
MADE_AT_ONCE = 256  # windows
MOST_HELD = 2**28  # bytes of training windows
LARGEST_NORM = 1.0  # of a gradient
WARM_UP = 20  # updates
MEMORY = 0.99  # of Adam for squares of gradients; 0.999 remembers more updates than there are
LEAST_RATE = 0.01  # of the learning rate, at the end
PATIENCE = 0.4  # of all updates without a better loss
EVALUATIONS = 20
LARGEST_TARGET = 50.0  # in units of the scale; beyond it a target is an error of the table


@dataclass(frozen=True)
class Training:
    """How networks are trained.

    Args:
        updates: The number of updates.
        batch_size: Windows of a batch.
        learning_rate: Learning rate of Adam, after the warm-up; it then falls along a cosine.
        seeds: One for each member.
    """

    updates: int
    batch_size: int
    learning_rate: float
    seeds: tuple[int, ...]


def build(
    model: str | Builder,
    inputs: Inputs,
    layout: Layout,
    head: Head,
    *,
    units: int,
    embedding: int,
    series: int,
    seed: int,
) -> Model:
    """Return a network with first weights that depend on the seed alone.

    Args:
        model: "lstm", "gru" or "rnn", or a function that returns a symbolic output: of a direct network (B, H, any)
            for the symbolic inputs (B, L, F) and (B, H, G), of a recursive one (B, T, any) for (B, T, F).
        inputs: Windows, for their shapes.
        layout: What the network sees.
        head: What the outputs mean.
        units: Units of encoder and decoder.
        embedding: The length of the vector that is learned for each series, 0 for none.
        series: The number of series.
        seed: Seed of the first weights.
    """
    before = seeds.streams()
    seeds.set_random_seed(seed)
    try:
        return _build(model, inputs, layout, head, units, embedding, series)
    finally:
        seeds.set_streams(before)


def _build(
    model: str | Builder, inputs: Inputs, layout: Layout, head: Head, units: int, embedding: int, series: int
) -> Model:
    rows, ahead, outputs = inputs.past.shape[1], layout.horizon, head.outputs
    past, future = layers.Input(inputs.past.shape[1:]), layers.Input(inputs.future.shape[1:])
    recent, numbers = layers.Input((layout.lookback,)), layers.Input((1,), dtype="int32")
    before, ahead_of = past, future
    if embedding:
        vector = layers.Flatten()(layers.Embedding(series + 1, embedding, name=SERIES)(numbers))
        before = layers.Concatenate()([past, layers.RepeatVector(rows)(vector)])
        ahead_of = layers.Concatenate()([future, layers.RepeatVector(ahead)(vector)])
    if layout.recursive:
        chain, fixed = _chain(model, before.shape[1:], units, outputs), _fixed(ahead_of.shape[1:], layout, outputs)
        corrections = layers.Cropping1D((layout.lookback - 1, 0))(chain(before))
        raw = layers.Add()([corrections, fixed([ahead_of, recent])])
    else:
        decoded = _decoded(model, before, ahead_of, units)
        dense = layers.Dense(outputs, kernel_initializer="zeros", name=CORRECTIONS)
        corrections = dense(layers.Concatenate()([decoded, ahead_of]))
        raw = layers.Add()([corrections, _linear(recent, ahead, outputs)])
    name = None if layout.recursive or callable(model) else USUAL
    network = Model([past, future, recent, numbers] if embedding else [past, future, recent], raw, name=name)
    network.compile(optimizers.Adam(beta_2=MEMORY, clipnorm=LARGEST_NORM), head.loss())
    return network


def _decoded(model: str | Builder, before: Any, ahead_of: Any, units: int) -> Any:
    """What a direct network knows about each step ahead (B, H, any)."""
    if callable(model):
        ahead = ahead_of.shape[1]
        return _checked(model(before, ahead_of), f"(batch, horizon, features) = (None, {ahead}, any)", ahead)
    cell = CELLS[model]
    _, *state = cell(units, return_state=True, name=ENCODER)(before)
    return cell(units, return_sequences=True, name=DECODER)(ahead_of, initial_state=state)


def _chain(model: str | Builder, shape: tuple[int, ...], units: int, outputs: int) -> Model:
    """The part of a recursive network that reads row after row (B, T, F): a model that can be streamed."""
    rows = layers.Input(shape)
    if callable(model):
        read_rows = _checked(model(rows), f"(batch, rows, features) = (None, {shape[0]}, any)", shape[0])
    else:
        read_rows = CELLS[model](units, return_sequences=True)(rows)
    chain = Model(rows, layers.Dense(outputs, kernel_initializer="zeros")(read_rows), name=CHAIN)
    chain.stream()  # raises if a layer looks at later rows
    return chain


def _fixed(shape: tuple[int, ...], layout: Layout, outputs: int) -> Model:
    """The part of the outputs of a recursive network (B, H, O) that is known at the origin."""
    ahead_of, recent = layers.Input(shape), layers.Input((layout.lookback,))
    corrections = layers.Dense(outputs, use_bias=False, kernel_initializer="zeros", name=AHEAD)(ahead_of)
    return Model([ahead_of, recent], layers.Add()([corrections, _linear(recent, layout.horizon, outputs)]), name=FIXED)


def _linear(recent: Any, ahead: int, outputs: int) -> Any:
    """A linear forecast (B, H, O) from the lookback, next to the recurrent one."""
    numbers = layers.Dense(ahead * outputs, use_bias=False, kernel_initializer="zeros", name=LINEAR)(recent)
    return layers.Reshape((ahead, outputs))(numbers)


def _checked(output: Any, shape: str, rows: int) -> Any:
    """What a user's function returned, which must have as many rows."""
    received = getattr(output, "shape", None)
    if received is None or len(received) != 3 or received[1] != rows:
        raise WrongType(
            f"model must return a symbolic output of shape {shape}, got "
            f"{shown(output) if received is None else tuple(received)}"
        )
    return output


def read(network: Model, inputs: Inputs) -> Array:
    """Return the raw outputs (B, H, O) of a network, in blocks of fixed size."""
    arrays = inputs.arrays[: len(network.inputs)]
    run = Usual(network).outputs if is_usual(network) else network.predict_on_batch
    count = len(inputs.past)
    if count <= PREDICTED_AT_ONCE:
        return np.asarray(run(arrays))
    blocks = range(0, count, PREDICTED_AT_ONCE)
    return np.concatenate([run([x[first : first + PREDICTED_AT_ONCE] for x in arrays]) for first in blocks])


def train(
    networks: list[Model], head: Head, source: Source, origins: Array, validation: Array, training: Training
) -> dict[str, list[float]]:
    """Train networks side by side; each keeps the weights with which its loss on the validation windows was lowest.

    Args:
        networks: The members.
        head: What their outputs mean.
        source: The panel.
        origins: (M,) rows from which to train.
        validation: (V,) rows from which to validate, which come later.
        training: How to train.

    Returns:
        The mean validation loss of the members at each evaluation, under "val_loss", and the update before each,
        under "update".
    """
    order = np.random.default_rng(training.seeds[0])
    batches = _batches(order, origins, training)
    windows = _windows(head, source, origins, training)
    checked = make_inputs(source.gather(validation), source.layout, source.targets(validation))
    targets, weights = _targets(head, source, validation, checked)
    loss, steps = head.loss(), [cast(Optimizer, network.optimizer) for network in networks]
    best: list[tuple[float, int, Any]] = [(math.inf, 0, network.get_weights()) for network in networks]
    history: dict[str, list[float]] = {"update": [], "val_loss": []}
    every = max(1, training.updates // EVALUATIONS)
    for update in range(training.updates + 1):
        if update % every == 0 or update == training.updates:
            values = [loss.value(targets, read(network, checked), weights) for network in networks]
            for number, (network, value) in enumerate(zip(networks, values, strict=True)):
                if value < best[number][0]:
                    best[number] = (value, update, network.get_weights())
            history["update"].append(update)
            history["val_loss"].append(float(np.mean(values)))
            if update - max(at for _, at, _ in best) > PATIENCE * training.updates or update == training.updates:
                break
        inputs, y, sample_weight = windows(next(batches))
        rate = _rate(update, training)
        for network, optimizer in zip(networks, steps, strict=True):
            optimizer.learning_rate = rate
            arrays = inputs[: len(network.inputs)]
            if is_usual(network):
                Usual(network).train(arrays, y, sample_weight, loss)
            else:
                network.train_on_batch(arrays, y, sample_weight=sample_weight)
    for network, (_, _, best_weights) in zip(networks, best, strict=True):
        network.set_weights(best_weights)
    return history


def _rate(update: int, training: Training) -> float:
    warm = min(1.0, (update + 1) / WARM_UP)
    falling = 0.5 * (1 + math.cos(math.pi * update / training.updates))
    return training.learning_rate * warm * (LEAST_RATE + (1 - LEAST_RATE) * falling)


def _batches(generator: np.random.Generator, origins: Array, training: Training) -> Iterator[Array]:
    """Yield batches of places in the origins indefinitely, in a new order in each round."""
    size = min(training.batch_size, len(origins))
    while True:
        order = generator.permutation(len(origins))
        for first in range(0, len(order) - size + 1, size):
            yield order[first : first + size]


def _windows(head: Head, source: Source, origins: Array, training: Training) -> Callable[[Array], Batch]:
    """Return a function that makes the batch of places in the origins.

    All windows are made once, in blocks, if they are few enough to be used again and to be held in memory.
    """

    def make(rows: Array) -> Batch:
        inputs = make_inputs(source.gather(rows), source.layout, source.targets(rows))
        return inputs.arrays, *_targets(head, source, rows, inputs)

    def flat(batch: Batch) -> list[Array]:
        return [*batch[0], *batch[1:]]

    drawn = training.updates * training.batch_size
    size = sum(array.nbytes for array in flat(make(origins[:1])))
    if len(origins) > drawn or size * len(origins) > MOST_HELD:
        return lambda places: make(origins[places])
    blocks = [flat(make(origins[first : first + MADE_AT_ONCE])) for first in range(0, len(origins), MADE_AT_ONCE)]
    held = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]

    def take(places: Array) -> Batch:
        *inputs, y, weight = (array[places] for array in held)
        return inputs, y, weight

    return take


def _targets(head: Head, source: Source, origins: Array, inputs: Inputs) -> tuple[Array, Array]:
    """What the loss reads, float32, and the weights (B, H), 0 where the target is unknown."""
    values = source.targets(origins)
    finite = np.isfinite(values)
    if not head.counts:
        reach = LARGEST_TARGET * inputs.scale
        values = np.clip(values, inputs.base - reach, inputs.base + reach)
    values = np.where(finite, values, np.maximum(inputs.base, 0) if head.counts else inputs.base)
    return head.targets(values, inputs.base, inputs.scale).astype(np.float32), finite.astype(np.float32)
