"""Every layer that Keras has too, with each of its options: class name -> cases, for `test_keras_layers`."""

from __future__ import annotations

from typing import Any, NamedTuple

from pyrnn import activations


class Case(NamedTuple):
    """Arguments of the layer (an inner layer as (class name, arguments)) and what x looks like.

    `mask`: None, "ends" (rows of different lengths), "holes" or "row" (one row without a step); `ids`: x holds
    integers below it; `state`: the call gets initial states; `scale`: how far x reaches; `grid`: x is rounded to
    multiples of it, so that it meets kinks.
    """

    kwargs: dict[str, Any]
    shape: tuple[int, ...]
    mask: str | None = None
    ids: int | None = None
    state: bool = False
    scale: float = 1.0
    grid: float | None = None


def at(*shape: int, **options: Any) -> Any:
    """A function of the layer's arguments that makes the case."""
    return lambda **kwargs: Case(kwargs, shape, **options)


ROW, SEQUENCE, CUBE = at(3, 4), at(3, 6, 4), at(2, 3, 4, 5)
ENDS, HOLES = at(3, 6, 4, mask="ends"), at(3, 6, 4, mask="holes")
KINKS = at(3, 60, 4, scale=2.0, grid=0.25)
TIES = at(3, 30, 4, grid=1.0)
STATE, IDS = at(3, 6, 4, state=True), at(3, 6, ids=7)
EMPTY_ROW = at(3, 6, 4, mask="row")
INNER = ("SimpleRNN", "LSTM", "GRU")
FUNCTIONS = ("relu", "linear", "softsign", "elu", "gelu", "hard_sigmoid")


def recurrent(*more: Case) -> list[Case]:
    """The options that all recurrent layers have."""
    return [
        SEQUENCE(units=3),
        SEQUENCE(units=3, use_bias=False),
        SEQUENCE(units=5, go_backwards=True, return_sequences=True),
        SEQUENCE(units=3, return_sequences=True, return_state=True),
        SEQUENCE(units=3, return_state=True, go_backwards=True),
        SEQUENCE(units=3, unroll=True, activation="relu"),
        SEQUENCE(units=3, kernel_initializer="he_normal", bias_initializer="ones", kernel_regularizer="l1"),
        SEQUENCE(units=2, recurrent_constraint="unit_norm", bias_constraint="non_neg", recurrent_regularizer="l2"),
        SEQUENCE(units=3, stateful=True),
        SEQUENCE(units=3, stateful=True, return_sequences=True, trainable=False),
        ENDS(units=3),
        ENDS(units=3, go_backwards=True),
        ENDS(units=3, return_sequences=True, zero_output_for_mask=True),
        HOLES(units=3),
        HOLES(units=3, return_sequences=True, go_backwards=True),
        HOLES(units=3, return_sequences=True, zero_output_for_mask=True),
        HOLES(units=3, return_sequences=True, return_state=True),
        STATE(units=3),
        STATE(units=3, return_sequences=True, go_backwards=True),
        at(3, 6, 4, state=True, mask="row")(units=3, return_state=True),
        *[make(units=3, activation=name) for name in FUNCTIONS for make in (SEQUENCE, EMPTY_ROW)],
        EMPTY_ROW(units=3),
        EMPTY_ROW(units=3, return_sequences=True),
        EMPTY_ROW(units=3, return_sequences=True, go_backwards=True),
        EMPTY_ROW(units=3, return_sequences=True, zero_output_for_mask=True),
        EMPTY_ROW(units=3, use_bias=False),
        EMPTY_ROW(units=3, unroll=True),
        *more,
    ]


def gated(*options: dict[str, Any]) -> list[Case]:
    """The options that only layers with gates have."""
    gates = [{"recurrent_activation": name} for name in ("hard_sigmoid", "tanh", "softplus", "relu")]
    return [make(units=3, **each) for each in (*gates, *options) for make in (SEQUENCE, EMPTY_ROW)]


CASES: dict[str, list[Case]] = {
    "Activation": [
        # Keras's sparsemax does not sum to 1 (it sums the cumulated sums), ours follows the paper.
        *[SEQUENCE(activation=name) for name in activations.NAMES if name != "sparsemax"],
        *[KINKS(activation=name) for name in activations.NAMES if name != "sparsemax"],
        ROW(activation="swish"),
        ENDS(activation="relu"),
    ],
    "ActivityRegularization": [SEQUENCE(l1=0.1), SEQUENCE(l1=0.1, l2=0.3), HOLES(l2=1.0)],
    **{
        name: [
            *[make(output_size=size) for size in (1, 2, 4, 6, 9) for make in (SEQUENCE, ENDS)],
            SEQUENCE(output_size=(5,), data_format="channels_first"),
            KINKS(output_size=7),
        ]
        for name in ("AdaptiveAveragePooling1D", "AdaptiveMaxPooling1D")
    },
    "AlphaDropout": [ROW(rate=0.0), ENDS(rate=0.0, seed=3), SEQUENCE(rate=0.0, noise_shape=(3, 1, 4))],
    "AveragePooling1D": [
        SEQUENCE(pool_size=2),
        SEQUENCE(pool_size=3, strides=1, padding="same"),
        SEQUENCE(pool_size=4, strides=1),
        ENDS(pool_size=2),
        SEQUENCE(pool_size=2, data_format="channels_first"),
    ],
    "BatchNormalization": [
        ROW(),
        SEQUENCE(),
        CUBE(),
        SEQUENCE(axis=1),
        CUBE(axis=-2, momentum=0.5),
        SEQUENCE(center=False),
        SEQUENCE(scale=False, epsilon=0.1),
        SEQUENCE(center=False, scale=False),
        SEQUENCE(trainable=False),
        at(5, 1)(),
        ENDS(),
        HOLES(momentum=0.9),
        HOLES(trainable=False),
        EMPTY_ROW(momentum=0.8, epsilon=0.01),
        SEQUENCE(gamma_initializer="random_normal", moving_mean_initializer="ones", beta_regularizer="l2"),
        SEQUENCE(renorm=True),
        SEQUENCE(renorm=True, renorm_clipping={"rmax": 1.1, "rmin": 0.9, "dmax": 0.1}, renorm_momentum=0.9),
        HOLES(renorm=True, scale=False),
    ],
    "Bidirectional": [
        SEQUENCE(layer=("SimpleRNN", {"units": 3})),
        *[
            make(layer=(inner, {"units": 3, "return_sequences": sequences}), merge_mode=mode)
            for inner in INNER
            for mode in ("concat", "sum", "mul", "ave")
            for sequences in (False, True)
            for make in (SEQUENCE, EMPTY_ROW)
        ],
        SEQUENCE(layer=("GRU", {"units": 3, "return_sequences": True}), merge_mode=None),
        CUBE(layer=("ConvLSTM1D", {"filters": 3, "kernel_size": 2, "return_sequences": True})),
        at(3, 6, 4, 2, mask="ends")(layer=("ConvLSTM1D", {"filters": 2, "kernel_size": 3}), merge_mode="sum"),
        SEQUENCE(layer=("LSTM", {"units": 3}), merge_mode=None),
        SEQUENCE(layer=("LSTM", {"units": 3, "return_state": True})),
        ENDS(layer=("LSTM", {"units": 3})),
        HOLES(layer=("GRU", {"units": 3})),
        HOLES(layer=("SimpleRNN", {"units": 3, "return_sequences": True})),
        HOLES(layer=("GRU", {"units": 3, "return_sequences": True, "reset_after": False}), merge_mode="sum"),
        STATE(layer=("GRU", {"units": 3})),
        STATE(layer=("LSTM", {"units": 2, "return_sequences": True}), merge_mode="ave"),
        SEQUENCE(
            layer=("SimpleRNN", {"units": 3}),
            backward_layer=("SimpleRNN", {"units": 3, "go_backwards": True, "activation": "relu"}),
        ),
    ],
    "Conv1D": [
        SEQUENCE(filters=3, kernel_size=2),
        SEQUENCE(filters=3, kernel_size=(3,), strides=2, padding="same", activation="tanh"),
        SEQUENCE(filters=3, kernel_size=3, padding="causal", dilation_rate=2),
        SEQUENCE(filters=3, kernel_size=2, dilation_rate=3, padding="same", use_bias=False),
        SEQUENCE(filters=4, kernel_size=3, groups=2, activation="softmax"),
        SEQUENCE(filters=4, kernel_size=6, groups=4, kernel_regularizer="l2"),
        SEQUENCE(filters=2, kernel_size=3, strides=3, bias_constraint="non_neg"),
        ENDS(filters=3, kernel_size=2),
        SEQUENCE(filters=3, kernel_size=2, data_format="channels_first"),
        SEQUENCE(filters=4, kernel_size=3, strides=2, groups=2, padding="same", data_format="channels_first"),
    ],
    "ConvLSTM1D": [
        *[
            CUBE(filters=3, kernel_size=2, **options)
            for options in (
                {},
                {"padding": "same", "return_sequences": True, "go_backwards": True},
                {"strides": 2, "padding": "same"},
                {"dilation_rate": 2, "return_sequences": True, "return_state": True},
                {"stateful": True},
                {"use_bias": False, "activation": "softmax", "recurrent_activation": "hard_sigmoid"},
                {"unit_forget_bias": False, "activation": "relu", "kernel_regularizer": "l2"},
                {"data_format": "channels_last", "dropout": 0.0, "recurrent_dropout": 0.0, "seed": 1},
            )
        ],
        *[
            at(3, 6, 4, 2, mask=mask)(filters=2, kernel_size=3, **options)
            for mask in ("ends", "holes", "row")
            for options in (
                {},
                {"return_sequences": True},
                {"go_backwards": True, "return_sequences": True},
                {"zero_output_for_mask": True, "return_sequences": True},
            )
        ],
    ],
    "Conv1DTranspose": [
        SEQUENCE(filters=3, kernel_size=2),
        SEQUENCE(filters=3, kernel_size=(1,), strides=3),
        SEQUENCE(filters=2, kernel_size=4, strides=(2,), activation="tanh"),
        SEQUENCE(filters=2, kernel_size=3, strides=2, padding="same", activation="softmax"),
        SEQUENCE(filters=2, kernel_size=2, strides=5, padding="same"),
        SEQUENCE(filters=2, kernel_size=2, strides=5, output_padding=1),
        SEQUENCE(filters=2, kernel_size=3, strides=3, padding="SAME", output_padding=(2,)),
        SEQUENCE(filters=2, kernel_size=4, strides=2, padding="same", output_padding=0),
        SEQUENCE(filters=3, kernel_size=3, dilation_rate=2, padding="same", use_bias=False),
        SEQUENCE(filters=3, kernel_size=2, dilation_rate=3, kernel_regularizer="l2", bias_constraint="non_neg"),
        at(3, 1, 2)(filters=2, kernel_size=7, padding="same"),
        ENDS(filters=3, kernel_size=2),
        SEQUENCE(filters=3, kernel_size=3, strides=2, data_format="channels_first"),
    ],
    "Cropping1D": [SEQUENCE(), SEQUENCE(cropping=2), SEQUENCE(cropping=(0, 3)), ENDS(cropping=(4, 1))],
    "Dense": [
        ROW(units=3),
        SEQUENCE(units=5, activation="relu"),
        CUBE(units=2, activation="softmax", use_bias=False),
        ENDS(units=3, activation="gelu"),
        ROW(units=3, kernel_initializer="orthogonal", bias_initializer="ones", kernel_constraint="max_norm"),
        ROW(units=3, kernel_regularizer="l1", bias_regularizer="l2", activity_regularizer="L1L2"),
        ROW(units=3, trainable=False),
    ],
    "DepthwiseConv1D": [
        SEQUENCE(kernel_size=2),
        SEQUENCE(kernel_size=(3,), strides=2, padding="same", activation="tanh"),
        SEQUENCE(kernel_size=3, depth_multiplier=3, activation="softmax"),
        SEQUENCE(kernel_size=2, dilation_rate=3, padding="SAME", use_bias=False, depth_multiplier=2),
        SEQUENCE(kernel_size=6, depthwise_regularizer="l2", bias_initializer="ones", bias_regularizer="l1"),
        SEQUENCE(kernel_size=2, strides=4, depthwise_constraint="max_norm", bias_constraint="non_neg"),
        SEQUENCE(kernel_size=4, padding="same", depthwise_initializer="he_normal", activity_regularizer="l2"),
        ENDS(kernel_size=2),
        SEQUENCE(kernel_size=2, depth_multiplier=2, data_format="channels_first"),
    ],
    "Dropout": [ROW(rate=0.0), ENDS(rate=0.0, noise_shape=(None, 1, None), seed=1)],
    "ELU": [ROW(), KINKS(), KINKS(alpha=0.3), SEQUENCE(alpha=0.3), ENDS(alpha=2)],
    "EinsumDense": [
        SEQUENCE(equation="abc,cd->abd", output_shape=(None, 3), bias_axes="d", activation="tanh"),
        ENDS(equation="...c,cd->...d", output_shape=3),
        CUBE(equation="...c,cd->...d", output_shape=3, bias_axes="d"),
        SEQUENCE(equation="abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de"),
        SEQUENCE(equation="abc,cde->abde", output_shape=(None, 2, 3), bias_axes="d"),
        SEQUENCE(equation="abc,bd->adc", output_shape=(3, None), bias_axes="d", activation="relu"),
        CUBE(equation="ab...,bd->ad...", output_shape=2, bias_axes="d"),
        ROW(equation="ab,bc->ac", output_shape=5, bias_axes="c"),
    ],
    "Embedding": [
        IDS(input_dim=7, output_dim=3),
        IDS(input_dim=9, output_dim=1, mask_zero=True),
        at(5, ids=4)(input_dim=4, output_dim=3),
        at(2, 3, 4, ids=2)(input_dim=5, output_dim=3, mask_zero=True),
        IDS(input_dim=7, output_dim=3, embeddings_initializer="glorot_normal", embeddings_regularizer="l2"),
        IDS(input_dim=7, output_dim=3, embeddings_constraint="unit_norm", trainable=False),
    ],
    "Flatten": [
        SEQUENCE(),
        ROW(),
        at(3)(),
        CUBE(data_format="channels_last"),
        ENDS(),
        SEQUENCE(data_format="channels_first"),
    ],
    "GRU": recurrent(
        *gated({"reset_after": False}, {"reset_after": False, "use_bias": False}),
        SEQUENCE(units=3, reset_after=False, use_bias=False, return_sequences=True),
        HOLES(units=3, reset_after=False, return_state=True),
        STATE(units=3, reset_after=False),
        SEQUENCE(units=3, activation="softsign", recurrent_activation="hard_sigmoid"),
        SEQUENCE(units=3, activation=None, recurrent_activation="relu", reset_after=False),
    ),
    "GaussianDropout": [ROW(rate=0.0), HOLES(rate=0.0, seed=5)],
    "GaussianNoise": [ROW(stddev=0.0), HOLES(stddev=0.0, seed=5)],
    "GlobalAveragePooling1D": [
        SEQUENCE(),
        SEQUENCE(keepdims=True),
        ENDS(),
        HOLES(keepdims=True),
        SEQUENCE(data_format="channels_first"),
        SEQUENCE(keepdims=True, data_format="channels_first"),
    ],
    "GlobalMaxPooling1D": [
        SEQUENCE(),
        TIES(),
        TIES(keepdims=True),
        SEQUENCE(keepdims=True),
        HOLES(),
        SEQUENCE(data_format="channels_first"),
        SEQUENCE(keepdims=True, data_format="channels_first"),
    ],
    "GroupNormalization": [
        ROW(groups=2),
        SEQUENCE(groups=-1),
        SEQUENCE(groups=1, center=False),
        SEQUENCE(groups=3, axis=1, epsilon=0.1),
        CUBE(groups=5, scale=False),
        CUBE(groups=2, axis=-2, gamma_initializer="uniform"),
        HOLES(groups=2, beta_constraint="non_neg"),
    ],
    "Identity": [ROW(), HOLES()],
    "LSTM": recurrent(
        *gated({"unit_forget_bias": False}),
        SEQUENCE(units=3, activation="softsign", recurrent_activation="hard_sigmoid"),
        SEQUENCE(units=3, activation=None, recurrent_activation="tanh", seed=4),
        HOLES(units=3, return_state=True, go_backwards=True),
    ),
    "LayerNormalization": [
        ROW(),
        SEQUENCE(center=False),
        SEQUENCE(scale=False, epsilon=0.1),
        # Keras's PyTorch backend fails for one axis, or neighbours, that are not the last ones.
        SEQUENCE(axis=[1, 2]),
        CUBE(axis=(-1, -2)),
        CUBE(axis=[1, 3], gamma_initializer="random_uniform"),
        CUBE(axis=-1, center=False, scale=False),
        HOLES(gamma_regularizer="l1"),
        ROW(rms_scaling=True),
        HOLES(rms_scaling=True, epsilon=0.1, scale=False),
        CUBE(axis=(-1, -2), rms_scaling=True, center=False),
        CUBE(axis=[1, 3], rms_scaling=True, gamma_initializer="random_uniform", gamma_constraint="non_neg"),
        SEQUENCE(axis=1, rms_scaling=True),
    ],
    "LeakyReLU": [ROW(), KINKS(), KINKS(negative_slope=0.2), SEQUENCE(negative_slope=0.2), ENDS(negative_slope=1)],
    "Masking": [SEQUENCE(), SEQUENCE(mask_value=0.5), ENDS()],
    "MaxPooling1D": [
        SEQUENCE(),
        TIES(),
        TIES(pool_size=3, strides=2, padding="same"),
        TIES(pool_size=4, strides=1),
        SEQUENCE(pool_size=3, strides=2, padding="same"),
        SEQUENCE(pool_size=4, strides=1),
        ENDS(pool_size=2),
        SEQUENCE(pool_size=3, strides=2, padding="same", data_format="channels_first"),
    ],
    "Normalization": [
        ROW(),
        SEQUENCE(axis=None),
        SEQUENCE(axis=(1, -1)),
        CUBE(axis=2),
        SEQUENCE(invert=True),
        SEQUENCE(axis=None, mean=2.0, variance=9.0),
        SEQUENCE(mean=[1.0, 2.0, 3.0, 4.0], variance=[4.0, 3.0, 2.0, 1.0]),
        SEQUENCE(axis=(1, 2), mean=[1.0, 2.0, 3.0, 4.0], variance=[4.0, 0.0, 2.0, 1.0], invert=True),
        HOLES(mean=0.5, variance=2.0),
    ],
    "PReLU": [
        ROW(),
        SEQUENCE(alpha_initializer="random_normal", alpha_regularizer="l1"),
        SEQUENCE(shared_axes=1),
        KINKS(shared_axes=1),
        CUBE(shared_axes=[1, 2], alpha_constraint="non_neg"),
        HOLES(shared_axes=(2,)),
    ],
    "Permute": [SEQUENCE(dims=(2, 1)), CUBE(dims=(3, 1, 2)), ROW(dims=(1,)), ENDS(dims=[2, 1])],
    "RMSNormalization": [ROW(), SEQUENCE(axis=2, epsilon=0.1), CUBE(axis=[-1, -2]), HOLES()],
    "RNN": [
        make(**options)
        for options in (
            {"cell": ("LSTMCell", {"units": 4}), "return_sequences": True},
            {"cell": ("GRUCell", {"units": 4, "reset_after": False}), "go_backwards": True},
            {"cell": ("SimpleRNNCell", {"units": 4, "activation": "relu"}), "unroll": True},
            {"cell": ("LSTMCell", {"units": 4}), "return_sequences": True, "zero_output_for_mask": True},
        )
        for make in (SEQUENCE, EMPTY_ROW)
    ],
    "ReLU": [
        ROW(),
        SEQUENCE(max_value=6, negative_slope=0.0),
        SEQUENCE(max_value=0.7),
        SEQUENCE(negative_slope=0.2),
        SEQUENCE(max_value=0.7, negative_slope=0.1, threshold=0.3),
        SEQUENCE(threshold=0.5),
        SEQUENCE(max_value=0.2, threshold=0.5),
        KINKS(),
        KINKS(negative_slope=0.2),
        KINKS(max_value=1.0),
        KINKS(max_value=1.0, threshold=0.5),
        KINKS(max_value=2.0, negative_slope=0.3, threshold=0.5),
        KINKS(max_value=2.0, negative_slope=0.3),
        KINKS(max_value=0.25, threshold=0.5),
        at(3, 60, 4, scale=6.0, grid=1.0)(max_value=6.0),
        at(3, 60, 4, scale=6.0, grid=1.0)(max_value=6.0, negative_slope=0.5),
        at(3, 60, 4, scale=6.0, grid=1.0)(max_value=6.0, threshold=1.0),
        at(3, 6, 4, scale=9.0)(max_value=6.0),
        ENDS(max_value=1, negative_slope=1),
    ],
    "RepeatVector": [ROW(n=1), ROW(n=5)],
    "Rescaling": [ROW(scale=2.0), SEQUENCE(scale=0.5, offset=-1.0), ENDS(scale=3.0)],
    "Reshape": [SEQUENCE(target_shape=(24,)), SEQUENCE(target_shape=(2, -1)), ENDS(target_shape=[3, 2, 4])],
    "SeparableConv1D": [
        SEQUENCE(filters=3, kernel_size=2),
        SEQUENCE(filters=5, kernel_size=(3,), strides=2, padding="same", activation="tanh"),
        SEQUENCE(filters=3, kernel_size=3, depth_multiplier=3, activation="softmax"),
        SEQUENCE(filters=1, kernel_size=2, dilation_rate=3, padding="SAME", use_bias=False, depth_multiplier=2),
        SEQUENCE(filters=3, kernel_size=6, depthwise_regularizer="l2", pointwise_regularizer="l1"),
        SEQUENCE(filters=3, kernel_size=2, strides=4, depthwise_constraint="max_norm", pointwise_constraint="non_neg"),
        SEQUENCE(filters=3, kernel_size=2, pointwise_initializer="he_normal", bias_regularizer="l2"),
        ENDS(filters=3, kernel_size=2),
        SEQUENCE(filters=3, kernel_size=2, activation="tanh", data_format="channels_first"),
    ],
    "SimpleRNN": recurrent(
        SEQUENCE(units=3, activation=None),
        SEQUENCE(units=3, activation="hard_tanh"),
        HOLES(units=3, return_state=True),
    ),
    "Softmax": [
        ROW(),
        SEQUENCE(axis=1),
        SEQUENCE(axis=[1, 2]),
        CUBE(axis=(-1, 1)),
        CUBE(axis=[2]),
        at(4, 6, 4, 6, mask="ends")(),
    ],
    "SpatialDropout1D": [SEQUENCE(rate=0.0), ENDS(rate=0.0, seed=1)],
    "TimeDistributed": [
        SEQUENCE(layer=("Dense", {"units": 3, "activation": "tanh"})),
        ENDS(layer=("Dense", {"units": 2})),
        CUBE(layer=("Conv1D", {"filters": 2, "kernel_size": 2})),
        CUBE(layer=("LSTM", {"units": 2})),
        SEQUENCE(layer=("LayerNormalization", {})),
    ],
    "UnitNormalization": [ROW(), SEQUENCE(axis=1), CUBE(axis=[1, 3]), HOLES()],
    "UpSampling1D": [SEQUENCE(), SEQUENCE(size=3), ENDS(size=1)],
    "ZeroPadding1D": [
        SEQUENCE(),
        SEQUENCE(padding=2),
        SEQUENCE(padding=(0, 3)),
        ENDS(padding=(1, 0)),
        SEQUENCE(padding=(0, 2), data_format="channels_first"),
    ],
}
