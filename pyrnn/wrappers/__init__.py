"""Models as scikit-learn's estimators, under Keras's names. They need scikit-learn, which is imported at first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrnn.explaining import missing

if TYPE_CHECKING:
    from pyrnn.wrappers.estimators import SKLearnClassifier as SKLearnClassifier
    from pyrnn.wrappers.estimators import SKLearnRegressor as SKLearnRegressor
    from pyrnn.wrappers.estimators import SKLearnTransformer as SKLearnTransformer
    from pyrnn.wrappers.keras2 import KerasClassifier as KerasClassifier
    from pyrnn.wrappers.keras2 import KerasRegressor as KerasRegressor

__all__ = ["KerasClassifier", "KerasRegressor", "SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


def __getattr__(name: str) -> Any:
    """Import the estimators, and scikit-learn with them, at first use.

    Raises:
        AttributeError: For a name that is not here.
        ImportError: Without scikit-learn 1.6 or later.
    """
    if name not in __all__:
        raise missing(__name__, name)
    try:
        from pyrnn.wrappers import estimators, keras2
    except ImportError as error:
        if not (error.name or "").startswith("sklearn"):
            raise
        raise ImportError(
            f"pyrnn.wrappers.{name} needs scikit-learn 1.6 or later: pip install 'pyrnn-core[sklearn]'"
        ) from None
    globals().update({each: getattr(module, each) for module in (estimators, keras2) for each in module.__all__})
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
