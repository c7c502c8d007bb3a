"""`pyrnn.keras_shim`: scripts written for Keras and TensorFlow run, and names that are absent say why when used."""

from __future__ import annotations

import importlib
import inspect
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import arguments, keras_files, keras_shim, layers, optimizers
from pyrnn.tensor_functions import BACKEND, NN, TENSORFLOW

ROOTS = ("keras", "tf_keras", "tensorflow", "keras_preprocessing")


@pytest.fixture
def shim() -> Iterator[SimpleNamespace]:
    """Keras's names mapped to pyrnn in this process, for one test."""
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in ROOTS}
    finders = sys.meta_path.copy()
    try:
        keras_shim.install()
        yield SimpleNamespace(keras=importlib.import_module("keras"), tf=importlib.import_module("tensorflow"))
    finally:
        sys.meta_path[:] = finders
        arguments.translators.clear()
        for name in [name for name in sys.modules if name.split(".")[0] in ROOTS]:
            del sys.modules[name]
        sys.modules.update(hidden)


SCRIPT = """
import sys
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers
from tensorflow.keras.layers import LSTM, Dense
from keras.models import Sequential, load_model
from keras.callbacks import EarlyStopping
import numpy as np
tf.random.set_seed(1)
keras.backend.clear_session()
model = keras.Sequential([keras.Input((5, 3)), LSTM(4), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.01), loss="mse")
model.fit(np.ones((8, 5, 3)), np.ones((8, 1)), epochs=2, verbose=0, callbacks=[EarlyStopping("loss")])
print(type(model).__module__.split(".")[0], model.layers[0].name, tf.__version__.split(".")[0], sys.argv[1:])
"""


def run_shim(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pyrnn.keras_shim", str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=script.parent, check=False)


def test_a_keras_script_runs_unchanged(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    result = run_shim(script, "--size", "3")
    assert result.stdout.strip() == "pyrnn lstm 2 ['--size', '3']", result.stderr
    assert len(result.stderr.splitlines()) == 1 and "tensorflow.keras = pyrnn" in result.stderr


UNUSED = """
import tensorflow as tf
import tensorflow.data
from keras.applications.vgg16 import VGG16
from keras.engine import KerasTensor
from keras.preprocessing.image import ImageDataGenerator
from tensorflow.keras.layers import Conv2D, CuDNNLSTM
from tensorflow.python.client import device_lib

def f(batches: tf.data.Dataset, layer: Conv2D | None = None) -> tf.RaggedTensor: ...
print(isinstance(f, Conv2D), isinstance(1, tf.RaggedTensor), Conv2D)
{line}
"""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", ""),
        ("Conv2D(8, 3)", "AttributeError: tensorflow.keras.layers has no Conv2D: it works on images or volumes"),
        ("class Layer(Conv2D): pass", "AttributeError: tensorflow.keras.layers has no Conv2D: it works on"),
        ("Conv2D.from_config({})", "AttributeError: tensorflow.keras.layers has no Conv2D: it works on images"),
        ("VGG16()", "AttributeError: keras has no applications: they are models of images; use Keras for them"),
        ("ImageDataGenerator()", "AttributeError: keras.preprocessing has no image: it works on images"),
        ("with tf.GradientTape() as tape: pass", "AttributeError: tensorflow has no GradientTape: layers compute"),
        ("tf.data.Dataset.from_tensor_slices([1])", "AttributeError: tensorflow has no data: batches come from"),
        ("device_lib.list_local_devices()", "AttributeError: tensorflow.python has no client: pyrnn replaces"),
        ("tf.keras.backend.learning_phase()", "AttributeError: tensorflow.keras.backend has no learning_phase: "),
        ("import keras; keras.nothing", "AttributeError: keras.nothing has no counterpart in pyrnn (see docs/guide"),
        ("import keras.nothing", "ImportError: keras.nothing has no counterpart in pyrnn (see docs/guide/keras.md)"),
    ],
)
def test_absent_names_raise_when_used(
    shim: SimpleNamespace, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    """Not when they are imported, in an annotation or in isinstance."""
    try:
        exec(UNUSED.format(line=line), {})
        error = ""
    except (AttributeError, ImportError) as caught:
        error = f"{type(caught).__name__}: {caught}"
    assert capsys.readouterr().out.startswith("False False <tensorflow.keras.layers has no Conv2D: ")
    assert error.startswith(message) and bool(error) == bool(line)


OLD_SCRIPT = """
from keras.layers.advanced_activations import LeakyReLU
from keras.layers.core import *
from keras.engine.topology import Layer
from keras.utils import np_utils
from keras.utils.vis_utils import plot_model
from keras.optimizers import legacy
import keras.ops
from keras.objectives import mean_squared_error
from keras_preprocessing.sequence import pad_sequences
from tensorflow.python.keras.layers import LSTM
import keras
print(LeakyReLU.__name__, Layer.__name__, np_utils.to_categorical([1]).tolist(), legacy.Adam.__name__,
      keras.utils.np_utils.to_categorical is np_utils.to_categorical, keras.backend.epsilon(),
      LSTM is keras.layers.LSTM, Dense.__name__)
"""


def test_modules_of_keras_2(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(OLD_SCRIPT)
    result = run_shim(script)
    assert result.stdout.split() == [
        "LeakyReLU", "Layer", "[[0.0,", "1.0]]", "Adam", "True", "1e-07", "True", "Dense",
    ], result.stderr  # fmt: skip


def test_star_imports_bring_what_is_absent(shim: SimpleNamespace) -> None:
    """Tools that re-export Keras import all of its names, and use some of them only for images."""
    names: dict[str, Any] = {}
    exec("from keras import *\nfrom keras.layers import *", names)
    assert names["LSTM"] is pyrnn.layers.LSTM and names["callbacks"].EarlyStopping is pyrnn.callbacks.EarlyStopping
    efficientnet = names["applications"].efficientnet
    with pytest.raises(AttributeError, match="keras has no applications: they are models of images"):
        efficientnet.EfficientNetB0()
    with pytest.raises(AttributeError, match=r"keras.layers has no Conv2D: it works on images"):
        names["Conv2D"](3, 2)


def test_modules_that_keras_has_too_are_found() -> None:
    ours = {"data", "distributed", "export", "forecasting", "interop", "summary"}
    assert set(pyrnn._SUBMODULES) - {*keras_shim.MODULES, "backend"} == ours


def test_where_keras_3_keeps_its_code(shim: SimpleNamespace) -> None:
    from keras.src.layers import LSTM
    from keras.src.ops import cast
    from keras.src.utils.legacy import serialize_keras_object
    from keras.utils import legacy

    assert LSTM is pyrnn.layers.LSTM and cast is pyrnn.ops.cast
    assert legacy.serialize_keras_object is serialize_keras_object is pyrnn.utils.legacy.serialize_keras_object
    assert shim.keras.src.models.Sequential is pyrnn.Sequential and shim.keras.version() == shim.keras.__version__
    with pytest.raises(AttributeError, match=r"keras.src.layers has no Conv2D: it works on images"):
        shim.keras.src.layers.Conv2D(3, 2)


def test_scikit_learn(shim: SimpleNamespace) -> None:
    from keras.wrappers import SKLearnRegressor
    from keras.wrappers.scikit_learn import KerasRegressor

    assert SKLearnRegressor is pyrnn.wrappers.SKLearnRegressor and KerasRegressor is pyrnn.wrappers.KerasRegressor


def test_no_script_is_refused() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pyrnn.keras_shim"], capture_output=True, text=True, check=False, cwd="/"
    )
    assert result.returncode == 2 and result.stderr.startswith("usage:")


def test_install_comes_before_keras(shim: SimpleNamespace) -> None:
    with pytest.raises(RuntimeError, match=r"keras is already imported: call pyrnn.keras_shim.install\(\) first"):
        keras_shim.install()


def test_modules_in_this_process(shim: SimpleNamespace) -> None:
    """Every module of the tables has the names of its counterpart, and tools that look at all modules do not fail."""
    assert shim.tf.keras.layers.LSTM is shim.keras.layers.LSTM is pyrnn.layers.LSTM
    assert shim.tf.losses.Huber is pyrnn.losses.Huber and "Dense" in dir(shim.keras.layers)
    for name in [name for name in sys.modules if name.split(".")[0] in ROOTS]:
        assert not hasattr(sys.modules[name], "__file__")
    assert inspect.getmodule(test_modules_in_this_process) is sys.modules[__name__]
    absent = importlib.import_module("keras.applications.vgg16")
    assert callable(absent.VGG16) and not hasattr(absent, "__file__")
    with pytest.raises(AttributeError, match="keras has no applications"):
        absent.VGG16()
    assert not issubclass(int, absent.VGG16) and not hasattr(absent.VGG16, "__fspath__")


def test_settings_of_tensorflow(shim: SimpleNamespace) -> None:
    tf = shim.tf
    tf.get_logger().setLevel("ERROR")
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    assert tf.config.list_physical_devices("GPU") == tf.config.experimental.list_physical_devices("GPU") == []
    assert tf.__version__ == tf.version.VERSION
    assert tf.executing_eagerly() and not tf.test.is_gpu_available() and tf.test.gpu_device_name() == ""
    assert not tf.test.is_built_with_cuda() and tf.config.run_functions_eagerly(True) is None
    tf.random.set_seed(3)
    first = tf.random.normal((2, 3))
    tf.compat.v1.set_random_seed(3)
    assert np.array_equal(first, tf.random.normal((2, 3))) and first.numpy().dtype == np.float32

    @tf.function
    def twice(x: Any) -> Any:
        return 2 * x

    with tf.device("/GPU:0"):
        assert twice(2) == tf.function(jit_compile=True)(twice)(2) == 4


X = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0]])
POSITIVE = np.abs(X)
VALUES: list[tuple[Callable[[], Any], Any]] = [
    (lambda: BACKEND["sqrt"]([-1.0, 4.0]), [0.0, 2.0]),
    (lambda: BACKEND["mean"](X, axis=-1, keepdims=True), X.mean(-1, keepdims=True)),
    (lambda: BACKEND["std"](X), X.std()),
    (lambda: BACKEND["clip"](X, 0, 1), X.clip(0, 1)),
    (lambda: BACKEND["argmax"](X), [2, 0]),
    (lambda: TENSORFLOW["argmax"](X), [0, 1, 0]),
    (lambda: BACKEND["concatenate"]([X, X]), np.hstack([X, X])),
    (lambda: TENSORFLOW["concat"](values=[X, X], axis=0), np.vstack([X, X])),
    (lambda: TENSORFLOW["reduce_sum"](input_tensor=X, axis=[0, 1]), X.sum()),
    (lambda: TENSORFLOW["clip_by_value"](X, clip_value_min=-1, clip_value_max=1), X.clip(-1, 1)),
    (lambda: BACKEND["batch_flatten"](X[:, :, None]), X),
    (lambda: BACKEND["flatten"](X), X.ravel()),
    (lambda: BACKEND["permute_dimensions"](X, (1, 0)), X.T),
    (lambda: BACKEND["expand_dims"](X), X[..., None]),
    (lambda: BACKEND["squeeze"](X[..., None], -1), X),
    (lambda: BACKEND["repeat_elements"](X, 2, axis=0), X.repeat(2, 0)),
    (lambda: BACKEND["stack"]([X, X], axis=1), np.stack([X, X], 1)),
    (lambda: BACKEND["tile"](X, (1, 2)), np.tile(X, (1, 2))),
    (lambda: BACKEND["cumsum"](X, axis=1), X.cumsum(1)),
    (lambda: BACKEND["gather"](X, [1]), X[[1]]),
    (lambda: BACKEND["switch"](X > 0, X, 0 * X), X * (X > 0)),
    (lambda: TENSORFLOW["where"]([True, False]), [[0]]),
    (lambda: BACKEND["logsumexp"](X, axis=1), np.log(np.exp(X).sum(1))),
    (lambda: BACKEND["l2_normalize"](X, axis=1), X / np.sqrt((X**2).sum(1, keepdims=True))),
    (lambda: BACKEND["softmax"](X), np.exp(X) / np.exp(X).sum(-1, keepdims=True)),
    (lambda: BACKEND["sigmoid"](X), 1 / (1 + np.exp(-X))),
    (lambda: BACKEND["softplus"](X), np.log1p(np.exp(X))),
    (lambda: BACKEND["relu"](X), X.clip(0)),
    (lambda: BACKEND["elu"](X), np.where(X > 0, X, np.expm1(X))),
    (lambda: BACKEND["binary_crossentropy"]([1.0, 0.0], [0.5, 0.25]), -np.log([0.5, 0.75])),
    (lambda: BACKEND["binary_crossentropy"]([1.0], [0.0], from_logits=True), -np.log([0.5])),
    (lambda: BACKEND["categorical_crossentropy"]([[0.0, 1.0]], [[1.0, 3.0]]), -np.log([0.75])),
    (lambda: BACKEND["categorical_crossentropy"]([[0.0, 1.0]], [[0.0, 0.0]], from_logits=True), -np.log([0.5])),
    (lambda: BACKEND["cast"](X > 0, "float32"), X > 0),
    (lambda: BACKEND["cast_to_floatx"]([1]), [1.0]),
    (lambda: BACKEND["one_hot"]([1, 0], 2), [[0, 1], [1, 0]]),
    (lambda: BACKEND["zeros"]((2, 3)), np.zeros((2, 3))),
    (lambda: BACKEND["ones_like"](X), np.ones((2, 3))),
    (lambda: BACKEND["int_shape"](X), (2, 3)),
    (lambda: BACKEND["ndim"](X), 2),
    (lambda: BACKEND["shape"](X), [2, 3]),
    (lambda: BACKEND["reshape"](X, (-1,)), X.ravel()),
    (lambda: BACKEND["eval"](X), X),
    (lambda: BACKEND["pow"](POSITIVE, 2), X**2),
    (lambda: TENSORFLOW["constant"](1.0, shape=(2,)), [1.0, 1.0]),
    (lambda: TENSORFLOW["constant"]([1, 2, 3, 4], shape=(2, 2)), [[1, 2], [3, 4]]),
    (lambda: TENSORFLOW["squared_difference"](X, 1.0), (X - 1) ** 2),
    (lambda: TENSORFLOW["range"](3), [0, 1, 2]),
    (lambda: TENSORFLOW["is_tensor"](TENSORFLOW["exp"](X)), True),
    (lambda: NN["l2_normalize"](X), X / np.sqrt((X**2).sum())),
]  # fmt: skip


@pytest.mark.parametrize(("call", "expected"), VALUES, ids=range(len(VALUES)))
def test_functions(call: Callable[[], Any], expected: Any) -> None:
    np.testing.assert_allclose(call(), expected, rtol=1e-6)


LOSSES: list[Callable[[Any, Any], Any]] = [
    lambda y, p: BACKEND["sqrt"](BACKEND["mean"](BACKEND["square"](p - y), axis=-1)),
    lambda y, p: TENSORFLOW["reduce_mean"](TENSORFLOW["abs"](TENSORFLOW["subtract"](y, p))),
    lambda y, p: BACKEND["mean"](BACKEND["binary_crossentropy"](y, BACKEND["sigmoid"](p)), axis=-1),
    lambda y, p: BACKEND["sum"](BACKEND["maximum"](0.5 * (y - p), -0.5 * (y - p)), axis=-1),
    lambda y, p: BACKEND["mean"](BACKEND["softplus"](-y * p) + TENSORFLOW["where"](p > y, p, 0 * p), axis=-1),
    lambda y, p: BACKEND["categorical_crossentropy"](y, p, from_logits=True),
    lambda y, p: BACKEND["logsumexp"](BACKEND["concatenate"]([p, y]), axis=-1),
]


@pytest.mark.parametrize("function", LOSSES, ids=range(len(LOSSES)))
def test_losses_have_gradients(function: Callable[[Any, Any], Any]) -> None:
    rng = np.random.default_rng(0)
    y, prediction = rng.random((4, 3)), rng.normal(size=(4, 3))
    values, gradient = pyrnn.losses.FunctionLoss(function).lazy_elements(y, prediction)
    numbers = np.zeros_like(prediction)
    for place in np.ndindex(*prediction.shape):
        step = np.zeros_like(prediction)
        step[place] = 1e-6
        up, down = (np.sum(np.asarray(function(y, prediction + sign * step))) for sign in (1, -1))
        numbers[place] = (up - down) / 2e-6
    assert np.isfinite(values).all()
    np.testing.assert_allclose(gradient(), numbers, rtol=1e-5, atol=1e-8)


def test_values_of_variables() -> None:
    model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    BACKEND["set_value"](model.optimizer.learning_rate, 0.5)
    assert BACKEND["get_value"](model.optimizer.learning_rate) == 0.5
    assert BACKEND["get_value"](model.weights[0]).shape == (2, 1) and BACKEND["dtype"](X) == "float64"
    assert BACKEND["random_uniform"]((2,), 1.0, 2.0, seed=3).min() >= 1.0


def test_arguments_of_older_versions(shim: SimpleNamespace) -> None:
    """They are translated, with a warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert float(shim.keras.optimizers.Adam(lr=0.25).learning_rate) == 0.25
        for optimizer in (optimizers.SGD(lr=0.5, decay=0.5), optimizers.SGD(0.5, decay=0.5)):
            optimizer.iterations.assign(2)
            assert float(optimizer.learning_rate) == 0.25
        assert optimizers.RMSprop(lr=0.5, decay=0.0).get_config()["learning_rate"] == 0.5
        layer = layers.LSTM(output_dim=3, init="uniform", inner_activation="hard_sigmoid", input_shape=(4, 2))
        config = layer.get_config()
        assert (layer.units, config["recurrent_activation"]) == (3, "hard_sigmoid")
        assert config["kernel_initializer"]["class_name"] == "RandomUniform"
        model = shim.keras.Sequential([layer])
        model.compile("adam", "mse")
        assert model.fit(np.ones((2, 4, 2)), np.ones((2, 3)), nb_epoch=2, verbose=0).epoch == [0, 1]
    messages = {str(each.message) for each in caught}
    assert "the argument 'lr' of older Keras versions is read as 'learning_rate'" in messages
    for name in ("decay", "output_dim", "init", "inner_activation", "nb_epoch"):
        assert any(f"the argument {name!r}" in message for message in messages)
    assert all(Path(each.filename).samefile(__file__) for each in caught)


def test_other_arguments_are_rejected_as_before(shim: SimpleNamespace) -> None:
    model = pyrnn.Sequential([layers.Dense(1, input_shape=(2,))])
    with pytest.raises(TypeError, match="samples_per_epoch"):
        model.fit(np.ones((2, 2)), np.ones((2, 1)), samples_per_epoch=2)
    with pytest.raises(TypeError, match="unknown argument 'unitz'"):
        layers.LSTM(3, unitz=3)
    with pytest.raises(TypeError, match="learning_rat'"):
        optimizers.Adam(learning_rat=3)


def test_layers_of_older_versions(shim: SimpleNamespace) -> None:
    older = shim.keras.layers
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = [older.CuDNNLSTM(3), older.CuDNNGRU(units=3), older.ThresholdedReLU(theta=0.5),
                older.TimeDistributedDense(2), older.AtrousConvolution1D(2, 3, atrous_rate=2)]  # fmt: skip
    assert [type(layer) for layer in made] == [layers.LSTM, layers.GRU, layers.ReLU, layers.Dense, layers.Conv1D]
    assert made[2](np.array([[0.4, 0.6]])).tolist() == [[0.0, np.float32(0.6)]]
    assert made[4].get_config()["dilation_rate"] == (2,)
    assert [str(each.message) for each in caught][:1] == ["the layer CuDNNLSTM of older Keras versions is LSTM"]
    assert len(caught) == len(made)


def test_data_sets_come_from_the_disk(shim: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Keras keeps them; otherwise the message says which file to put where."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    imdb = importlib.import_module("keras.datasets.imdb")
    with pytest.raises(FileNotFoundError) as caught:
        imdb.load_data(num_words=5)
    assert str(caught.value) == f"pyrnn downloads nothing: get imdb.npz and put it at {tmp_path}/datasets/imdb.npz"
    with pytest.raises(FileNotFoundError, match=r"get a\.txt from http://x/a\.txt and put it at .*a\.txt"):
        shim.tf.keras.utils.get_file(origin="http://x/a.txt")
    folder = tmp_path / "datasets"
    folder.mkdir()
    (folder / "imdb_word_index.json").write_text('{"the": 1}')
    texts = np.empty(3, object)
    texts[:] = [[1, 2, 3], [4], [9, 1]]
    labels = np.array([0, 1, 2])
    np.savez(folder / "imdb.npz", x_train=texts, y_train=labels, x_test=texts, y_test=labels)
    (x_train, y_train), (x_test, y_test) = imdb.load_data(num_words=6)
    expected = [[1, 4, 5, 2], [1, 2], [1, 2, 4]]
    assert [expected[label] for label in y_train] == x_train.tolist() and sorted(y_test) == [0, 1, 2]
    assert [expected[label] for label in y_test] == x_test.tolist()
    (x_train, y_train), _ = imdb.load_data(maxlen=3, oov_char=None, start_char=None, index_from=0, num_words=9)
    assert sorted(zip(y_train.tolist(), x_train.tolist(), strict=True)) == [(1, [4]), (2, [1])]
    assert imdb.get_word_index() == {"the": 1}
    np.savez(folder / "mnist.npz", x_train=labels, y_train=labels, x_test=labels, y_test=labels)
    assert shim.keras.datasets.mnist.load_data()[1][0].tolist() == [0, 1, 2]


def test_code_in_a_data_set_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    array = np.array([Path("x")], object)
    np.savez(tmp_path / "datasets/imdb.npz", x_train=array, y_train=array, x_test=array, y_test=array)
    with pytest.raises(pickle.UnpicklingError, match="the file may hold arrays and lists only, got pathlib"):
        keras_files.Imdb.load_data()


# Functions of an array (2, 3) that layers and models call on symbols.
ON_SYMBOLS: dict[str, Callable[[Any], Any]] = {
    **{f"K.{name}": BACKEND[name] for name in (
        "abs", "exp", "square", "tanh", "sigmoid", "softmax", "softplus", "softsign", "relu", "elu", "hard_sigmoid",
        "sum", "mean", "max", "min", "prod", "std", "var", "logsumexp", "cumsum", "cumprod", "sign", "round", "sqrt",
        "l2_normalize", "batch_flatten", "expand_dims", "zeros_like", "ones_like", "argmax", "sin", "cos",
    )},
    **{f"tf.{name}": TENSORFLOW[name] for name in (
        "reduce_sum", "reduce_mean", "reduce_max", "reduce_std", "reduce_variance", "negative", "expm1", "transpose",
        "sort", "norm", "identity", "size", "rank", "is_nan", "unstack",
    )},
    **{f"tf.nn.{name}": NN[name] for name in ("relu", "softmax", "tanh", "gelu", "swish", "l2_normalize")},
    "K.dot": lambda x: BACKEND["dot"](x, np.ones((3, 2), np.float32)),
    "K.batch_dot": lambda x: BACKEND["batch_dot"](x, x),
    "K.batch_dot of matrices": lambda x: BACKEND["batch_dot"](
        BACKEND["expand_dims"](x, 1), BACKEND["expand_dims"](x, 2), axes=[2, 1]
    ),
    "K.repeat": lambda x: BACKEND["repeat"](x, 4),
    "K.temporal_padding": lambda x: BACKEND["temporal_padding"](BACKEND["expand_dims"](x), (1, 2)),
    "K.clip": lambda x: BACKEND["clip"](x, -1, None),
    "K.permute_dimensions": lambda x: BACKEND["permute_dimensions"](x, (1, 0)),
    "K.reverse": lambda x: BACKEND["reverse"](x, [1]),
    "K.switch": lambda x: BACKEND["switch"](BACKEND["greater"](x, 0.0), x, lambda: x * 2),
    "K.cast": lambda x: BACKEND["cast"](BACKEND["greater"](x, 0.0), "float32"),
    "K.concatenate": lambda x: BACKEND["concatenate"]([x, x]),
    "K.bias_add": lambda x: BACKEND["bias_add"](x, np.ones(3, np.float32)),
    "tf.matmul": lambda x: TENSORFLOW["matmul"](x, x, transpose_b=True),
    "tf.einsum": lambda x: TENSORFLOW["einsum"]("bi,bi->b", x, x),
    "tf.split": lambda x: TENSORFLOW["split"](x, [1, 2], axis=1),
    "tf.slice": lambda x: TENSORFLOW["slice"](x, [0, 1], [-1, 2]),
    "tf.pad": lambda x: TENSORFLOW["pad"](x, [[0, 0], [1, 1]]),
    "tf.where": lambda x: TENSORFLOW["where"](x > 0, x, 0.0),
    "tf.concat": lambda x: TENSORFLOW["concat"]([x, x], axis=-1),
    "tf.stack": lambda x: TENSORFLOW["stack"]([x, x], axis=1),
    "tf.tile": lambda x: TENSORFLOW["tile"](x, [1, 2]),
    "tf.gather": lambda x: TENSORFLOW["gather"](x, [0, 2], axis=1),
    "tf.reshape": lambda x: TENSORFLOW["reshape"](x, (-1, 1, 3)),
    "tf.clip_by_value": lambda x: TENSORFLOW["clip_by_value"](x, -1.0, 1.0),
    "tf.tensordot": lambda x: TENSORFLOW["tensordot"](x, np.ones((3, 2), np.float32), axes=1),
    "tf.squared_difference": lambda x: TENSORFLOW["squared_difference"](x, 1.0),
    "tf.reverse": lambda x: TENSORFLOW["reverse"](x, [1]),
}  # fmt: skip


@pytest.mark.parametrize("name", ON_SYMBOLS)
def test_functions_run_in_the_call_of_layers(name: str) -> None:
    function, x = ON_SYMBOLS[name], X.astype("float32") + 0.3

    class Layer(pyrnn.layers.Layer):
        def call(self, x: Any) -> Any:
            y = function(x)
            return x if isinstance(y, np.ndarray) else y  # the rank and size are numbers

    expected = function(x)
    if not (isinstance(expected, np.ndarray) and expected.dtype.kind == "i" and expected.ndim == 0):
        for result, value in zip(listed(Layer()(x)), listed(expected), strict=True):
            np.testing.assert_allclose(result, value, rtol=1e-5, atol=1e-6)
    assert all(hasattr(value, "numpy") for value in listed(expected))


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def test_random_numbers_in_a_call_are_drawn_each_time(shim: SimpleNamespace) -> None:
    """With gradients of the rest, as for the sampling layer of an autoencoder."""
    tf = shim.tf

    class Sampling(tf.keras.layers.Layer):  # type: ignore[misc,name-defined]
        def call(self, inputs: Any) -> Any:
            mean, deviation = inputs
            sizes = tf.shape(mean)
            noise = tf.random.normal(shape=(sizes[0], sizes[1]), mean=0.0, stddev=1.0)
            return mean + deviation * noise

    mean, deviation = np.zeros((500, 2), np.float32), np.full((500, 2), 2.0, np.float32)
    pyrnn.utils.set_random_seed(3)
    layer = Sampling()
    first, second = layer([mean, deviation]), layer([mean, deviation])
    assert not np.array_equal(first, second) and abs(np.std(first) - 2) < 0.2
    pyrnn.utils.set_random_seed(3)
    np.testing.assert_array_equal(Sampling()([mean, deviation]), first)
    layer([mean, deviation], training=True)
    d_mean, d_deviation = layer.backward(np.ones_like(mean))
    np.testing.assert_array_equal(d_mean, 1)
    assert abs(d_deviation.mean()) < 0.2 and d_deviation.std() > 0.8


def test_activations_of_tensorflow_run_in_the_kernel(shim: SimpleNamespace) -> None:
    tf = shim.tf
    for activation, name in ((tf.nn.relu, "relu"), (tf.nn.swish, "silu"), (tf.keras.backend.sigmoid, "sigmoid")):
        layer = tf.keras.layers.Dense(2, activation=activation)
        assert layer.get_config()["activation"] == name
    np.testing.assert_allclose(tf.nn.softmax([[1.0, 1.0]]).numpy(), [[0.5, 0.5]])
    np.testing.assert_allclose(tf.nn.leaky_relu([-1.0], alpha=0.5).numpy(), [-0.5])


VAE = """
from keras import backend as K, objectives
from keras.models import Model
from keras.layers import Input, LSTM, Dense, Lambda, RepeatVector
import numpy as np
x = Input(shape=(5, 2))
h = LSTM(6)(x)
z_mean, z_log_sigma = Dense(3)(h), Dense(3)(h)
def sampling(args):
    z_mean, z_log_sigma = args
    epsilon = K.random_normal(shape=(K.shape(z_mean)[0], 3), mean=0., stddev=1.)
    return z_mean + K.exp(z_log_sigma / 2) * epsilon
z = Lambda(sampling, output_shape=(3,))([z_mean, z_log_sigma])
decoded = LSTM(2, return_sequences=True)(RepeatVector(5)(z))
vae = Model(x, decoded)
kl_loss = -0.5 * K.mean(1 + z_log_sigma - K.square(z_mean) - K.exp(z_log_sigma))
vae.add_loss(K.mean(K.square(x - decoded)) + kl_loss)
vae.compile(optimizer="rmsprop")
history = vae.fit(np.random.rand(8, 5, 2), epochs=3, batch_size=4, verbose=0)
before = Model(x, z_mean).predict(np.ones((1, 5, 2)), verbose=0)
"""
SETTINGS = """
import tensorflow as tf
from keras import backend as K
config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1)
config.gpu_options.allow_growth = True
with tf.compat.v1.Session(graph=tf.compat.v1.get_default_graph(), config=config) as session:
    K.set_session(session)
tf.compat.v1.keras.backend.clear_session()
history = tf.linalg.matmul([[2.0]], [[3.0]]).numpy().item()
"""
OLD_ARGUMENTS = """
import numpy as np
from keras.models import Sequential
from keras.layers.core import Dense
from keras.layers.recurrent import LSTM
from keras.constraints import maxnorm
from keras.regularizers import l1l2
from keras.legacy import interfaces
from keras.utils.generic_utils import has_arg
from keras.callbacks import ModelCheckpoint
model = Sequential()
model.add(LSTM(output_dim=4, input_dim=3, W_regularizer=l1l2(0.01), consume_less="cpu"))
model.add(Dense(1, W_constraint=maxnorm(2)))
model.compile("sgd", "mse", sample_weight_mode=None)
saved = [ModelCheckpoint("a.hdf5"), ModelCheckpoint("w.h5", save_weights_only=True)]
history = model.fit(np.ones((8, 5, 3)), np.ones((8, 1)), nb_epoch=1, verbose=0, callbacks=saved, workers=2).history
model.load_weights("w.h5")
"""


@pytest.mark.parametrize("script", [VAE, SETTINGS, OLD_ARGUMENTS], ids=["vae", "settings", "older arguments"])
def test_scripts(script: str, shim: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(script, names)
    assert names["history"]
    if "vae" in names:
        losses = names["history"].history["loss"]
        assert len(losses) == 3 and np.isfinite(losses).all() and names["before"].shape == (1, 3)


BARE_PATHS = """
import numpy as np, tensorflow as tf
x, y = np.ones((8, 5, 3)), np.ones((8, 1))
model = tf.keras.Sequential([tf.keras.layers.LSTM(2, input_shape=(5, 3)), tf.keras.layers.Dense(1)])
model.compile("sgd", "mse")
saved = [tf.keras.callbacks.ModelCheckpoint(filepath="best", save_best_only=True, monitor="loss"),
         tf.keras.callbacks.ModelCheckpoint(filepath="ckpt/cp-{epoch:04d}", save_weights_only=True)]
model.fit(x, y, epochs=1, verbose=0, callbacks=saved)
model.save("my_model", save_format="tf")
model.save_weights("./checkpoints/last")
history = tf.keras.models.load_model("my_model")
tf.keras.models.load_model("best")
history.load_weights("ckpt/cp-0001")
history.load_weights("./checkpoints/last")
assert np.array_equal(history.predict(x, verbose=0), model.predict(x, verbose=0))
"""


def test_paths_without_an_ending(shim: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As scripts write for TensorFlow's formats: a folder for a model, a file for weights, and warnings."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.warns(UserWarning, match="since the path has no ending"):
        exec(BARE_PATHS, {})
    assert (tmp_path / "my_model" / "config.json").exists() and (tmp_path / "checkpoints/last.weights.h5").exists()
