"""Where settings come from, in which order, and what is wrong with a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jettison.api.settings import settings_from
from jettison.errors import UsageError

DEFAULT = "/var/lib/jettison" if os.geteuid() == 0 else "HOME/.local/share/jettison"


def config(home, text):
    path = home / ".config" / "jettison" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_without_anything_said_the_defaults_hold(tmp_path):
    settings = settings_from({"HOME": str(tmp_path)})
    assert settings.root == Path(DEFAULT.replace("HOME", str(tmp_path)))
    assert (settings.ca_bundle, settings.network, settings.has_memo) == ("auto", "host", True)
    assert settings.environment == {"HOME": str(tmp_path)}


def test_the_root_is_the_callers_then_the_environments_then_the_files(tmp_path):
    config(tmp_path, 'root = "/from/file"\n')
    environment = {"HOME": str(tmp_path)}
    assert settings_from(environment).root == Path("/from/file")
    assert settings_from({**environment, "JETTISON_ROOT": "/from/env"}).root == Path("/from/env")
    assert settings_from({**environment, "JETTISON_ROOT": "/from/env"}, root="/from/caller").root == Path(
        "/from/caller"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root has a place of its own")
def test_the_data_directory_of_a_user_is_followed(tmp_path):
    assert settings_from({"HOME": "/h", "XDG_DATA_HOME": str(tmp_path)}).root == tmp_path / "jettison"


def test_the_configuration_directory_is_followed(tmp_path):
    (tmp_path / "jettison").mkdir()
    (tmp_path / "jettison" / "config.toml").write_text('network = "none"\nca_bundle = "off"\nmemo = false\n')
    settings = settings_from({"HOME": "/nowhere", "XDG_CONFIG_HOME": str(tmp_path)})
    assert (settings.network, settings.ca_bundle, settings.has_memo) == ("none", "off", False)


def test_the_memo_can_be_switched_off_by_the_environment(tmp_path):
    assert not settings_from({"HOME": str(tmp_path), "JETTISON_MEMO": "0"}).has_memo


@pytest.mark.parametrize(
    ("text", "part"),
    [
        pytest.param("rot = 1\n", "did you mean 'root'", id="unknown key"),
        pytest.param("memo = 1\n", "must be a bool", id="wrong type"),
        pytest.param("network = 'bridge'\n", "neither 'host' nor 'none'", id="wrong value"),
        pytest.param("root = \n", "can't read", id="not TOML"),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path, text, part):
    config(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        settings_from({"HOME": str(tmp_path)})
    assert part in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.slug == "config-file"
