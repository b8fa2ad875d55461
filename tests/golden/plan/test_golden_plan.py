"""Each directory beside this file: a ``Dockerfile``, perhaps a ``case.json`` with options and images, and the ``plan.json`` it gives.

``python -m tests.golden.plan.test_golden_plan`` writes every ``plan.json`` anew; read the difference before you keep it.
"""

import dataclasses
import json
from pathlib import Path

import pytest
from tests.fakes.plans import AMD64, an_image, plan_of

from jettison.platform import parse_platform
from jettison.span import Span

HERE = Path(__file__).parent
CASES = sorted(path.parent.name for path in HERE.glob("*/Dockerfile"))


def as_json(value):
    if isinstance(value, Span):
        return f"{value.source.name}:{value.line}:{value.column}"
    if dataclasses.is_dataclass(value):
        fields = {each.name: as_json(getattr(value, each.name)) for each in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, dict):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [as_json(each) for each in value]
    return value.decode() if isinstance(value, bytes) else value


def read_images(described):
    for name, config in described.items():
        fields = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
        fields["labels"] = tuple(tuple(pair) for pair in config.get("labels", ()))
        yield an_image(name, **fields)


def lower_case(name):
    directory = HERE / name
    described = directory / "case.json"
    options = json.loads(described.read_text()) if described.exists() else {}
    images = tuple(read_images(options.pop("images", {})))
    if "target_platform" in options:
        options["target_platform"] = parse_platform(options["target_platform"], AMD64)
    plan = plan_of((directory / "Dockerfile").read_text(), *images, **options)
    return json.dumps(as_json(plan), indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", CASES)
def test_plan_is_as_recorded(name):
    assert lower_case(name) == (HERE / name / "plan.json").read_text()


if __name__ == "__main__":
    for case in CASES:
        (HERE / case / "plan.json").write_text(lower_case(case))
