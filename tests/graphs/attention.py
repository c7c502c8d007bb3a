"""Attention: of decoders on encoders, of sequences on themselves, by layers and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphs.architecture import FEATURES, IDS, ROWS, SHORT, STEPS, WORDS, Graph, X, architecture


@architecture
def attention_on_encoder(k: Any) -> Graph:
    x, previous = k.Input((STEPS, FEATURES)), k.Input((4, 2))
    steps, *state = k.layers.LSTM(4, return_sequences=True, return_state=True)(x)
    decoded = k.layers.LSTM(4, return_sequences=True)(previous, initial_state=state)
    read = k.layers.Attention()([decoded, steps])
    return Graph(k.Model([x, previous], k.layers.Dense(1)(k.layers.Concatenate()([decoded, read]))), [X, SHORT])


@architecture
def additive_attention(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    steps, *state = k.layers.LSTM(4, return_sequences=True, return_state=True)(x)
    decoded = k.layers.LSTM(4, return_sequences=True)(k.layers.Dense(3)(x), initial_state=state)
    read = k.layers.AdditiveAttention()([decoded, steps])
    scaled = k.layers.Attention(use_scale=True)([decoded, steps])
    y = k.layers.Flatten()(k.layers.Concatenate()([decoded, read, scaled]))
    return Graph(k.Model(x, k.layers.Dense(1)(y)), X)


@architecture
def attention_by_dots(k: Any) -> Graph:
    """Luong's attention of Dot, Activation and Dot."""
    x, previous = k.Input((STEPS, FEATURES)), k.Input((4, 2))
    steps, state = k.layers.GRU(4, return_sequences=True, return_state=True)(x)
    decoded = k.layers.GRU(4, return_sequences=True)(previous, initial_state=state)
    weights = k.layers.Activation("softmax")(k.layers.Dot(axes=[2, 2])([decoded, steps]))
    context = k.layers.Dot(axes=[2, 1])([weights, steps])
    y = k.layers.Dense(3, activation="tanh")(k.layers.Concatenate()([context, decoded]))
    return Graph(k.Model([x, previous], k.layers.TimeDistributed(k.layers.Dense(2))(y)), [X, SHORT])


@architecture
def attention_of_dense_layers(k: Any) -> Graph:
    """The pooling of many notebooks: scores, softmax over time, repeat, permute, multiply, sum."""
    x = k.Input((STEPS, FEATURES))
    y = k.layers.Bidirectional(k.layers.LSTM(2, return_sequences=True))(x)
    scores = k.layers.Flatten()(k.layers.Dense(1, activation="tanh")(y))
    weights = k.layers.Permute([2, 1])(k.layers.RepeatVector(4)(k.layers.Activation("softmax")(scores)))
    context = k.layers.Lambda(lambda x: k.ops.sum(x, axis=1))(k.layers.Multiply()([y, weights]))
    return Graph(k.Model(x, k.layers.Dense(1)(context)), X)


@architecture
def attention_by_operations(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    q, key, v = (k.layers.Dense(4)(x) for _ in range(3))
    scores = k.ops.matmul(q, k.ops.transpose(key, (0, 2, 1))) / 2.0
    mask = np.tri(STEPS, dtype="float32")
    y = k.ops.matmul(k.ops.softmax(scores - 1e9 * (1 - mask), axis=-1), v)
    return Graph(k.Model(x, k.layers.Dense(1)(k.ops.max(y, axis=1))), X)


@architecture
def transformer(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    read = k.layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
    h = k.layers.LayerNormalization()(k.layers.Add()([x, read]))
    y = k.layers.Dense(FEATURES)(k.layers.Dense(8, activation="gelu")(h))
    y = k.layers.LayerNormalization()(k.layers.Add()([h, y]))
    return Graph(k.Model(x, k.layers.Dense(1)(k.layers.GlobalAveragePooling1D()(y))), X)


@architecture
def transformer_of_words(k: Any) -> Graph:
    """Padding masks in the attention."""
    x = k.Input((STEPS,))
    embedded = k.layers.Embedding(WORDS, 4, mask_zero=True)(x)
    read = k.layers.MultiHeadAttention(2, 2)(embedded, embedded)
    y = k.layers.LayerNormalization()(k.layers.Add(name="residual")([embedded, read]))
    return Graph(k.Model(x, k.layers.Dense(1)(k.layers.GRU(3)(y))), IDS)


@architecture
def cross_attention(k: Any) -> Graph:
    x, other = k.Input((STEPS, FEATURES)), k.Input((4, 2))
    memory = k.layers.GRU(3, return_sequences=True)(other)
    read = k.layers.MultiHeadAttention(2, 3, value_dim=2, output_shape=4)(x, memory)
    return Graph(k.Model([x, other], k.layers.LSTM(2)(k.layers.Concatenate()([x, read]))), [X, SHORT])


@architecture
def masked_heads(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    h = k.layers.Masking()(x)
    return Graph(k.Model(x, k.layers.LSTM(2)(k.layers.MultiHeadAttention(2, 3)(h, h))), X)


@architecture
def masked_causal(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    h = k.layers.Masking()(x)
    y = k.layers.Attention()([h, k.layers.Dense(FEATURES)(h)], use_causal_mask=True)
    return Graph(k.Model(x, k.layers.LSTM(2)(y)), X)


@architecture
def constant_mask(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    read = k.layers.MultiHeadAttention(2, 3)(x, x, attention_mask=np.tri(STEPS, dtype=bool))
    return Graph(k.Model(x, k.layers.Flatten()(read)), X)


@architecture
def gated_heads(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    h = k.layers.Dense(FEATURES)(x)
    y = k.layers.MultiHeadAttention(2, 3, use_gate=True)(h, x, key=h)
    return Graph(k.Model(x, k.layers.GlobalMaxPooling1D()(y)), X)


@architecture
def attention_scores(k: Any) -> Graph:
    """The weights of attention as a second output."""
    x, other = k.Input((STEPS, FEATURES)), k.Input((4, FEATURES))
    read, scores = k.layers.Attention()([x, other], return_attention_scores=True)
    _, of_heads = k.layers.MultiHeadAttention(2, 3)(x, other, return_attention_scores=True)
    targets = [np.ones(shape, "float32") for shape in ((ROWS, 2), (ROWS, STEPS, 4), (ROWS, 2, STEPS, 4))]
    return Graph(k.Model([x, other], [k.layers.GRU(2)(read), scores, of_heads]), [X, X[:, 1:].copy()], targets)


@architecture
def shared_attention(k: Any) -> Graph:
    x = k.Input((STEPS, FEATURES))
    attention, norm = k.layers.MultiHeadAttention(1, 3), k.layers.LayerNormalization()
    y = x
    for _ in range(3):
        y = norm(k.layers.Add()([y, attention(y, y)]))
    return Graph(k.Model(x, k.layers.GlobalAveragePooling1D()(y)), X)
