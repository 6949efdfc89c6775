"""Which columns of a table are wanted: by name, or by number."""

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NamedTuple

_LISTED = 12


class Request(NamedTuple):
    """The columns that a user wants.

    Attributes
    ----------
    features : sequence of str or None
        Names, or numbers from 1; None: all that are neither weights nor identifiers.
    model_features : sequence of str or None
        Names that a model was fitted with. They are found by name, in any order, if the table has
        names.
    weights : str or None
        A column.
    ids : sequence of str
        Columns that are no features.
    keep_ids : bool
        Whether these are read, as they are.
    n_features : int or None
        How many features the model needs.
    """

    features: Sequence[str] | None = None
    model_features: Sequence[str] | None = None
    weights: str | None = None
    ids: Sequence[str] = ()
    keep_ids: bool = True
    n_features: int | None = None


class Choice(NamedTuple):
    """Positions of columns, from 0."""

    features: list[int]
    weights: int | None
    ids: list[int]

    @property
    def numbers(self) -> list[int]:
        """Columns that must hold numbers."""
        return [*self.features, *([] if self.weights is None else [self.weights])]

    @property
    def all(self) -> list[int]:
        """All columns, each once."""
        return list(dict.fromkeys([*self.numbers, *self.ids]))


class Columns(NamedTuple):
    """The columns that a table has.

    Attributes
    ----------
    source : str
        For messages.
    n_columns : int
    names : list of str or None
        '' for a column without a name; None if no column has one.
    n_index : int
        Number of columns at the end that hold the index of a data frame.
    first_row : int
        Number of the first sample in messages.
    """

    source: str
    n_columns: int
    names: list[str] | None = None
    n_index: int = 0
    first_row: int = 1

    def choose(self, request: Request) -> Choice:
        """Find the columns that are wanted.

        Raises
        ------
        ValueError
            If there is no such column, or it is not clear which one is meant.
        """
        weights = None if request.weights is None else self.find(request.weights)
        ids = [self.find(name) for name in request.ids]
        if request.features is not None:
            features = [self.find(name) for name in request.features]
        elif request.model_features is not None and self.names is not None:
            features = self._of_model(request.model_features)
        else:
            others = {weights, *ids}
            features = [i for i in range(self.n_columns - self.n_index) if i not in others]
            self._check_named(features)
        self._check_different(features)
        self._check_different_ids(ids)
        if request.n_features not in (None, len(features)):
            raise ValueError(
                f"{self.source}: the model needs {request.n_features} features, got "
                f"{len(features)} columns. --columns chooses features, --id names columns that "
                "are none."
            )
        if request.features is not None and request.model_features is not None and self.names:
            features = self._in_order(features, request.model_features)
        return Choice(features, weights, ids if request.keep_ids else [])

    def find(self, wanted: str) -> int:
        """Return the position of a column: by its name, else by its number."""
        names = self.names or []
        if names.count(wanted) > 1:
            raise ValueError(
                f"{self.source}: {names.count(wanted)} columns are named {wanted!r}. "
                "Choose one of them by number."
            )
        if wanted in names:
            return names.index(wanted)
        if wanted.isdecimal() and 1 <= int(wanted) <= self.n_columns:
            return int(wanted) - 1
        raise ValueError(f"{self.source}: no column {wanted!r}{self._nearest(wanted)}")

    def name(self, position: int) -> str:
        """Return how messages call a column."""
        name = self.names[position] if self.names is not None else ""
        return f"column {name!r}" if name else f"column {position + 1}"

    def row(self, position: int) -> str:
        """Return how messages begin that are about a row."""
        return f"{self.source}, row {position + self.first_row}"

    def labels(self, positions: Sequence[int]) -> list[str]:
        """Return the names of some columns in results: 'column 3' where there is none."""
        names = self.names or [""] * self.n_columns
        return [names[i] or f"column {i + 1}" for i in positions]

    def _nearest(self, wanted: str) -> str:
        if self.names is None:
            return f": expected a number from 1 to {self.n_columns}, as the columns have no names."
        near = nearest(wanted, self.names)
        return f". Did you mean {near!r}?" if near else f": it has {_listed(self.names)}."

    def _of_model(self, names: Sequence[str]) -> list[int]:
        """Find the features of a model, in its order."""
        own = self.labels(range(self.n_columns))
        counts, places = Counter(own), {name: i for i, name in enumerate(own)}
        for name in names:
            if counts[name] > 1:
                raise ValueError(
                    f"{self.source}: the model needs the columns {_listed(names)}, but "
                    f"{counts[name]} are named {name!r}. Choose by number, with --columns."
                )
        missing = [name for name in names if not counts[name]]
        if missing:
            near = nearest(missing[0], own)
            raise ValueError(
                f"{self.source}: the model needs the columns {_listed(names)}, but there is no "
                f"{_listed([repr(name) for name in missing])}."
                f"{f' Is it {near!r}?' if near and near not in names else ''}"
            )
        return [places[name] for name in names]

    def _in_order(self, features: list[int], names: Sequence[str]) -> list[int]:
        """Return chosen features in the order of the model's."""
        own = self.labels(features)
        if sorted(own) != sorted(names):
            raise ValueError(
                f"{self.source}: the model needs the columns {_listed(names)}, "
                f"but --columns chooses {_listed(own)}."
            )
        places = dict(zip(own, features, strict=True))
        return [places[name] for name in names]

    def _check_named(self, features: list[int]) -> None:
        unnamed = [i for i in features if self.names is not None and not self.names[i]]
        if unnamed:
            raise ValueError(
                f"{self.source}: column {unnamed[0] + 1} has no name, as the index of a data "
                "frame. Choose features with --columns, or leave it out with --id."
            )

    def _check_different(self, features: list[int]) -> None:
        if not features:
            raise ValueError(f"{self.source}: expected a feature at least, got no column.")
        ((feature, count),) = Counter(features).most_common(1)
        if count > 1:
            raise ValueError(f"{self.source}: {self.name(feature)} is chosen twice.")
        ((name, count),) = Counter(self.labels(features)).most_common(1)
        if count > 1:
            raise ValueError(
                f"{self.source}: {count} columns are named {name!r}. Rename them, or choose one of "
                "them by number, with --columns."
            )

    def _check_different_ids(self, ids: list[int]) -> None:
        for label, count in Counter(self.labels(ids)).most_common(1):
            if count > 1:
                raise ValueError(f"{self.source}: --id chooses {label!r} {count} times.")


def nearest(text: str, known: Sequence[str]) -> str | None:
    """Return the most similar of some words, whatever their case; None if none is similar."""
    folded = {word.lower(): word for word in known}
    near = get_close_matches(text.lower(), folded, 1)
    return folded[near[0]] if near else None


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"
