"""A sorted map that never changes: a change gives another one, which shares with it all but the way to one key.

For states with thousands of parts, of which a decision touches a few: each change is some `log n` steps, and whoever
holds the map of before still has it. A B-tree of tuples, which becomes narrower where much is taken out, never deeper.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

WIDTH_MAX = 64


class Sortable(Protocol):
    def __lt__(self, other: Any, /) -> bool: ...


K = TypeVar("K", bound=Sortable)
V = TypeVar("V")
Marks = frozenset[str]
NONE: Marks = frozenset()


class _Node(NamedTuple):
    keys: tuple[Any, ...]
    """Of a leaf its own, of another node the first of each node below."""
    below: tuple[Any, ...]
    """Of a leaf its values, of another node nodes; never empty."""
    is_leaf: bool
    marks: Marks
    """That every value below has."""


class SortedMap(Mapping[K, V]):
    """`marks` tells which marks a value has; `first_without` asks for them."""

    __slots__ = ("_length", "_marks", "_root")

    def __init__(self, marks: Callable[[V], Marks] | None = None, root: _Node | None = None, length: int = 0) -> None:
        self._marks, self._root, self._length = marks, root, length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[K]:
        for leaf in _leaves(self._root):
            yield from leaf.keys

    def __getitem__(self, key: K) -> V:
        node = self._root
        while node is not None and not node.is_leaf:
            node = node.below[_place(node, key)]
        if node is not None:
            at = bisect_left(node.keys, key)
            if at < len(node.keys) and node.keys[at] == key:
                value: V = node.below[at]
                return value
        raise KeyError(key)

    def first_without(self, mark: str) -> V | None:
        """The value of the smallest key that does not have this mark."""
        node = self._root
        if node is None or mark in node.marks:
            return None
        while not node.is_leaf:
            node = next(one for one in node.below if mark not in one.marks)
        value: V = next(one for one in node.below if mark not in self._marks_of(one))
        return value

    def put(self, key: K, value: V) -> "SortedMap[K, V]":
        """With this value under this key."""
        if self._root is None:
            return self._with(self._node((key,), (value,), is_leaf=True), 1)
        parts = self._put(self._root, key, value)
        root = parts[0] if len(parts) == 1 else self._above(parts)
        return self._with(root, self._length + (key not in self))

    def without(self, key: K) -> "SortedMap[K, V]":
        """Without this key, whether it was there or not."""
        if self._root is None or key not in self:
            return self
        root = self._without(self._root, key)
        while root is not None and not root.is_leaf and len(root.below) == 1:
            root = root.below[0]
        return self._with(root, self._length - 1)

    def _with(self, root: _Node | None, length: int) -> "SortedMap[K, V]":
        return SortedMap(self._marks, root, length)

    def _marks_of(self, value: V) -> Marks:
        return NONE if self._marks is None else self._marks(value)

    def _node(self, keys: tuple[Any, ...], below: tuple[Any, ...], *, is_leaf: bool) -> _Node:
        marks = NONE
        if self._marks is not None:
            marks = frozenset.intersection(*(self._marks(one) if is_leaf else one.marks for one in below))
        return _Node(keys, below, is_leaf, marks)

    def _above(self, nodes: tuple[_Node, ...]) -> _Node:
        return self._node(tuple(one.keys[0] for one in nodes), nodes, is_leaf=False)

    def _put(self, node: _Node, key: K, value: V) -> tuple[_Node, ...]:
        """One node instead of this, or two."""
        keys, below, is_leaf, _ = node
        if is_leaf:
            at = bisect_left(keys, key)
            rest = at + (at < len(keys) and keys[at] == key)
            keys, below = (*keys[:at], key, *keys[rest:]), (*below[:at], value, *below[rest:])
        else:
            at = _place(node, key)
            parts = self._put(below[at], key, value)
            keys = keys[:at] + tuple([one.keys[0] for one in parts]) + keys[at + 1 :]
            below = below[:at] + parts + below[at + 1 :]
        if len(keys) <= WIDTH_MAX:
            return (self._node(keys, below, is_leaf=is_leaf),)
        half = len(keys) // 2
        return (
            self._node(keys[:half], below[:half], is_leaf=is_leaf),
            self._node(keys[half:], below[half:], is_leaf=is_leaf),
        )

    def _without(self, node: _Node, key: K) -> _Node | None:
        keys, below, is_leaf, _ = node
        if is_leaf:
            at = bisect_left(keys, key)
            keys, below = keys[:at] + keys[at + 1 :], below[:at] + below[at + 1 :]
        else:
            at = _place(node, key)
            left = self._without(below[at], key)
            keys = keys[:at] + (() if left is None else left.keys[:1]) + keys[at + 1 :]
            below = below[:at] + (() if left is None else (left,)) + below[at + 1 :]
        return self._node(keys, below, is_leaf=is_leaf) if keys else None


def _place(node: _Node, key: Any) -> int:
    """Of the node below in which this key would be."""
    return max(bisect_right(node.keys, key) - 1, 0)


def _leaves(node: _Node | None) -> Iterator[_Node]:
    if node is not None and node.is_leaf:
        yield node
    elif node is not None:
        for one in node.below:
            yield from _leaves(one)
