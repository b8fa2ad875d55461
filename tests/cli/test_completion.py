"""The completion scripts, asked as the shells ask them."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from jettison.cli.main import main, make_parser

_SHELLS = ("bash", "zsh", "fish")


def a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.fixture
def with_a_jettison(tmp_path, monkeypatch):
    """A program named jettison on the path that lists two images, and a directory with files."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "jettison"
    program.write_text(
        "#!/bin/sh\necho 'REPOSITORY TAG IMAGE-ID'\necho 'app latest 0123'\necho 'localhost:5000/app 1 4567'\n"
    )
    program.chmod(0o755)
    here = tmp_path / "here"
    here.mkdir()
    (here / "sub").mkdir()
    (here / "file.tar").touch()
    monkeypatch.chdir(here)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return here


def needs(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    return found


def ask_bash(script: str, line: str) -> list[str]:
    program = (
        f"{script}\nCOMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}; COMP_WORDBREAKS=$' \\t\\n\"><=;|&(:'\n"
        'compopt() { :; }\n_jettison\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run([needs("bash"), "--norc", "-c", program], capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("jettison bu", ["build"], id="command"),
        pytest.param("jettison --root /x im", ["images", "import"], id="command-after-root"),
        pytest.param("jettison build --no", ["--no-cache", "--no-cache-filter"], id="flag"),
        pytest.param("jettison build --progress r", ["rawjson"], id="choice"),
        pytest.param("jettison build --progress=r", ["rawjson"], id="choice-after-equals"),
        pytest.param("jettison build -t app ", ["sub"], id="argument-after-option-with-value"),
        pytest.param("jettison build -q -f ", ["file.tar", "sub"], id="file"),
        pytest.param("jettison run -it ap", ["app:latest"], id="image"),
        pytest.param("jettison run app:l", ["latest"], id="image-behind-a-colon"),
        pytest.param("jettison rmi app:latest ap", ["app:latest"], id="repeated-argument"),
        pytest.param("jettison tag app:latest ", [], id="nothing-to-offer"),
        pytest.param("jettison completion ", list(_SHELLS), id="shells"),
    ],
)
def test_bash_completes(line, expected, with_a_jettison, capsys):
    assert sorted(ask_bash(a_script("bash", capsys), line)) == sorted(expected)


def test_bash_offers_every_command_and_every_flag(with_a_jettison, capsys):
    script = a_script("bash", capsys)
    _, commands = make_parser()
    assert set(ask_bash(script, "jettison ")) == set(commands)
    for name, parser in commands.items():
        flags = {flag for action in parser._actions for flag in action.option_strings}
        assert set(ask_bash(script, f"jettison {name} -")) == flags


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("jettison bu", {"build"}, id="command"),
        pytest.param("jettison build --netw", {"--network"}, id="flag"),
        pytest.param("jettison build --network ", {"default", "host", "none"}, id="choice"),
        pytest.param("jettison run ap", {"app:latest"}, id="image"),
        pytest.param("jettison build s", {"sub/"}, id="directory"),
        pytest.param("jettison load -i fi", {"file.tar"}, id="file"),
    ],
)
def test_fish_completes(line, expected, with_a_jettison, capsys, tmp_path):
    script = tmp_path / "jettison.fish"
    script.write_text(a_script("fish", capsys))
    command = f'source {script}; complete -C "{line}"'
    done = subprocess.run([needs("fish"), "--no-config", "-c", command], capture_output=True, text=True, check=True)
    assert not done.stderr
    assert {answer.split("\t")[0] for answer in done.stdout.splitlines()} == expected


_ZSH_TERMINAL = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=; unsetopt beep; autoload -U compinit; compinit -u -D; source {script}; cd {here}; PS1="<ready>"'
zpty -r shell answer '*<ready>*<ready>'
zpty -w -n shell $'{line}\\t\\C-a#\\n'
zpty -r shell answer '*\\#*<ready>'
print -r -- "$answer"
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("jettison bui", "jettison build", id="command"),
        pytest.param("jettison build --netw", "jettison build --network", id="flag"),
        pytest.param("jettison build --progress raw", "jettison build --progress rawjson", id="choice"),
        pytest.param("jettison rmi app", "jettison rmi app:latest", id="image"),
    ],
)
@pytest.mark.slow
def test_zsh_completes(line, expected, with_a_jettison, capsys, tmp_path):
    script = tmp_path / "_jettison"
    script.write_text(a_script("zsh", capsys))
    program = _ZSH_TERMINAL.format(script=script, here=with_a_jettison, line=line)
    done = subprocess.run([needs("zsh"), "-f", "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert expected in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_script_is_well_formed(shell, capsys, tmp_path):
    script = tmp_path / "script"
    script.write_text(a_script(shell, capsys))
    subprocess.run([needs(shell), "-n", str(script)], check=True)


@pytest.mark.parametrize("shell", _SHELLS)
def test_script_names_every_long_flag(shell, capsys):
    script = a_script(shell, capsys)
    parser, commands = make_parser()
    for each in (parser, *commands.values()):
        for action in each._actions:
            for flag in action.option_strings:
                assert (f"-l {flag[2:]}" if shell == "fish" and flag.startswith("--") else flag) in script or (
                    shell == "fish" and f"-s {flag[1:]}" in script
                )


def test_unknown_shell_is_refused(capsys):
    assert main(["completion", "tcsh"]) == 2
    assert "'tcsh'" in capsys.readouterr().err
