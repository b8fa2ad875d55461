"""The state of an image after each instruction of a stage: its config, variables, layers and history. A fold.

Owns what a stage inherits: from nothing, from an image, from another stage. ``metadata`` and ``lower`` replace states; nothing
here changes one in place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jettison.graph.scope import Scope
from jettison.guestpath import GuestPath, parse_guest_path
from jettison.limits import DEFAULT_PATH
from jettison.oci.config import ImageConfig, RuntimeConfig
from jettison.plan.plan import HistoryStep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jettison.platform import Platform

_DEFAULT_SHELL = ("/bin/sh", "-c")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageState:
    """What an image would be if the stage ended here.

    ``base`` is the config of the image at the bottom (an empty one for scratch), ``head`` the op whose chain is its layers,
    ``history`` the lines since the base. ``is_cmd_set`` tells that this very stage had a CMD.
    """

    platform: Platform
    base: ImageConfig
    config: RuntimeConfig
    author: str
    scope: Scope
    head: int | None
    history: tuple[HistoryStep, ...] = ()
    is_cmd_set: bool = False

    @property
    def cwd(self) -> GuestPath:
        """The directory in which steps run and below which relative destinations lie."""
        return parse_guest_path(self.config.working_dir or "/")

    @property
    def shell(self) -> tuple[str, ...]:
        """The program and arguments before a shell-form command."""
        return self.config.shell or _DEFAULT_SHELL

    def with_config(self, config: RuntimeConfig, created_by: str) -> ImageState:
        """Return the state after an instruction that changes metadata alone."""
        line = HistoryStep(created_by=created_by, op=None)
        return replace(self, config=config, history=(*self.history, line))

    def with_layer(self, op: int, created_by: str) -> ImageState:
        """Return the state after an instruction whose layer the op makes."""
        return replace(self, head=op, history=(*self.history, HistoryStep(created_by=created_by, op=op)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What every stage of a build starts with: the global values and the caller's build arguments."""

    globals: Mapping[str, str]
    build_args: Mapping[str, str]

    def scope(self) -> Scope:
        """Return a scope without variables."""
        return Scope(globals=self.globals, build_args=self.build_args)


def state_from_scratch(platform: Platform, arguments: Arguments) -> ImageState:
    """Return the state after ``FROM scratch``."""
    empty = ImageConfig(platform=platform, config=RuntimeConfig(working_dir="/"))
    return state_from_image(empty, platform, None, arguments)


def state_from_image(image: ImageConfig, platform: Platform, head: int | None, arguments: Arguments) -> ImageState:
    """Return the state after a FROM that names an image; its ONBUILD triggers are taken away."""
    base = replace(image, diff_ids=(), created="")
    state = ImageState(
        platform=platform, base=base, config=image.config, author=image.author, scope=arguments.scope(), head=head
    )
    return _start_stage(state)


def state_from_stage(below: ImageState) -> ImageState:
    """Return the state after a FROM that names a stage: all of it, with ARGs and history, without ONBUILD triggers."""
    return _start_stage(replace(below, is_cmd_set=False))


def split_variable(line: str) -> tuple[str, str]:
    """Return name and value of an entry of a config's Env; one without ``=`` is empty."""
    name, _, value = line.partition("=")
    return name, value


def _start_stage(state: ImageState) -> ImageState:
    env = state.config.env
    pairs = [split_variable(line) for line in env]
    if state.platform.os != "windows" and all(name != "PATH" for name, _ in pairs):
        env = (*env, f"PATH={DEFAULT_PATH}")
        pairs.append(("PATH", DEFAULT_PATH))
    working_dir = state.config.working_dir
    if working_dir and not working_dir.startswith("/"):
        working_dir = parse_guest_path(working_dir)
    config = replace(state.config, env=env, working_dir=working_dir, on_build=())
    return replace(state, config=config, scope=state.scope.with_variables(pairs))
