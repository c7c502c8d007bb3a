"""Models as layers: shared, nested in each other, frozen, cut out of other models."""

from __future__ import annotations

from typing import Any

from graphs.architecture import FEATURES, SHORT, STATIC, STEPS, Graph, X, architecture


@architecture
def shared_layers(k: Any) -> Graph:
    x, dense = k.Input((STEPS, FEATURES)), k.layers.Dense(3, activation="tanh")
    gru = k.layers.GRU(3, return_sequences=True)
    return Graph(k.Model(x, k.layers.Dense(1)(k.layers.Flatten()(gru(dense(gru(dense(x))))))), X)


@architecture
def nested_twice(k: Any) -> Graph:
    x, first = k.Input((STEPS, FEATURES)), k.Input((STEPS, FEATURES))
    inner = k.Model(first, k.layers.BatchNormalization()(k.layers.Dense(3)(first)))
    tail = k.Sequential([k.layers.SimpleRNN(4), k.layers.Dense(1)])
    return Graph(k.Model(x, tail(inner(inner(x)))), X)


@architecture
def nested_at_the_end(k: Any) -> Graph:
    x, first = k.Input((STEPS, FEATURES)), k.Input((STEPS, FEATURES))
    inner = k.Model(first, k.layers.Bidirectional(k.layers.GRU(3))(first))
    return Graph(k.Model(x, inner(k.layers.Dense(3)(x))), X)


@architecture
def stacks_in_stacks(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    stack = k.Sequential([k.layers.Dense(4), k.Sequential([k.layers.GRU(3, return_sequences=True), k.layers.Dense(2)])])
    step = k.Sequential([k.Input((2,)), k.layers.Dense(2)])
    return Graph(k.Model(x, k.layers.TimeDistributed(step)(stack(x))), X)


@architecture
def model_at_each_step(k: Any) -> Graph:
    """TimeDistributed of a functional model with branches."""
    x, row = k.Input((STEPS, FEATURES)), k.Input((FEATURES,))
    step = k.Model(row, k.layers.Add()([k.layers.Dense(2, activation="tanh")(row), k.layers.Dense(2)(row)]))
    return Graph(k.Model(x, k.layers.LSTM(2)(k.layers.TimeDistributed(step)(x))), X)


@architecture
def encoder_and_decoder(k: Any) -> Graph:
    """The two halves are models of their own, with states between them."""
    x, previous = k.Input((STEPS, FEATURES)), k.Input((4, 2))
    encoder = k.Model(x, k.layers.LSTM(3, return_state=True)(x)[1:], name="encoder")
    h, c = k.Input((3,)), k.Input((3,))
    decoded = k.layers.LSTM(3, return_sequences=True)(previous, initial_state=[h, c])
    decoder = k.Model([previous, h, c], k.layers.Dense(1)(decoded), name="decoder")
    a, b = k.Input((STEPS, FEATURES)), k.Input((4, 2))
    return Graph(k.Model([a, b], decoder([b, *encoder(a)])), [X, SHORT])


@architecture
def several_inputs_and_outputs_inside(k: Any) -> Graph:
    a, b = k.Input((STEPS, FEATURES)), k.Input((4,))
    inner = k.Model([a, b], [k.layers.GRU(2)(a), k.layers.Dense(2)(b)])
    x, static = k.Input((STEPS, FEATURES)), k.Input((4,))
    left, right = inner([x, static])
    other, _ = inner([k.layers.Dense(FEATURES)(x), static])
    return Graph(k.Model([x, static], k.layers.Dense(1)(k.layers.Concatenate()([left, right, other]))), [X, STATIC])


@architecture
def dicts_inside(k: Any) -> Graph:
    a, b = k.Input((STEPS, FEATURES), name="a"), k.Input((4,), name="b")
    summary, code = k.layers.GRU(2)(a), k.layers.Dense(2)(b)
    inner = k.Model({"a": a, "b": b}, {"summary": summary, "code": code})
    x, static = k.Input((STEPS, FEATURES)), k.Input((4,))
    read = inner({"a": x, "b": static})
    return Graph(k.Model([x, static], k.layers.Add()([read["summary"], read["code"]])), [X, STATIC])


@architecture
def three_levels(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    inner = k.Model(x, k.layers.Dense(FEATURES, activation="tanh")(x))
    x = k.Input((STEPS, FEATURES))
    middle = k.Model(x, k.layers.Add()([inner(x), inner(inner(x))]))
    x = k.Input((STEPS, FEATURES))
    return Graph(k.Model(x, k.layers.GRU(2)(middle(inner(middle(x))))), X)


@architecture
def shared_between_levels(k: Any) -> Graph:
    """A layer is called in a model and inside the models in it."""
    dense = k.layers.Dense(FEATURES, activation="tanh", name="both")
    first = k.Input((STEPS, FEATURES))
    inner = k.Model(first, k.layers.GRU(FEATURES, return_sequences=True)(dense(first)))
    stack = k.Sequential([dense, k.layers.LSTM(2)])
    x = k.Input((STEPS, FEATURES))
    return Graph(k.Model(x, stack(inner(dense(x)))), X)


@architecture
def recurrent_shared_between_levels(k: Any) -> Graph:
    gru = k.layers.GRU(FEATURES, return_sequences=True)
    first = k.Input((STEPS, FEATURES))
    inner = k.Model(first, k.layers.Add()([gru(first), first]))
    x = k.Input((STEPS, FEATURES))
    return Graph(k.Model(x, [k.layers.Dense(1)(inner(x)), gru(x)]), X)


@architecture
def model_on_two_inputs(k: Any) -> Graph:
    first = k.Input((STEPS, FEATURES))
    encoder = k.Model(first, k.layers.Dense(3)(k.layers.GRU(3)(first)))
    a, b = k.Input((STEPS, FEATURES)), k.Input((STEPS, FEATURES))
    distance = k.ops.sum(k.ops.square(encoder(a) - encoder(b)), axis=-1, keepdims=True)
    return Graph(k.Model([a, b], k.layers.Activation("sigmoid")(distance)), [X, X[::-1].copy()])


@architecture
def frozen_layer(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    y = k.layers.GRU(3, return_sequences=True, trainable=False)(k.layers.Dense(3)(x))
    return Graph(k.Model(x, k.layers.BatchNormalization(trainable=False)(k.layers.Dense(2)(y))), X)


@architecture
def frozen_model(k: Any) -> Graph:
    """Transfer learning: a model that rests, and a new head."""
    first = k.Input((STEPS, FEATURES))
    base = k.Model(first, k.layers.BatchNormalization()(k.layers.LSTM(3, return_sequences=True)(first)))
    base.trainable = False
    x = k.Input((STEPS, FEATURES))
    y = k.layers.Dense(1)(k.layers.GlobalAveragePooling1D()(base(k.layers.Dense(FEATURES)(x), training=False)))
    return Graph(k.Model(x, y), X)


@architecture
def feature_extractor(k: Any) -> Graph:
    """Every inner output of another model."""
    whole = k.Sequential(
        [k.Input((STEPS, FEATURES)), k.layers.GRU(3, return_sequences=True), k.layers.LSTM(2), k.layers.Dense(1)]
    )
    return Graph(k.Model(whole.inputs, [layer.output for layer in whole.layers]), X)


@architecture
def new_head(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    hidden = k.layers.GRU(3, return_sequences=True, name="hidden")(x)
    whole = k.Model(x, k.layers.Dense(1)(k.layers.LSTM(2)(hidden)))
    y = k.layers.Dense(2)(k.layers.SimpleRNN(2)(whole.get_layer("hidden").output))
    return Graph(k.Model(whole.input, y), X)


@architecture
def tail_of_a_model(k: Any) -> Graph:
    """A model that starts at a symbol inside another one."""
    x = k.Input((STEPS, FEATURES))
    hidden = k.layers.Dense(3, name="hidden")(x)
    y = k.layers.Dense(1)(k.layers.GRU(3)(hidden))
    return Graph(k.Model(hidden, y), X)


@architecture
def inner_symbols_as_outputs(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    h = k.layers.GRU(3, return_sequences=True, name="states")(x)
    last = k.layers.LSTM(2, name="last")(h)
    return Graph(k.Model(x, [h, last, k.layers.Dense(1, name="end")(last)]), X)


@architecture
def output_twice(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    y = k.layers.Dense(2)(k.layers.GRU(3)(x))
    return Graph(k.Model(x, [y, y]), X)


@architecture
def wrapped_models(k: Any) -> Graph:
    """A model in a Sequential in a model, built from inputs by the first call."""
    first = k.Input((STEPS, FEATURES))
    inner = k.Model(first, k.layers.Conv1D(3, 2, activation="relu")(first))
    stack = k.Sequential([inner, k.layers.MaxPooling1D(2), k.layers.LSTM(3)])
    x = k.Input((STEPS, FEATURES))
    return Graph(k.Model(x, k.layers.Dense(1)(stack(x))), X)


@architecture
def model_on_input_and_features(k: Any) -> Graph:
    """Only one of its calls needs the gradient by the input."""
    first = k.Input((STEPS, FEATURES))
    inner = k.Model(first, k.layers.GRU(2)(k.layers.Activation("tanh")(first)))
    x = k.Input((STEPS, FEATURES))
    y = inner(k.layers.Dense(FEATURES)(x))
    return Graph(k.Model(x, k.layers.Concatenate()([y, inner(x)])), X)


@architecture
def calls_without_a_gradient(k: Any) -> Graph:
    """Outputs of shared layers and models that nothing reads."""
    a, b = k.Input((STEPS, FEATURES)), k.Input((4,))
    gru = k.layers.GRU(3, return_sequences=True, return_state=True)
    inner = k.Model([a, b], [k.layers.Dense(2, activity_regularizer="l2")(gru(a)[0]), k.layers.Dense(2)(b), gru(a)[1]])
    x, static = k.Input((STEPS, FEATURES)), k.Input((4,))
    _, code, _ = inner([x, static])
    steps, _, state = inner([x, k.layers.Dense(4)(static)])
    return Graph(k.Model([x, static], [code, k.layers.GRU(3)(steps, initial_state=state)]), [X, STATIC])
