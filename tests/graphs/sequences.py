"""Encoders and decoders: states that pass between recurrent layers, and inference models that share layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphs.architecture import FEATURES, IDS, ROWS, SHORT, STATIC, STEPS, WORDS, Graph, X, architecture, mask_of

STATE = np.random.default_rng(2).normal(size=(ROWS, 4)).astype("float32")


@architecture
def states(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    _, *state = k.layers.LSTM(4, return_state=True)(x)
    y = k.layers.LSTM(4, return_sequences=True)(x, initial_state=state)
    return Graph(k.Model(x, k.layers.TimeDistributed(k.layers.Dense(1))(y)), X)


@architecture
def teacher_forcing(k: Any) -> Graph:
    x, previous = k.Input((STEPS, FEATURES)), k.Input((4, 2))
    _, *state = k.layers.LSTM(4, return_state=True)(x)
    y = k.layers.LSTM(4, return_sequences=True)(previous, initial_state=state)
    return Graph(k.Model([x, previous], [k.layers.Dense(1)(y), state[0]]), [X, SHORT])


def translator(k: Any) -> tuple[Any, Any, Any]:
    """The three models of Keras's example: training, encoder, and one step of the decoder."""
    x, previous = k.Input((None, FEATURES)), k.Input((None, 2))
    _, *encoded = k.layers.LSTM(4, return_state=True, name="encoder")(x)
    decoder, head = k.layers.LSTM(4, return_sequences=True, return_state=True, name="decoder"), k.layers.Dense(2)
    training = k.Model([x, previous], head(decoder(previous, initial_state=encoded)[0]))
    before = [k.Input((4,)), k.Input((4,))]
    y, *after = decoder(previous, initial_state=before)
    return training, k.Model(x, encoded), k.Model([previous, *before], [head(y), *after])


@architecture
def translator_training(k: Any) -> Graph:
    model, _, _ = translator(k)
    return Graph(model, [X, SHORT], SHORT[:, ::-1].copy())


@architecture
def translator_encoder(k: Any) -> Graph:
    return Graph(translator(k)[1], X, [STATE, STATE])


@architecture
def translator_decoder(k: Any) -> Graph:
    targets = [SHORT[:, :1], STATE, STATE]
    return Graph(translator(k)[2], [SHORT[:, :1].copy(), STATE, STATE / 2], targets)


@architecture
def words_to_words(k: Any) -> Graph:
    source, previous = k.Input((STEPS,), name="source"), k.Input((STEPS,), name="previous")
    _, state = k.layers.GRU(4, return_state=True)(k.layers.Embedding(WORDS, 3, mask_zero=True)(source))
    y = k.layers.Embedding(WORDS, 3, mask_zero=True)(previous)
    y = k.layers.GRU(4, return_sequences=True)(y, initial_state=state, **mask_of(y))
    outputs = k.layers.Dense(WORDS, activation="softmax")(y)
    options = {"loss": "sparse_categorical_crossentropy"}
    return Graph(k.Model([source, previous], outputs), [IDS, IDS[::-1].copy()], IDS, options)


@architecture
def bidirectional_encoder(k: Any) -> Graph:
    x, previous = k.Input((STEPS, FEATURES)), k.Input((4, 2))
    y, fh, fc, bh, bc = k.layers.Bidirectional(k.layers.LSTM(3, return_state=True, return_sequences=True))(x)
    state = [k.layers.Concatenate()([fh, bh]), k.layers.Concatenate()([fc, bc])]
    decoded = k.layers.LSTM(6, return_sequences=True)(previous, initial_state=state)
    return Graph(k.Model([x, previous], [k.layers.Dense(1)(decoded), k.layers.Dense(1)(y)]), [X, SHORT])


@architecture
def bidirectional_decoder(k: Any) -> Graph:
    """Four states into a layer in both directions."""
    x = k.Input((STEPS, FEATURES))
    _, *state = k.layers.Bidirectional(k.layers.LSTM(3, return_state=True))(x)
    y = k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True), merge_mode="sum")(x, initial_state=state)
    return Graph(k.Model(x, k.layers.Dense(1)(y)), X)


@architecture
def layer_by_layer(k: Any) -> Graph:
    """Two layers of a decoder, each from the state of its layer of the encoder."""
    x, previous = k.Input((STEPS, FEATURES)), k.Input((4, 2))
    y, first = k.layers.GRU(3, return_sequences=True, return_state=True)(x)
    _, second = k.layers.GRU(4, return_state=True)(y)
    y = k.layers.GRU(3, return_sequences=True)(previous, initial_state=first)
    return Graph(k.Model([x, previous], k.layers.GRU(4)(y, initial_state=second)), [X, SHORT])


@architecture
def one_layer_from_two_states(k: Any) -> Graph:
    """A layer called twice, from the states of two encoders."""
    x, other = k.Input((STEPS, FEATURES)), k.Input((4, 2))
    shared = k.layers.GRU(4, return_sequences=True)
    y = shared(x, initial_state=k.layers.GRU(4)(other))
    y = k.layers.Concatenate()([y, shared(x, initial_state=k.layers.Dense(4)(k.layers.Flatten()(other)))])
    return Graph(k.Model([x, other], k.layers.Dense(1)(y)), [X, SHORT])


@architecture
def conditioned(k: Any) -> Graph:
    """Static features set the first state, with a mask on the series."""
    x, static = k.Input((STEPS, FEATURES)), k.Input((4,))
    state = [k.layers.Dense(3, activation="tanh")(static) for _ in range(2)]
    masked = k.layers.Masking()(x)
    y = k.layers.LSTM(3)(masked, initial_state=state, **mask_of(masked))
    return Graph(k.Model([x, static], k.layers.Dense(1)(y)), [X, STATIC])


@architecture
def autoencoder(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    y = k.layers.RepeatVector(STEPS)(k.layers.LSTM(2)(x))
    y = k.layers.LSTM(3, return_sequences=True)(y)
    return Graph(k.Model(x, k.layers.TimeDistributed(k.layers.Dense(FEATURES))(y)), X, X)


@architecture
def autoencoder_and_forecast(k: Any) -> Graph:
    """Two decoders on one code: what was read, backwards, and what follows."""
    x = k.Input((STEPS, FEATURES))
    code = k.layers.LSTM(4)(x)
    back = k.layers.LSTM(3, return_sequences=True)(k.layers.RepeatVector(STEPS)(code))
    ahead = k.layers.LSTM(3, return_sequences=True)(k.layers.RepeatVector(4)(code))
    outputs = [k.layers.TimeDistributed(k.layers.Dense(FEATURES), name="back")(back), k.layers.Dense(2)(ahead)]
    return Graph(k.Model(x, outputs), X, [X[:, ::-1].copy(), SHORT])


@architecture
def stateful_encoder(k: Any) -> Graph:
    x, previous = k.Input(batch_shape=(2, STEPS, FEATURES)), k.Input(batch_shape=(2, 4, 2))
    _, *state = k.layers.LSTM(3, stateful=True, return_state=True)(x)
    y = k.layers.LSTM(3, return_sequences=True)(previous, initial_state=state)
    return Graph(k.Model([x, previous], k.layers.Dense(1)(y)), [X, SHORT])


@architecture
def states_as_outputs(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    sequence, *state = k.layers.LSTM(3, return_sequences=True, return_state=True)(x)
    _, other = k.layers.SimpleRNN(2, return_state=True, go_backwards=True)(sequence)
    return Graph(k.Model(x, [sequence, *state, other]), X)


@architecture
def cells(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    stack = k.layers.RNN([k.layers.LSTMCell(3), k.layers.GRUCell(2)], return_sequences=True, return_state=True)
    y, (h, _), state = stack(k.layers.Masking()(x))
    last = k.layers.RNN(k.layers.SimpleRNNCell(2))(y, initial_state=state, **mask_of(y))
    return Graph(k.Model(x, [last, h]), X)


@architecture
def both_directions_by_hand(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    ahead = k.layers.GRU(3, return_sequences=True)(x)
    back = k.layers.GRU(3, return_sequences=True, go_backwards=True)(x)
    y = k.layers.Concatenate()([ahead, k.ops.flip(back, axis=1)])
    return Graph(k.Model(x, k.layers.Dense(1)(y)), X)


@architecture
def steps_by_hand(k: Any) -> Graph:
    """A decoder written as a loop over layers: each step reads the step before."""
    x = k.Input((STEPS, FEATURES))
    cell, head = k.layers.GRU(4, return_state=True), k.layers.Dense(FEATURES)
    y, state = k.layers.GRU(4, return_state=True)(x)
    step, outputs = head(y), []
    for _ in range(3):
        y, state = cell(k.layers.Reshape((1, FEATURES))(step), initial_state=state)
        step = head(y)
        outputs.append(k.layers.Reshape((1, FEATURES))(step))
    return Graph(k.Model(x, k.layers.Concatenate(axis=1)(outputs)), X)
