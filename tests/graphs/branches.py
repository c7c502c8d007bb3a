"""Branches that meet again, several inputs, operations between layers, and masks that pass through all of it."""

from __future__ import annotations

from typing import Any

from graphs.architecture import FEATURES, IDS, SHORT, STATIC, STEPS, WORDS, Graph, X, architecture


@architecture
def residual(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    y = k.layers.Dense(4)(x)
    for _ in range(2):
        y = k.layers.Add()([y, k.layers.Conv1D(4, 3, padding="same", activation="relu")(y)])
    return Graph(k.Model(x, k.layers.Dense(1)(k.layers.GlobalAveragePooling1D()(y))), X)


@architecture
def residual_recurrent(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    h = k.layers.Dense(FEATURES, activation="tanh")(x)
    y = k.layers.add([x, k.layers.LSTM(FEATURES, return_sequences=True)(h)])
    return Graph(k.Model(x, k.layers.Dense(1)(k.layers.GRU(3)(k.layers.LayerNormalization()(y)))), X)


@architecture
def densely_connected(k: Any) -> Graph:
    """Each layer reads all those before it."""
    x = k.Input((STEPS, FEATURES))
    read = [x]
    for _ in range(3):
        joined = k.layers.Concatenate()(read) if len(read) > 1 else read[0]
        read.append(k.layers.Dense(2, activation="relu")(joined))
    return Graph(k.Model(x, k.layers.SimpleRNN(2)(k.layers.concatenate(read))), X)


@architecture
def inception(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    branches = [k.layers.Conv1D(2, size, padding="same", activation="relu")(x) for size in (1, 3, 5)]
    pooled = k.layers.Conv1D(2, 1)(k.layers.MaxPooling1D(3, strides=1, padding="same")(x))
    y = k.layers.Activation("tanh")(k.layers.Concatenate()([*branches, pooled]))
    return Graph(k.Model(x, k.layers.Dense(1)(k.layers.GlobalMaxPooling1D()(y))), X)


@architecture
def unequal_branches(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    features = k.layers.Dense(4)(x)
    state = k.layers.GRU(5)(features)
    return Graph(k.Model(x, k.layers.Dense(1)(k.layers.GRU(5)(k.layers.Dense(2)(features), initial_state=state))), X)


@architecture
def merged(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    left, right = k.layers.GRU(4)(x), k.layers.LSTM(4)(x)
    joined = k.layers.Concatenate()([k.layers.Multiply()([left, right]), left])
    return Graph(k.Model(x, k.layers.Dense(1)(k.layers.Average()([joined, joined]))), X)


@architecture
def every_merge(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    a, b, c = (k.layers.Dense(3, activation="tanh")(x) for _ in range(3))
    merges = [
        k.layers.Add()([a, b, c]), k.layers.Subtract()([a, b]), k.layers.Multiply()([a, b, c]),
        k.layers.Average()([b, c]), k.layers.Maximum()([a, b, c]), k.layers.Minimum()([a, c]),
    ]  # fmt: skip
    return Graph(k.Model(x, k.layers.GRU(2)(k.layers.Concatenate()(merges))), X)


@architecture
def siamese(k: Any) -> Graph:
    left, right = k.Input((STEPS, FEATURES)), k.Input((STEPS, FEATURES))
    shared = k.layers.GRU(4)
    a, b = shared(left), shared(right)
    cosine = k.layers.Dot(axes=1, normalize=True)([a, b])
    y = k.layers.Concatenate()([cosine, k.layers.Multiply()([a, b]), k.layers.Subtract()([a, b])])
    return Graph(k.Model([left, right], k.layers.Dense(1)(y)), [X, X[::-1].copy()])


@architecture
def triplet(k: Any) -> Graph:
    inputs = [k.Input((STEPS, FEATURES), name=name) for name in ("anchor", "positive", "negative")]
    shared = k.Sequential([k.layers.LSTM(3), k.layers.Dense(2)])
    a, b, c = (shared(each) for each in inputs)
    distances = [k.layers.Dot(axes=-1)([k.layers.Subtract()([a, each])] * 2) for each in (b, c)]
    return Graph(k.Model(inputs, k.layers.Subtract()(distances)), [X, X[::-1].copy(), X * 2])


@architecture
def static_features(k: Any) -> Graph:
    """The two-input forecaster."""
    series, static = k.Input((STEPS, FEATURES), name="series"), k.Input((4,), name="static")
    y = k.layers.Concatenate()([k.layers.LSTM(4)(series), k.layers.Dense(3, activation="relu")(static)])
    return Graph(k.Model([series, static], k.layers.Dense(2)(y)), [X, STATIC])


@architecture
def repeated_features(k: Any) -> Graph:
    """Static features at each step, and the series of another length apart."""
    series, static, other = k.Input((STEPS, FEATURES)), k.Input((4,)), k.Input((4, 2))
    steps = k.layers.Concatenate()([series, k.layers.RepeatVector(STEPS)(k.layers.Dense(2)(static))])
    y = k.layers.Concatenate()([k.layers.GRU(3)(steps), k.layers.GRU(2)(other)])
    return Graph(k.Model((series, static, other), k.layers.Dense(1)(y)), (X, STATIC, SHORT))


@architecture
def wide_and_deep(k: Any) -> Graph:
    ids, static = k.Input((STEPS,), name="words"), k.Input((4,), name="static")
    deep = k.layers.GRU(3)(k.layers.Embedding(WORDS, 3)(ids))
    outputs = k.layers.Dense(1)(k.layers.concatenate([deep, static]))
    return Graph(k.Model({"words": ids, "static": static}, outputs), {"words": IDS, "static": STATIC})


@architecture
def gate(k: Any) -> Graph:
    """A highway: operators on symbols between layers."""
    x = k.Input((STEPS, FEATURES))
    h, t = k.layers.Dense(FEATURES, activation="tanh")(x), k.layers.Dense(FEATURES, activation="sigmoid")(x)
    return Graph(k.Model(x, k.layers.LSTM(2)(h * t + x * (1 - t))), X)


@architecture
def operations(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    y = k.layers.GRU(4, return_sequences=True)(x)
    last, mean = y[:, -1], k.ops.mean(y, axis=1)
    spread = k.ops.sqrt(k.ops.mean(k.ops.square(y - k.ops.expand_dims(mean, 1)), axis=1) + 1e-3)
    joined = k.ops.concatenate([last, k.ops.divide(k.ops.tanh(mean), 2.0), -spread], axis=-1)
    return Graph(k.Model(x, k.layers.Dense(1)(joined)), X)


@architecture
def operation_at_the_end(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    y = k.layers.Dense(4)(k.layers.LSTM(3)(x))
    return Graph(k.Model(x, k.ops.softmax(y[:, :3]) * 2.0 + y[:, 3:]), X)


@architecture
def lengths_by_reshaping(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    y = k.layers.Permute((2, 1))(k.layers.Conv1D(4, 2)(x))
    y = k.layers.Reshape((2, 8))(k.layers.GRU(4, return_sequences=True)(y))
    y = k.layers.UpSampling1D(3)(k.layers.Cropping1D((1, 0))(k.layers.ZeroPadding1D(1)(y)))
    return Graph(k.Model(x, k.layers.Dense(1)(k.layers.Flatten()(y))), X)


@architecture
def input_as_output(k: Any) -> Graph:
    x, static = k.Input((STEPS, FEATURES)), k.Input((4,))
    return Graph(k.Model([x, static], [k.layers.GRU(2)(x), static, x]), [X, STATIC])


@architecture
def unread_input(k: Any) -> Graph:
    x, static = k.Input((STEPS, FEATURES), name="x"), k.Input((4,), name="static")
    return Graph(k.Model([static, x], k.layers.GRU(2)(x)), [STATIC, X])


@architecture
def masked_words(k: Any) -> Graph:
    x = k.Input((STEPS,))
    y = k.layers.Embedding(WORDS, 4, mask_zero=True)(x)
    y = k.layers.LSTM(3, return_sequences=True)(y)
    return Graph(k.Model(x, k.layers.Dense(1)(k.layers.Bidirectional(k.layers.GRU(3))(y))), IDS)


@architecture
def masked_concatenation(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    y = k.layers.Masking()(x)
    # With a name, as Keras may give the operation that joins the masks the automatic name of the layer.
    y = k.layers.Concatenate(name="joined")([y, k.layers.Dense(2)(y)])
    return Graph(k.Model([x], [k.layers.Dense(1)(k.layers.GRU(3)(y))]), X)


@architecture
def masked_merges(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    h = k.layers.Masking()(x)
    left, right = k.layers.GRU(3, return_sequences=True)(h), k.layers.LSTM(3, return_sequences=True)(h)
    average, difference = k.layers.Average()([left, right]), k.layers.Subtract(name="minus")([left, right])
    return Graph(k.Model(x, k.layers.LSTM(2)(k.layers.Maximum(name="larger")([average, difference]))), X)


@architecture
def two_masks(k: Any) -> Graph:
    """Two sequences of words with masks of their own, added and multiplied."""
    left, right = k.Input((STEPS,)), k.Input((STEPS,))
    embedding = k.layers.Embedding(WORDS, 3, mask_zero=True)
    a, b = embedding(left), embedding(right)
    both = k.layers.Add(name="sum")([a, b])
    y = k.layers.Concatenate(name="joined")([k.layers.GRU(3)(both), k.layers.GRU(3)(k.layers.Multiply()([a, b]))])
    return Graph(k.Model([left, right], k.layers.Dense(1)(y)), [IDS, IDS[::-1].copy()])


@architecture
def joined_in_time(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    y = k.layers.Concatenate(axis=1, name="joined")([k.layers.Masking()(x), x])
    return Graph(k.Model(x, k.layers.LSTM(2)(y)), X)


@architecture
def masked_pooling(k: Any) -> Graph:
    x = k.Input((STEPS,))
    y = k.layers.Embedding(WORDS, 4, mask_zero=True)(x)
    pooled = k.layers.GlobalAveragePooling1D()(k.layers.Dense(3, activation="tanh")(y))
    return Graph(k.Model(x, k.layers.Concatenate()([pooled, k.layers.LSTM(2)(y)])), IDS)


@architecture
def lambdas(k: Any) -> Graph:
    """Functions in Lambda layers, as in scripts from the time of Keras 2."""
    x = k.Input((STEPS, FEATURES))
    y = k.layers.Lambda(lambda x: x[:, 1:])(x)
    y = k.layers.Lambda(lambda x: x * 2.0, name="twice")(k.layers.GRU(3)(y))
    return Graph(k.Model(x, k.layers.Dense(1)(y)), X)
