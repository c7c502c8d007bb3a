"""Names that docs/guide/keras.md calls the same and that the other files here do not use."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import keras_table
import numpy as np
import pytest

import pyrnn

HERE = Path(__file__).parent
INITIALIZERS = (
    "GlorotNormal", "IdentityInitializer", "Ones", "OrthogonalInitializer", "glorot_uniform", "he_uniform",
    "lecun_normal", "lecun_uniform", "truncated_normal", "variance_scaling",
)  # fmt: skip
RANDOM = {
    "binomial": ((2, 3), 5, 0.5), "categorical": (np.zeros((2, 4), "float32"), 3), "randint": ((2, 3), 0, 5),
    "truncated_normal": ((2, 3),),
}  # fmt: skip


def test_every_name_that_is_the_same_is_tested() -> None:
    used = "\n".join(
        path.read_text(encoding="utf-8") for path in (*HERE.glob("*.py"), HERE.parent / "ops" / "cases.py")
    )
    missing = [
        (owner, name)
        for owner, section in keras_table.sections(keras_table.PAGE.read_text(encoding="utf-8"))
        for row in re.findall(r"^\| (`[^\n]*?) \| same", section, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
        if not re.search(rf"\b{name}\b", used)
    ]
    assert missing == []


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializers(name: str) -> None:
    ours, theirs = getattr(pyrnn.initializers, name)(), getattr(keras.initializers, name)()
    expected, actual = theirs.get_config(), ours.get_config()
    assert expected.keys() <= actual.keys()  # Keras forgets the gain of Identity
    assert all(actual[key] == value for key, value in expected.items() if key != "seed")  # theirs is drawn
    assert type(ours).__name__ == type(theirs).__name__
    assert np.shape(ours((3, 3))) == (3, 3)


@pytest.mark.parametrize(("name", "options"), [("dice", {}), ("categorical_generalized_cross_entropy", {"q": 0.5})])
def test_losses(name: str, options: dict[str, float]) -> None:
    rng = np.random.default_rng(0)
    y_pred = rng.uniform(0.1, 0.9, (4, 3)).astype("float32")
    labels = np.array([0, 2, 1, 1])
    y_true = np.eye(3, dtype="float32")[labels] if name == "dice" else labels
    tensors = [keras.ops.convert_to_tensor(each) for each in (y_true, y_pred)]
    expected = getattr(keras.losses, name)(*tensors, **options)
    np.testing.assert_allclose(getattr(pyrnn.losses, name)(y_true, y_pred, **options), np.asarray(expected), rtol=1e-5)


@pytest.mark.parametrize("name", ["saving", "utils"])
def test_custom_objects(name: str) -> None:
    """`register_keras_serializable` and what reads the registry."""

    def registered(k: ModuleType) -> Any:
        module = getattr(k, name)

        @module.register_keras_serializable(package="mine", name="Thing")
        class Thing:
            def get_config(self) -> dict[str, Any]:
                return {}

        with module.CustomObjectScope({"Other": int}):
            inside = module.get_registered_object("Other")
        names = (module.get_registered_name(Thing), module.get_registered_object("mine>Thing") is Thing)
        listed = "mine>Thing" in module.get_custom_objects()
        return (*names, listed, inside, module.get_registered_object("Other"), module.get_registered_name(int))

    assert registered(pyrnn) == registered(keras)


def test_settings_and_batches(tmp_path: Path) -> None:
    for k in (keras, pyrnn):
        k.config.set_image_data_format("channels_last")
        assert (k.config.floatx(), k.config.image_data_format()) == ("float32", "channels_last")
        assert k.utils.pack_x_y_sample_weight(1, 2) == (1, 2)
        model = k.Sequential([k.Input((2,)), k.layers.Dense(1)])
        for module in (k.models, k.saving):
            module.save_model(model, tmp_path / f"{k.__name__}.keras")
    assert np.shape(pyrnn.load_model(tmp_path / "keras.keras")(np.ones((1, 2)))) == (1, 1)
    assert issubclass(pyrnn.utils.Sequence, pyrnn.utils.PyDataset)
    assert issubclass(keras.utils.Sequence, keras.utils.PyDataset)


@pytest.mark.parametrize("module", ["config", "utils"])
def test_interactive_logging(module: str) -> None:
    for k in (keras, pyrnn):
        names = getattr(k, module)
        assert names.is_interactive_logging_enabled()
        names.disable_interactive_logging()
        try:
            assert not k.config.is_interactive_logging_enabled() and not k.utils.is_interactive_logging_enabled()
        finally:
            names.enable_interactive_logging()
        assert k.config.is_interactive_logging_enabled()


@pytest.mark.parametrize("name", RANDOM)
def test_random_arrays(name: str) -> None:
    results = [
        np.asarray(getattr(k.random, name)(*RANDOM[name], seed=k.random.SeedGenerator(1))) for k in (keras, pyrnn)
    ]
    assert results[0].shape == results[1].shape and results[0].dtype == results[1].dtype
