"""The examples run, briefly, and learn what they say."""

from __future__ import annotations

import shutil
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


def test_tuning_prunes_and_beats_the_day_before() -> None:
    pytest.importorskip("optuna", reason="the example needs an optional package")
    import tuning

    result = tuning.main()
    assert {"COMPLETE", "PRUNED"} == set(result["states"]) and len(result["states"]) == 20
    assert min(result["epochs"]) < max(result["epochs"]) == 15
    assert result["again"] == result["best"] and result["error"] < result["naive"]


def test_cross_validation_in_two_processes() -> None:
    import cross_validation
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown()  # workers of earlier tests do not find the example
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


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler: install gcc or clang")
def test_an_exported_model_watches_a_sensor(tmp_path: Path) -> None:
    import sensor

    assert sensor.main(str(tmp_path / "sensor"), epochs=15) == list(sensor.BROKEN)
