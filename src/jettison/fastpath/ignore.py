"""Which paths of a build context a .dockerignore file hides.

Owns the file's grammar and its matching; refuses to read the disk. The rules become a lazily built automaton over path
components: a directory walk carries one ``IgnoreState`` per directory and asks it about each name, so a pattern is looked
at again only where a name could change its fate. Behaviour: moby/patternmatcher ``MatchesUsingParentResults`` and
``ignorefile.ReadAll``, as BuildKit's context transfer uses them; the tests hold its rules as tables.
"""

from __future__ import annotations

from jettison.fastpath.glob import STAR, PatternSyntaxError, compile_component, tokenize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from jettison.fastpath.glob import Test, Token

    Component: TypeAlias = bytes | Test | None
    Positions: TypeAlias = frozenset[tuple[int, int]]

DEEP = None
"""The component that stands for any number of directories, none included."""

_PLAIN_END = frozenset("*?[]\\")
_MAX_ALTERNATIVES = 64
"""``a**b**c...`` inside one component doubles the ways to read it; nobody writes more than one."""


class IgnoreSyntaxError(ValueError):
    """A line of an ignore file that is no pattern; ``line`` counts from 1."""

    def __init__(self, message: str, *, line: int, text: str) -> None:
        super().__init__(message)
        self.line = line
        self.text = text


class IgnorePattern:
    """One line: its text as written (trimmed), its number from 1, whether ``!`` starts it, and its readings."""

    __slots__ = ("is_exception", "line", "readings", "text")

    def __init__(
        self, *, text: str, line: int, is_exception: bool, readings: tuple[tuple[Component, ...], ...]
    ) -> None:
        self.text = text
        self.line = line
        self.is_exception = is_exception
        self.readings = readings


class IgnoreState:
    """What is known of all patterns after some directory; ``step`` leads to an entry of it.

    ``is_excluded`` is the verdict on the path itself, ``can_prune`` that it and everything below is hidden (no later ``!``
    can reach there), ``is_settled`` that nothing below is hidden, whatever its name.
    """

    __slots__ = (
        "_by_mask",
        "_globs",
        "_known",
        "_matched",
        "_positions",
        "_rules",
        "can_prune",
        "is_excluded",
        "is_settled",
    )

    def __init__(self, rules: IgnoreRules, positions: tuple[Positions, ...], matched: tuple[bool, ...]) -> None:
        self._rules = rules
        self._positions = positions
        self._matched = matched
        self._by_mask: dict[int, IgnoreState] = {}
        self._known: dict[bytes, IgnoreState | None] = {}
        globs: dict[Test, None] = {}
        for pattern, places in zip(rules.patterns, positions, strict=True):
            for reading, index in places:
                component = pattern.readings[reading][index]
                if isinstance(component, bytes):
                    self._known[component] = None
                elif component is not DEEP:
                    globs[component] = None
        self._globs = tuple((glob, 1 << bit) for bit, glob in enumerate(globs))
        pairs = list(zip(rules.patterns, matched, positions, strict=True))
        self.is_excluded = False
        for pattern, is_matched, _ in pairs:
            if is_matched:
                self.is_excluded = not pattern.is_exception
        self.can_prune = self.is_excluded and not any(
            places and pattern.is_exception and not is_matched for pattern, is_matched, places in pairs
        )
        self.is_settled = not self.is_excluded and not any(
            places and not pattern.is_exception for pattern, _, places in pairs
        )

    def step(self, name: bytes) -> IgnoreState:
        """Return the state of the entry of that name in this directory."""
        known = self._known.get(name)
        if known is not None:
            return known
        if name in self._known:
            known = self._known[name] = self._advance(name)
            return known
        mask = 0
        for glob, bit in self._globs:
            if glob(name):
                mask |= bit
        following = self._by_mask.get(mask)
        if following is None:
            following = self._by_mask[mask] = self._advance(name)
        return following

    def _advance(self, name: bytes) -> IgnoreState:
        positions: list[Positions] = []
        matched: list[bool] = []
        is_hidden = False
        for pattern, places, was_matched in zip(self._rules.patterns, self._positions, self._matched, strict=True):
            places_after, is_hit = _advance_pattern(pattern, places, name)
            # A pattern is asked only where its answer could change the verdict so far, and what was not asked is not
            # remembered for the entries below: so it is in moby/patternmatcher.
            counts = was_matched or (is_hit and pattern.is_exception == is_hidden)
            if counts:
                is_hidden = not pattern.is_exception
            matched.append(counts)
            positions.append(frozenset() if counts else places_after)
        return self._rules.state(tuple(positions), tuple(matched))

    def last_match(self) -> IgnorePattern | None:
        """Return the pattern that decided the verdict on this path, None when none matched."""
        decided = [pattern for pattern, counts in zip(self._rules.patterns, self._matched, strict=True) if counts]
        return decided[-1] if decided else None


class IgnoreRules:
    """All patterns of a file, in order. Not safe for use by several threads at once (states are made on demand)."""

    __slots__ = ("_states", "patterns", "start")

    def __init__(self, patterns: tuple[IgnorePattern, ...]) -> None:
        self.patterns = patterns
        self._states: dict[tuple[tuple[Positions, ...], tuple[bool, ...]], IgnoreState] = {}
        begin = tuple(_closure(pattern, {(i, 0) for i in range(len(pattern.readings))}) for pattern in patterns)
        self.start = self.state(begin, (False,) * len(patterns))

    def state(self, positions: tuple[Positions, ...], matched: tuple[bool, ...]) -> IgnoreState:
        """Return the one state object of these positions."""
        key = (positions, matched)
        found = self._states.get(key)
        if found is None:
            found = self._states[key] = IgnoreState(self, positions, matched)
        return found

    def state_of(self, path: bytes) -> IgnoreState:
        """Return the state of a path of the context (no leading slash, ``b""`` is the root)."""
        state = self.start
        if path:
            for name in path.split(b"/"):
                state = state.step(name)
        return state

    def is_excluded(self, path: bytes) -> bool:
        """Tell whether the path is hidden."""
        return self.state_of(path).is_excluded


def parse_ignore(data: bytes) -> IgnoreRules | None:
    """Return the rules of an ignore file's bytes, None when it hides nothing at all.

    A UTF-8 byte order mark is dropped; ``#`` starts a comment only in column 1; lines are trimmed, cleaned like paths
    (``a//b/./c/`` is ``a/b/c``), and anchored at the root with or without a leading slash. ``**`` spans directories,
    ``!`` re-includes, the last line that matches decides.

    Raises:
        IgnoreSyntaxError: a line that is only ``!``, or whose wildcards are malformed.

    """
    patterns: list[IgnorePattern] = []
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        line = raw.decode("utf-8", "surrogateescape").removesuffix("\r")
        if line.startswith("#"):
            continue
        text = line.strip()
        if text:
            patterns.append(_parse_line(text, number))
    return IgnoreRules(tuple(patterns)) if any(not pattern.is_exception for pattern in patterns) else None


def _parse_line(text: str, number: int) -> IgnorePattern:
    is_exception = text.startswith("!")
    wanted = text[1:].strip() if is_exception else text
    if not wanted:
        raise IgnoreSyntaxError("an exclamation mark without a pattern", line=number, text=text)
    cleaned = clean_pattern(wanted)
    if len(cleaned) > 1 and cleaned.startswith("/"):
        cleaned = cleaned[1:]
    try:
        readings = _read(cleaned)
    except PatternSyntaxError as error:
        raise IgnoreSyntaxError(str(error), line=number, text=text) from error
    return IgnorePattern(text=text, line=number, is_exception=is_exception, readings=readings)


def clean_pattern(text: str) -> str:
    """Return the shortest equal path text, as Go's ``filepath.Clean``: no empty or ``.`` component, ``..`` taken back."""
    is_rooted = text.startswith("/")
    parts: list[str] = []
    for part in text.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part == ".." and is_rooted and not parts:
            continue
        elif part and part != ".":
            parts.append(part)
    return "/" * is_rooted + "/".join(parts) or "."


def _read(cleaned: str) -> tuple[tuple[Component, ...], ...]:
    """Return the ways to read a pattern as a list of components.

    ``**`` and a slash after it stand for ``(.*/)?``, at the end for ``.*``. Inside a component (``a**b``) that is either
    nothing (``ab``) or ``a*``, any directories, ``b``; hence several readings.
    """
    tokens = tokenize(cleaned)
    if cleaned.startswith("**") and len(cleaned) > 2 and cleaned[2] != "/" and _PLAIN_END.isdisjoint(cleaned[2:]):
        tokens[:2] = [
            STAR,
            STAR,
            STAR,
        ]  # "**name" is a bare suffix test there: any directories, then any start of a name
    finished: list[tuple[Component, ...]] = []
    unfinished: list[tuple[list[Component], list[Token], int]] = [([], [], 0)]
    while unfinished:
        components, name, at = unfinished.pop()
        while at < len(tokens):
            if tokens[at] == STAR and tokens[at + 1 : at + 2] == [STAR]:
                at += 2 + (tokens[at + 2 : at + 3] == ["/"])
                is_last = at >= len(tokens)
                if not name:
                    components.append(DEEP)
                    name = [STAR] if is_last else []
                else:
                    through = [*components, compile_component([*name, STAR]), DEEP]
                    unfinished.append((through, [STAR] if is_last else [], at))
                    if len(finished) + len(unfinished) >= _MAX_ALTERNATIVES:
                        raise PatternSyntaxError("too many '**' inside one component")
                    if is_last:
                        name.append(STAR)
            elif tokens[at] == "/":
                components.append(compile_component(name))
                name = []
                at += 1
            else:
                name.append(tokens[at])
                at += 1
        finished.append((*components, compile_component(name)))
    return tuple(finished)


def _closure(pattern: IgnorePattern, places: set[tuple[int, int]]) -> Positions:
    """Return the places and those that ``**`` taken as nothing leads to."""
    pending = list(places)
    while pending:
        reading, index = pending.pop()
        components = pattern.readings[reading]
        if index < len(components) and components[index] is DEEP and (reading, index + 1) not in places:
            places.add((reading, index + 1))
            pending.append((reading, index + 1))
    return frozenset(places)


def _advance_pattern(pattern: IgnorePattern, places: Positions, name: bytes) -> tuple[Positions, bool]:
    """Return where the pattern stands after the name, and whether it matches the path that ends with it."""
    if not places:
        return places, False
    after: set[tuple[int, int]] = set()
    is_hit = False
    for reading, index in places:
        component = pattern.readings[reading][index]
        if component is DEEP:
            after.add((reading, index))
        elif component == name if isinstance(component, bytes) else component(name):
            if index + 1 == len(pattern.readings[reading]):
                is_hit = True
            else:
                after.add((reading, index + 1))
    return _closure(pattern, after), is_hit
