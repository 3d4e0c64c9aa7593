"""`typing.NamedTuple`, defined in a tenth of the time: every start defines sixty.

To type checkers it is the original, and it acts like it: fields in the order of their annotations, defaults, `_make`,
`_replace`, `_asdict`, `_fields`, `_field_defaults`, pickling, patterns. The original compiles a function for each class
and an expression for each annotation; here one function makes the instances of all classes, as fast.

>>> class Point(NamedTuple):
...     x: int
...     y: int = 0
>>> Point(1), Point(1)._replace(y=2), Point(1) == (1, 0)
(Point(x=1, y=0), Point(x=1, y=2), True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["NamedTuple"]

if TYPE_CHECKING:
    from typing import NamedTuple
else:
    try:
        from _collections import _tuplegetter as _field
    except ImportError:  # pragma: no cover - PyPy
        from operator import itemgetter

        def _field(index, doc):
            return property(itemgetter(index), doc=doc)

    _new = tuple.__new__

    class _Record(tuple):
        """What all of them have."""

        __slots__ = ()

        def __new__(cls, /, *values, **named):
            if len(values) == cls._size and not named:
                return _new(cls, values)
            return _new(cls, cls._completed(values, named))

        @classmethod
        def _completed(cls, values, named):
            """The values of all fields."""
            if len(values) > cls._size:
                raise TypeError(f"{cls.__name__} takes {cls._size} values, not {len(values)}")
            rest = cls._fields[len(values) :]
            try:
                later = [named.pop(field) if field in named else cls._field_defaults[field] for field in rest]
            except KeyError as error:
                raise TypeError(f"{cls.__name__} needs a value for {error}") from None
            if named:
                raise TypeError(f"{cls.__name__} has no field {next(iter(named))!r}, or it was given already")
            return (*values, *later)

        @classmethod
        def _make(cls, iterable):
            record = _new(cls, iterable)
            if len(record) != cls._size:
                raise TypeError(f"{cls.__name__} takes {cls._size} values, not {len(record)}")
            return record

        def _replace(self, /, **changes):
            result = self._make(map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"Got unexpected field names: {list(changes)!r}")
            return result

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            values = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
            return f"{type(self).__name__}({values})"

        def __getnewargs__(self):
            return tuple(self)

    class _Definition(type):
        """Makes a class of its annotations."""

        def __new__(cls, name, bases, space):
            fields = tuple(space.get("__annotations__", ()))
            defaults = {field: space[field] for field in fields if field in space}
            if tuple(defaults) != fields[len(fields) - len(defaults) :]:
                raise TypeError(f"a field of {name} without a default follows one with a default")
            space.update((field, _field(index, None)) for index, field in enumerate(fields))
            space.update(__slots__=(), __match_args__=fields, _fields=fields, _field_defaults=defaults)
            space["_size"] = len(fields)  # what makes instances has no time to count
            return type(name, (_Record,), space)

    NamedTuple = type.__new__(_Definition, "NamedTuple", (), {})
