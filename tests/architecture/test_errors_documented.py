"""docs/errors.md and the slugs in the source say the same, both ways."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

_TOP = Path(__file__).parents[2]
_SOURCE = _TOP / "src" / "jettison"
_VARIABLE_SLUGS = {"unknown-{what}": ("unknown-user", "unknown-group"), "run-{flag}": ("run-network", "run-security")}


class Names:
    """Every literal that reaches a parameter, variable or class attribute of one name (``slug`` or ``rule``)."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        self.found: dict[str, str] = {}
        self.trees = {path: ast.parse(path.read_text()) for path in sorted(_SOURCE.rglob("*.py"))}
        self.positions = self._positions()
        for path, tree in self.trees.items():
            self._returns = {
                node.name: [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value]
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef)
            }
            for node in ast.walk(tree):
                for value in self._values(node):
                    self._take(value, f"{path.relative_to(_TOP)}:{getattr(value, 'lineno', 0)}")

    def _positions(self) -> dict[tuple[str, bool], int]:
        """(name, whether it is a method) -> the place of the parameter among the positional arguments of a call."""
        found: dict[tuple[str, bool], int] = {}
        for tree in self.trees.values():
            for node in ast.walk(tree):
                if not isinstance(node, ast.FunctionDef):
                    continue
                names = [each.arg for each in node.args.args]
                if self.wanted in names:
                    is_method = names[0] == "self"
                    found[node.name, is_method] = names.index(self.wanted) - is_method
        return found

    def _values(self, node: ast.AST):
        match node:
            case ast.Call(func=func, args=args, keywords=keywords):
                name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
                is_warning = name == "Warned"  # the event calls the rule of a warning its slug
                key = {"rule": "slug"}.get(self.wanted, "") if is_warning else self.wanted
                yield from (keyword.value for keyword in keywords if keyword.arg == key)
                at = self.positions.get((name, isinstance(func, ast.Attribute)))
                if at is not None and at < len(args):
                    yield args[at]
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name.strip("_").lower() == self.wanted:
                yield value
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=value):
                for at, target in enumerate(targets):
                    if isinstance(target, ast.Name) and target.id == self.wanted:
                        yield from self._elements(value, at)
            case _:
                return

    def _elements(self, value: ast.expr, at: int):
        match value:
            case ast.Tuple(elts=elements):
                yield elements[at]
            case ast.Call(func=ast.Name(id=name)):
                for returned in self._returns.get(name, []):
                    yield from self._elements(returned, at)
            case _:
                return

    def _take(self, value: ast.expr, where: str) -> None:
        match value:
            case ast.Constant(value=str(text)) if text:
                self.found.setdefault(text, where)
            case ast.IfExp(body=body, orelse=orelse):
                self._take(body, where)
                self._take(orelse, where)
            case ast.JoinedStr():
                for text in _VARIABLE_SLUGS[ast.unparse(value)[2:-1]]:
                    self.found.setdefault(text, where)
            case _:
                return


def _documented(heading_levels: str, section: str) -> list[str]:
    """The first cells of the tables of the page, of its warnings or of all else."""
    page = (_TOP / "docs" / "errors.md").read_text()
    errors, _, warnings = page.partition("\n## Warnings")
    text = warnings if section == "warnings" else errors
    return re.findall(rf"^{heading_levels} `([A-Za-z0-9-]+)` \|", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("section", "wanted"),
    [pytest.param("errors", "slug", id="errors"), pytest.param("warnings", "rule", id="warnings")],
)
def test_every_slug_is_documented_and_every_documented_slug_exists(section, wanted):
    found = Names(wanted).found
    documented = _documented(r"\|", section)
    assert len(documented) == len(set(documented)), "a slug is documented twice"
    missing = {name: where for name, where in found.items() if name not in documented}
    assert not missing, "add these to docs/errors.md"
    assert not set(documented) - set(found), "docs/errors.md has names that the source has not"


def test_slugs_are_kebab_case():
    assert not [name for name in Names("slug").found if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name)]


def test_error_classes_have_slugs_of_their_own():
    tree = ast.parse((_SOURCE / "errors.py").read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.endswith("Error")]
    slugs = [
        ast.literal_eval(statement.value)
        for node in classes
        for statement in node.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "slug"
    ]
    assert len(slugs) == len(set(slugs)) == len(classes)


def test_every_row_has_a_cause_and_an_action():
    page = (_TOP / "docs" / "errors.md").read_text()
    rows = re.findall(r"^\| `[A-Za-z0-9-]+` \|.*$", page, re.MULTILINE)
    assert rows
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 3, row
        assert all(len(cell) > 3 for cell in cells), row
