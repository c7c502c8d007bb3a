"""Parameters of an estimator in scikit-learn's form, without scikit-learn."""

from __future__ import annotations

import inspect
from typing import Any

from pyrnn.validation import did_you_mean


class Parameters:
    """`get_params`, `set_params` and a representation, from the arguments of the constructor, which it stores.

    Example:
        >>> from pyrnn.forecasting import Forecaster
        >>> Forecaster(horizon=3).set_params(units=8)
        Forecaster(horizon=3, units=8)
    """

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        parameters = inspect.signature(cls).parameters.values()
        return {each.name: each.default for each in parameters}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments of the constructor by name.

        Args:
            deep: Accepted for scikit-learn; no argument has parameters of its own.

        Returns:
            A dict.
        """
        return {name: getattr(self, name) for name in self._defaults()}

    def set_params(self, **params: Any) -> Any:
        """Change arguments of the constructor, which the next `fit` uses.

        Args:
            **params: New values by name.

        Returns:
            This estimator.

        Raises:
            TypeError, ValueError: For a name or a value that the constructor does not accept; nothing changes then.
        """
        names = self._defaults()
        for name in params:
            if name not in names:
                hint = did_you_mean(name, list(names))
                raise ValueError(
                    f"{name!r} must be an argument of {type(self).__name__}: {', '.join(names)}"
                    + (f"; {hint}" if hint else "")
                )
        checked = type(self)(**{**self.get_params(), **params})
        for name in params:
            setattr(self, name, getattr(checked, name))
        return self

    def __repr__(self) -> str:
        defaults = self._defaults()
        changed = [f"{name}={value!r}" for name, value in self.get_params().items() if value is not defaults[name]]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(two_d_array=True, string=True),
        )
