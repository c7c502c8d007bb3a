"""`Forecaster`: from a table to forecasts with intervals."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from pyrnn import rules, seeds
from pyrnn.arguments import checked
from pyrnn.forecasting import choices, heads
from pyrnn.forecasting.forecast import Forecast
from pyrnn.forecasting.history import Source, Statistics, observed_values
from pyrnn.forecasting.inputs import make_inputs
from pyrnn.forecasting.joining import following
from pyrnn.forecasting.network import Training, build, train
from pyrnn.forecasting.settings import check_model, check_targets, levels_of
from pyrnn.forecasting.trained import Trained
from pyrnn.typing import Anything, Count, FilePath, FileToRead, Index, Natural, Positive, Seed, Size
from pyrnn.validation import shown

Array = NDArray[Any]
QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.975)
VALIDATED, CALIBRATED = 2000, 6000  # windows, at most
FEWEST_WINDOWS = 10
Strategy = Annotated[str, rules.OneOf("direct", "recursive")]
Part = Annotated[float, rules.Number(0, 0.5, open_ends="()")]


class Forecaster(Trained):
    """Forecasts of one or many time series, with intervals, by recurrent networks.

    `fit` takes a table, trains an ensemble of networks that all series share, and calibrates its quantiles on the last
    rows. `predict` returns the next rows. What is not passed is chosen from the data; `notes_` says what.

    A network reads a lookback of scaled targets and covariates, and for each step ahead the calendar, what is known in
    advance and the values at the same place of earlier seasons. It predicts a correction of a simple forecast from
    those values, so that an untrained network already is a seasonal forecast. Missing values are no targets and are
    marked as missing where they are inputs.

    Args:
        model: "gru", "lstm" or "rnn", or a function of two symbolic inputs, the lookback (batch, lookback, features)
            and the steps ahead (batch, horizon, features), that returns a symbolic output (batch, horizon, any). With
            strategy="recursive", a function of one symbolic input, rows (batch, rows, features), that returns (batch,
            rows, any) by layers that can be streamed.
        horizon: H, the rows to forecast, at least 1.
        lookback: The rows that a network reads. By default 4 seasons.
        season: The rows of the main season, 1 for none. By default a day, a week or a year, whichever fits the
            frequency and has the best naive forecast; in rows without dates, any season of fewer than 400 rows.
        target: The column to forecast. May be left out if the table has one column of numbers.
        past: Columns that are known up to the present, such as the weather.
        future: Columns that are known in advance, such as promotions; `predict` needs them for the rows to forecast.
        static: Columns that do not change with time.
        group: The column that says which series a row belongs to, or a list of columns.
        date: The column of dates.
        frequency: The step between dates, such as 'h' or 'D'. By default the most frequent step.
        missing: "raise", or how missing dates and values of covariates are filled: "previous", "interpolate", "zero".
        wide: Whether each target column is a series of its own; `target` then names them.
        holidays: Dates, or a dict from names to dates; steps must be of at most a day.
        head: "quantile", "gaussian", "student", "negative_binomial" (for counts), "mae" or "mse".
        quantiles: The levels of the quantiles, in increasing order with 0.5, the median, among them.
        strategy: "direct" forecasts all rows in one pass; "recursive" one row after the other, each from the medians
            before it. Only a recursive forecaster can `sample` paths.
        units: Units of encoder and decoder, at least 1.
        embedding: The length of a vector that is learned for each series. By default 4 if there are several series
            of 300 rows on average, or else 0.
        members: The number of networks in the ensemble; they differ in their first weights, and their quantiles are
            averaged.
        epochs: Rounds over all windows. By default 12, but from 400 to 600 updates in all.
        batch_size: Windows of an update. By default a 20th of all, from 16 to 128.
        learning_rate: Learning rate of Adam, above 0.
        validation: The part of the rows, at the end, that is not trained on but decides when to stop and calibrates the
            quantiles; between 0 and 0.5. At least `horizon` rows.
        seed: Seed of the first weights and the order of batches.

    Attributes:
        layout_: The rows that the networks see.
        networks_: The members.
        factors_: (H, K), what calibration multiplies the distance of each quantile from the median by.
        history_: The losses while training.
        notes_: Sentences about what was chosen.

    Raises:
        TypeError, ValueError: If an argument is none of these.

    Example:
        >>> from pyrnn.forecasting import Forecaster
        >>> days = np.arange("2024-01-01", "2024-07-01", dtype="datetime64[D]")
        >>> sales = 20 + 5.0 * (np.arange(len(days)) % 7 == 5)
        >>> forecaster = Forecaster(horizon=7, epochs=1, members=1).fit({"day": days, "sales": sales})
        >>> forecaster.predict().median.round().tolist()
        [[20.0, 20.0, 20.0, 20.0, 20.0, 25.0, 20.0]]
        >>> forecaster.layout_.season
        7
    """

    @checked
    def __init__(
        self,
        model: Anything = "gru",
        horizon: Size = 14,
        lookback: Size | None = None,
        season: Size | None = None,
        *,
        target: Anything = None,
        past: Anything = (),
        future: Anything = (),
        static: Anything = (),
        group: Anything = None,
        date: Anything = None,
        frequency: Anything = None,
        missing: Anything = "raise",
        wide: Anything = False,
        holidays: Anything = None,
        head: Anything = "quantile",
        quantiles: Anything = QUANTILES,
        strategy: Strategy = "direct",
        units: Size = 32,
        embedding: Natural | None = None,
        members: Size = 2,
        epochs: Count | None = None,
        batch_size: Size | None = None,
        learning_rate: Positive = 8e-3,
        validation: Part = 0.15,
        seed: Index = 0,
    ) -> None:
        check_model(model)
        heads.make(head, levels_of(quantiles))
        self.model, self.horizon, self.lookback, self.season = model, horizon, lookback, season
        self.target, self.past, self.future, self.static, self.group = target, past, future, static, group
        self.date, self.frequency, self.missing, self.wide, self.holidays = date, frequency, missing, wide, holidays
        self.head, self.quantiles, self.strategy, self.units = head, quantiles, strategy, units
        self.embedding, self.members, self.epochs, self.batch_size = embedding, members, epochs, batch_size
        self.learning_rate, self.validation, self.seed = learning_rate, validation, seed

    def fit(self, data: Any, y: None = None) -> Forecaster:
        """Train on a table.

        Args:
            data: The table: a DataFrame of pandas or polars, a Series, a dict of columns, an array (time,) or
                (time, columns); or a `Panel`, whose columns, frequency and filled values are used as they are.
            y: None, in place of targets (samples,); it is there for scikit-learn. `target` names the column.

        Returns:
            This forecaster.

        Raises:
            TypeError, ValueError: For what `panel` raises them, for several targets, for targets that are no counts if
                the head needs them, and for series that are too short.
        """
        if y is not None:
            raise ValueError(f"y must be None, since target names the column to forecast, got {shown(y)}")
        check_model(self.model)
        panel = self._read(data)
        values = observed_values(panel)
        levels = levels_of(self.quantiles)
        head = heads.make(self.head, levels)
        check_targets(panel, values, head)
        seasons = choices.choose_seasons(panel, values, self.season)
        layout = choices.choose_layout(
            panel, values, self.horizon, self.lookback, seasons, self.strategy == "recursive"
        )
        calendars = choices.calendars_of(panel, self.holidays)
        origins, later, cut = choices.split(panel, values, layout, self.validation)
        if len(origins) < FEWEST_WINDOWS or not len(later):
            raise ValueError(
                f"data must have rows for {FEWEST_WINDOWS} training windows and one of {self.horizon} rows "
                f"to validate on, got {len(origins)} and {len(later)} from {panel.lengths.max()} rows in the longest "
                f"series: pass a shorter horizon ({self.horizon}), lookback ({layout.lookback}) or season "
                f"({layout.season})"
            )
        statistics = Statistics.of(panel, values, panel.in_history & (panel.dates < cut))
        source = Source(panel, statistics, calendars, layout, self.horizon)
        origins, later = (source.rows_of(panel, rows) for rows in (origins, later))
        source.layout = layout = choices.choose_base(source, origins)
        batch_size = self.batch_size or choices.choose_batch_size(len(origins))
        updates = choices.choose_updates(len(origins), batch_size, self.epochs)
        embedding = choices.choose_embedding(panel) if self.embedding is None else self.embedding
        seeds = tuple(self.seed + member for member in range(self.members))
        training = Training(updates, batch_size, self.learning_rate, seeds)
        example = make_inputs(source.gather(origins[:1]), layout)
        networks = [
            build(
                self.model, example, layout, head, units=self.units, embedding=embedding, series=len(panel), seed=seed
            )
            for seed in seeds
        ]
        history = train(networks, head, source, origins, _some(later, VALIDATED), training)
        self.layout_, self.networks_, self.history_, self.panel_ = layout, networks, history, panel
        self.statistics_, self.calendars_ = statistics, calendars
        self.least_ = 0.0 if np.nanmin(values) >= 0 else -np.inf
        self.factors_ = self._factors(source, _some(later, CALIBRATED))
        self._get_ready()
        self.notes_ = [
            *panel.notes,
            f"{len(panel)} series, {len(origins)} training windows, {len(later)} from {panel.show(cut)} on for "
            "validation",
            f"season of {' and '.join(map(str, layout.seasons))} rows, lookback of {layout.lookback}, corrections of "
            f"the forecast {layout.base!r}",
            f"{self.members} networks, at most {updates} updates of {batch_size} windows each",
        ]
        return self

    def predict(self, data: Any = None, future: Any = None) -> Forecast:
        """Forecast the rows after the last ones.

        Args:
            data: A table with later rows, or with other series; None for the table of `fit`. Rows of the same series
                that `fit` received are put in front. Rows without dates count from 0, as in `fit`, and replace them.
            future: A table with the columns that are known in advance, for the rows to forecast. They may be the last
                rows of `data` instead, without targets.

        Returns:
            The forecasts, one for each series of `data`.

        Raises:
            RuntimeError: Before `fit`.
            TypeError, ValueError: For what `panel` raises them, and if `future` lacks rows.
        """
        panel, dates, blocks = self._latest(data, future)
        head = self._head
        outlook = self._outlook(blocks, head).calibrated(self.factors_, head.levels, self.least_)
        return Forecast(
            panel.ids,
            dates,
            head.levels,
            outlook.quantiles,
            outlook.mean,
            (tuple(map(str, panel.group)), "row" if panel.date is None else str(panel.date), panel.names["target"][0]),
            panel.timezone,
            panel.utc,
        )

    @checked
    def sample(
        self, data: Anything = None, future: Anything = None, *, paths: Size = 100, seed: Seed | None = None
    ) -> Any:
        """Draw sample paths of the rows after the last ones: what may happen next, step after step.

        A path draws each value from the distribution that the network forecasts after the values drawn before it. So
        its steps depend on each other as those of the series do, and sums or maxima of several steps have the right
        distribution, which quantiles of single steps do not tell. The core draws all paths of all series, in one call
        for each network. Path p comes from network p modulo their number. Paths are not calibrated.

        Args:
            data: A table, as for `predict`.
            future: A table, as for `predict`.
            paths: P, the paths of each series.
            seed: 0 to 2**64 - 1; the same seed gives the same paths, at any number of threads, and more paths begin
                with them. None draws one from the seed of the process.

        Returns:
            The values (N, P, H) in units of the series, in the order of the ids and dates of `predict`; not below 0 if
            no target of `fit` was.

        Raises:
            RuntimeError: Before `fit`.
            ValueError: For what `predict` raises it; if the forecaster does not have strategy="recursive" and a head
                that describes a distribution; or if `model` has layers that the core does not run.

        Example:
            >>> from pyrnn.forecasting import Forecaster
            >>> y = 10 + 5 * np.sin(2 * np.pi * np.arange(120) / 12)
            >>> forecaster = Forecaster(horizon=3, season=12, strategy="recursive", head="gaussian", epochs=1)
            >>> paths = forecaster.fit(y).sample(paths=50, seed=1)
            >>> paths.shape, np.quantile(paths.sum(axis=2), [0.1, 0.9], axis=1).shape
            ((1, 50, 3), (2, 1))
        """
        self._fitted()
        if not self.layout_.recursive:
            raise ValueError(
                "strategy must be 'recursive' to sample paths, since a direct network forecasts each step without "
                f"those before it, got {self.strategy!r}"
            )
        if not self._head.distribution:
            raise ValueError(
                "head must be 'gaussian', 'student' or 'negative_binomial' to sample paths, since others describe no "
                f"distribution, got {self.head!r}"
            )
        _, _, blocks = self._latest(data, future)
        return self._paths(blocks, paths, seeds.next_seed() if seed is None else seed)

    def calibrate(self, data: Any = None) -> Forecaster:
        """Calibrate the quantiles anew on the last rows, without training.

        This is worth its time when a forecaster has been in use for a while, since errors change.

        Args:
            data: A table with later rows; None for the table of `fit`.

        Returns:
            This forecaster.

        Raises:
            RuntimeError: Before `fit`.
            ValueError: If the rows are too few to calibrate on.
        """
        panel = self._continued(data)
        source = self._source(panel)
        values = observed_values(panel)
        _, later, cut = choices.split(panel, values, self.layout_, self.validation)
        if not len(later):
            raise ValueError(
                f"data must have {self.horizon} rows from {panel.show(cut)} on to calibrate on, got "
                f"{panel.lengths.max()} rows in the longest series"
            )
        self.factors_ = self._factors(source, _some(source.rows_of(panel, later), CALIBRATED))
        return self

    def score(self, data: Any, y: None = None) -> float:
        """Return minus the MASE of the forecasts of rows that follow those of `fit`, for scikit-learn's searches.

        Args:
            data: A table with later rows; those without dates follow the rows of `fit`. Forecasts begin at the first
                and then every `horizon` rows.
            y: None, in place of targets (samples,); it is there for scikit-learn.

        Returns:
            Minus the mean absolute error in units of the error of the seasonal naive forecast on the rows of `fit`; the
            mean over the series. Larger is better.

        Raises:
            RuntimeError: Before `fit`.
            ValueError: If the rows have no targets.
        """
        if y is not None:
            raise ValueError(f"y must be None, since target names the column to forecast, got {shown(y)}")
        return self._negative_mase(following(self._fitted(), self._read(data, self._fitted().arguments)))

    def backtest(self, data: Any, folds: int = 5, step: int | None = None, refit: bool = False) -> Any:
        """Forecast the last rows of a table as if they were not known yet, and compare with simple forecasts.

        This forecaster stays as it is: a copy is trained on the rows before the first fold. For each later fold it is
        calibrated anew on the rows before it, or with `refit` trained anew.

        Args:
            data: The table.
            folds: The number of forecasts, at least 1; the last one ends with the last row.
            step: The rows from one forecast to the next; by default `horizon`.
            refit: Whether to train for each fold.

        Returns:
            A `Backtest`, whose `scores` is the table of MASE, coverage and others.

        Raises:
            TypeError, ValueError: For what `fit` raises them, and if the folds leave too few rows for training.
        """
        from pyrnn.forecasting.backtesting import backtest

        return backtest(self, data, folds, self.horizon if step is None else step, refit)

    @checked
    def save(self, path: FilePath) -> None:
        """Write the forecaster to one file, completely or not at all.

        The file holds settings, weights and the last rows of each series that a forecast looks at. A `model` that is a
        function is not written: a loaded forecaster predicts, and needs it again to `fit`.

        Args:
            path: The file, such as "sales.forecaster".

        Raises:
            RuntimeError: Before `fit`.
            OSError: If it cannot be written; what was there before is unchanged.
        """
        from pyrnn.forecasting.storing import save

        self._fitted()
        save(self, path)

    @classmethod
    def load(cls, path: FileToRead) -> Forecaster:
        """Read what `save` wrote.

        Args:
            path: The file.

        Returns:
            A forecaster that predicts the same.

        Raises:
            ValueError: If the file holds no forecaster.
            OSError: If it cannot be read.
        """
        from pyrnn.forecasting.storing import load

        return load(cls, path)

    def plot(self, path: Any = None, data: Any = None, future: Any = None, series: Any = None) -> Any:
        """Plot the last rows, the forecast and its intervals.

        Args:
            path: The image to write; None to write none.
            data: A table, as for `predict`.
            future: A table, as for `predict`.
            series: The ids to plot; None for the first 4.

        Returns:
            The figure of matplotlib.

        Raises:
            ImportError: If matplotlib is not installed.
            RuntimeError: Before `fit`.
            ValueError: For what `predict` raises it.
        """
        return self.predict(data, future).plot(path, self._continued(data), series)

    def stream(self, series: Any = None, future: Any = None) -> Any:
        """Return an online forecast of one series: each new row is answered with the next forecast.

        Args:
            series: The id of the series; None if there is one.
            future: A table, as for `predict`.

        Returns:
            An `OnlineForecast`, which begins after the last row of the table of `fit`.

        Raises:
            RuntimeError: Before `fit`.
            ValueError: If there is no such series, or `future` lacks rows.
        """
        from pyrnn.forecasting.online import OnlineForecast

        return OnlineForecast(self, series, future)


def _some(rows: Array, most: int) -> Array:
    """At most that many rows, evenly spread."""
    return rows[:: -(-len(rows) // most)]
