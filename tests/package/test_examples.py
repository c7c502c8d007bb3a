"""The examples run, briefly, and learn what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


def test_addition_learns() -> None:
    import addition

    assert addition.main(count=4000, digits=2, epochs=40, units=64) > 0.8


def test_a_lasting_state_is_what_is_needed() -> None:
    import stateful_lstm

    stateful, stateless = stateful_lstm.main(epochs=6)
    assert stateful < 0.3 < stateless


def test_bidirectional_learns() -> None:
    import bidirectional

    assert bidirectional.main(count=3000, epochs=8) > 0.85


def test_masks_make_padding_vanish() -> None:
    import masking_and_padding

    results = masking_and_padding.main()
    assert results["mask"].sum() == 14
    np.testing.assert_array_equal(results["mask"], results["same"])
    np.testing.assert_allclose(results["short"], results["long"], rtol=1e-6)
    np.testing.assert_allclose(results["by_hand"], results["alone"], rtol=1e-5, atol=1e-6)


def test_guide() -> None:
    import rnn_guide

    results = rnn_guide.main(epochs=4)
    assert results["first"].shape == results["stack"].shape == (4, 10)
    assert results["decoded"].shape == (20, 64) and results["bidirectional"].shape == (20, 10)
    np.testing.assert_allclose(results["pieces"], results["whole"], rtol=1e-5, atol=1e-6)
    assert min(results["accuracies"]) > 0.9


def test_tagging_counts_real_words_only() -> None:
    import tagging

    result = tagging.main(epochs=1)
    loss, accuracy = result["evaluated"]
    assert 0.7 < accuracy < 1 and loss > 0
    np.testing.assert_allclose([loss, accuracy], result["by_hand"], rtol=1e-5)
    assert set(result["history"]) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert tagging.main()["tags"] == ["DET", "NOUN", "AUX", "VERB", "DET", "NOUN"]


def test_cross_validation_in_two_processes() -> None:
    import cross_validation

    result = cross_validation.main()
    assert result["keys"] == ["loss", "mae", "val_loss", "val_mae"]
    assert np.isfinite(result["scores"]).all() and len(result["scores"]) == 4
    assert result["same"] and result["error"] < result["naive"]


def test_transfer_learning_helps() -> None:
    import transfer_learning

    result = transfer_learning.main()
    assert result["one_layer"] and result["untouched"] and result["steps"] > 0
    assert result["before"] > 0.95 and result["repaired"] > 0.95
    assert result["changed"] != result["before"]
    assert result["tuned"] > result["scratch"] and result["frozen"] > 0.5


def test_a_char_rnn_streams_what_it_predicts() -> None:
    import char_rnn

    result = char_rnn.main(count=2000, epochs=2)
    assert result["history"]["loss"][-1] < result["history"]["loss"][0]
    np.testing.assert_array_equal(result["written"][:20], result["prompt"])
    np.testing.assert_allclose(result["streamed"], result["whole"], rtol=1e-3, atol=1e-5)


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


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "from keras.applications import ResNet50",
            "keras has no applications: they are models of images; use Keras for them",
        ),
        (
            "import tensorflow as tf; tf.reduce_mean([1])",
            "tensorflow has no reduce_mean: pyrnn replaces tensorflow.keras only; use NumPy",
        ),
        ("import keras; keras.Model", "AttributeError: keras has no Model: models are Sequential"),
        ("from tensorflow.keras import Model", "ImportError: tensorflow.keras has no Model: models are Sequential"),
        ("from keras.layers import CuDNNLSTM", "ImportError: pyrnn.layers has no CuDNNLSTM: it ran on GPUs"),
        ("import tensorflow.keras.applications.vgg16", "ImportError: tensorflow.keras has no applications: they are"),
        (
            "from tensorflow.keras.preprocessing.image import load_img",
            "ImportError: tensorflow.keras.preprocessing has no",
        ),
        ("import keras.backend as K; K.sum([1])", "AttributeError: keras.backend has no sum: losses, metrics and"),
        (
            "import keras; keras.nothing",
            "AttributeError: keras.nothing has no counterpart in pyrnn (see docs/guide/keras.md)",
        ),
        ("import tensorflow.data", "ImportError: tensorflow has no data: batches come from arrays"),
    ],
)
def test_missing_names_are_reported(tmp_path: Path, line: str, message: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(line)
    result = run_shim(script)
    assert result.returncode == 1 and message in result.stderr.splitlines()[-1]


OLD_SCRIPT = """
from keras.layers.advanced_activations import LeakyReLU
from keras.engine.topology import Layer
from keras.utils import np_utils
from keras.optimizers import legacy
import keras
print(LeakyReLU.__name__, Layer.__name__, np_utils.to_categorical([1]).tolist(), legacy.Adam.__name__,
      keras.utils.np_utils.to_categorical is np_utils.to_categorical, keras.backend.epsilon())
"""


def test_modules_of_keras_2(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(OLD_SCRIPT)
    result = run_shim(script)
    assert result.stdout.split() == ["LeakyReLU", "Layer", "[[0.0,", "1.0]]", "Adam", "True", "1e-07"], result.stderr


def test_no_script_is_refused() -> None:
    result = subprocess.run([sys.executable, "-m", "pyrnn.keras_shim"], capture_output=True, text=True, check=False)
    assert result.returncode == 2 and result.stderr.startswith("usage:")
