"""``jettison completion``: the parsers, as data -> a script that lets a shell complete words.

Owns what follows which word and the three shells' notations; the words themselves come from the parsers, so that a new flag
is completed without a second list. The scripts ask ``jettison images`` for the names of images while the user types.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jettison.cli.parser import Parser

Kind: TypeAlias = Literal["none", "any", "file", "directory", "image", "words"]
"""What comes as the value of an option or in the place of an argument; ``none``: an option without a value."""

_EXAMPLES = """examples:
  eval "$(jettison completion bash)"                                        in ~/.bashrc
  jettison completion zsh > "${fpath[1]}/_jettison"
  jettison completion fish > ~/.config/fish/completions/jettison.fish
"""
_KINDS: dict[str, Kind] = {
    "FILE": "file",
    "DIR": "directory",
    "PATH": "directory",
    "DEST|type=TYPE[,dest=DEST]": "file",
    "DIR:PATH[:ro]": "file",
    "image": "image",
    "source": "image",
}
_NOT_OF_THIS_HOST = frozenset({"workdir"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionWords:
    """One option: its spellings, what it is for, and what follows it. ``words`` are the choices of the kind ``words``."""

    flags: tuple[str, ...]
    help: str
    kind: Kind
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandWords:
    """One command, its options in the order of the parser, and the kinds of its arguments; the last may be repeated."""

    name: str
    help: str
    options: tuple[OptionWords, ...]
    arguments: tuple[OptionWords, ...]
    is_last_repeated: bool


def add(commands: Any, parser: Parser) -> None:
    """Declare the command; ``parser`` is the whole command line's, with every other command declared."""
    own = commands.add_parser("completion", help="print a script that completes words in a shell", epilog=_EXAMPLES)
    own.add_argument("shell", choices=("bash", "zsh", "fish"))
    own.set_defaults(handler=partial(run, commands=commands, parser=parser))


def run(args: argparse.Namespace, *, commands: Any, parser: Parser) -> int:
    """Print the script."""
    helps = {action.dest: action.help or "" for action in commands._choices_actions}  # noqa: SLF001  kept nowhere else
    top = _words_of("", "", parser)
    words = [_words_of(name, helps.get(name, ""), each) for name, each in commands.choices.items()]
    render = {"bash": render_bash, "zsh": render_zsh, "fish": render_fish}[args.shell]
    print(render(top, words), end="")
    return 0


def _words_of(name: str, text: str, parser: argparse.ArgumentParser) -> CommandWords:
    actions = [each for each in parser._actions if not isinstance(each, argparse._SubParsersAction)]  # noqa: SLF001
    arguments = [each for each in actions if not each.option_strings]
    return CommandWords(
        name=name,
        help=text,
        options=tuple(_option(each) for each in actions if each.option_strings),
        arguments=tuple(_option(each) for each in arguments),
        is_last_repeated=bool(arguments) and arguments[-1].nargs in {"+", "*", argparse.REMAINDER},
    )


def _option(action: argparse.Action) -> OptionWords:
    kind: Kind = "any"
    label = action.metavar if isinstance(action.metavar, str) else action.dest
    if action.option_strings and action.nargs == 0:
        kind = "none"
    elif action.choices is not None:
        kind = "words"
    elif action.dest not in _NOT_OF_THIS_HOST:
        kind = _KINDS.get(label, "any")
    return OptionWords(
        flags=tuple(action.option_strings),
        help=(action.help or "").partition(";")[0],
        kind=kind,
        words=tuple(map(str, action.choices or ())),
    )


_BASH = """\
# Completes the words of jettison in bash. Made by 'jettison completion bash'.
_jettison_images() {
  jettison images 2>/dev/null | {
    read -r _
    while read -r name tag _; do echo "$name:$tag"; done
  }
}
_jettison_option() {
  case "$1 $2" in
%(options)s
    *) kind= ;;
  esac
}
_jettison() {
  local line=${COMP_LINE:0:COMP_POINT} words=() word= option= command= kind= place=0 i cut
  read -r -a words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  word=${words[${#words[@]} - 1]}
  for ((i = 1; i < ${#words[@]} - 1; i++)); do
    if [[ -n $option ]]; then
      option=
    elif [[ ${words[i]} == -* ]]; then
      _jettison_option "$command" "${words[i]}"
      [[ -n $kind ]] && option=${words[i]}
    elif [[ -z $command ]]; then
      command=${words[i]}
    else
      place=$((place + 1))
    fi
  done
  cut=$word
  kind=
  if [[ -n $option ]]; then
    _jettison_option "$command" "$option"
  elif [[ $word == --*=* ]]; then
    _jettison_option "$command" "${word%%%%=*}"
    word=${word#*=}
  elif [[ $word == -* ]]; then
    case "$command" in
%(flags)s
    esac
  else
    case "$command $place" in
%(arguments)s
    esac
  fi
  case "$kind" in
    words:*) COMPREPLY=($(compgen -W "${kind#words:}" -- "$word")) ;;
    image) COMPREPLY=($(compgen -W "$(_jettison_images)" -- "$word")) ;;
    directory) COMPREPLY=($(compgen -d -- "$word")) && compopt -o filenames ;;
    file) COMPREPLY=($(compgen -f -- "$word")) && compopt -o filenames ;;
    *) COMPREPLY=() ;;
  esac
  # Where ':' parts words for bash, it replaces only what stands behind the last one.
  if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
    cut=${word%%"${word##*:}"}
    for ((i = 0; i < ${#COMPREPLY[@]}; i++)); do COMPREPLY[i]=${COMPREPLY[i]#"$cut"}; done
  fi
}
complete -F _jettison jettison
"""


def render_bash(top: CommandWords, commands: list[CommandWords]) -> str:
    """Return the script for bash 4 and newer."""
    options, flags, arguments = [], [], []
    for command in (top, *commands):
        for option in command.options:
            if option.kind != "none":
                spelled = " | ".join(f'"{command.name} {flag}"' for flag in option.flags)
                options.append(f'    {spelled}) kind="{_bash_kind(option)}" ;;')
        names = " ".join(flag for option in command.options for flag in option.flags)
        flags.append(f'      "{command.name}") kind="words:{names}" ;;')
        for place, argument in enumerate(command.arguments):
            is_repeated = command.is_last_repeated and place == len(command.arguments) - 1
            pattern = f'"{command.name} "*' if is_repeated else f'"{command.name} {place}"'
            arguments.append(f'      {pattern}) kind="{_bash_kind(argument)}" ;;')
    names = " ".join(command.name for command in commands)
    arguments.insert(0, f'      " 0") kind="words:{names}" ;;')
    return _BASH % {"options": "\n".join(options), "flags": "\n".join(flags), "arguments": "\n".join(arguments)}


def _bash_kind(option: OptionWords) -> str:
    return f"words:{' '.join(option.words)}" if option.kind == "words" else option.kind


_ZSH = """\
#compdef jettison
# Completes the words of jettison in zsh. Made by 'jettison completion zsh'.
_jettison_images() {
  local -a names
  names=(${(f)"$(jettison images 2>/dev/null | while read -r name tag _; do
    [[ $name != REPOSITORY ]] && print -r -- "$name:$tag"; done)"})
  (( ${#names} )) && compadd -a names
}
_jettison() {
  local state line
  typeset -A opt_args
  _arguments -C \\
%(top)s    '1:command:->command' '*::argument:->argument'
  case $state in
    command)
      local -a commands
      commands=(
%(names)s
      )
      _describe command commands
      ;;
    argument)
      case $words[1] in
%(commands)s
      esac
      ;;
  esac
}
if [[ $funcstack[1] == _jettison ]]; then _jettison "$@"; else compdef _jettison jettison; fi
"""
_ZSH_ACTIONS: dict[Kind, str] = {
    "any": " ",
    "file": "_files",
    "directory": "_files -/",
    "image": "_jettison_images",
}


def render_zsh(top: CommandWords, commands: list[CommandWords]) -> str:
    """Return the script for zsh: to be a file of ``fpath``, or to be evaluated."""
    branches = []
    for command in commands:
        specs = [*_zsh_options(command), *_zsh_arguments(command)]
        lines = " \\\n".join(f"            {spec}" for spec in specs)
        branches.append(f"        {command.name})\n          _arguments -s \\\n{lines}\n          ;;")
    names = "\n".join(f"        {_quote(f'{command.name}:{command.help}')}" for command in commands)
    options = "".join(f"    {spec} \\\n" for spec in _zsh_options(top))
    return _ZSH % {"top": options, "names": names, "commands": "\n".join(branches)}


def _zsh_options(command: CommandWords) -> Iterable[str]:
    for option in command.options:
        text = "".join(f"\\{char}" if char in "[]:\\" else char for char in option.help)
        value = "" if option.kind == "none" else f":value:{_zsh_action(option)}"
        for flag in option.flags:
            equals = "" if option.kind == "none" else "=" if flag.startswith("--") else "+"
            yield _quote(f"*{flag}{equals}[{text}]{value}")


def _zsh_arguments(command: CommandWords) -> Iterable[str]:
    for place, argument in enumerate(command.arguments, start=1):
        is_repeated = command.is_last_repeated and place == len(command.arguments)
        yield _quote(f"{'*' if is_repeated else place}:argument:{_zsh_action(argument)}")


def _zsh_action(option: OptionWords) -> str:
    return f"({' '.join(option.words)})" if option.kind == "words" else _ZSH_ACTIONS[option.kind]


def render_fish(top: CommandWords, commands: list[CommandWords]) -> str:
    """Return the script for fish 3 and newer."""
    lines = [
        "# Completes the words of jettison in fish. Made by 'jettison completion fish'.",
        "function __jettison_images",
        "    jettison images 2>/dev/null | tail -n +2 | string replace -r '^(\\S+)\\s+(\\S+).*' '$1:$2'",
        "end",
        "complete -c jettison -f",
    ]
    lines += [_fish_option(option, "__fish_use_subcommand") for option in top.options]
    for command in commands:
        lines.append(
            f"complete -c jettison -n __fish_use_subcommand -a {command.name} -d {_quote(command.help, is_fish=True)}"
        )
    for command in commands:
        condition = f"__fish_seen_subcommand_from {command.name}"
        lines += [_fish_option(option, condition) for option in command.options]
        kinds = dict.fromkeys((argument.kind, argument.words) for argument in command.arguments)
        lines += [f"complete -c jettison -n '{condition}' {_fish_value(*kind)}" for kind in kinds if kind[0] != "any"]
    return "\n".join(lines) + "\n"


def _fish_option(option: OptionWords, condition: str) -> str:
    flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
    value = "" if option.kind == "none" else f" -r {_fish_value(option.kind, option.words)}".rstrip()
    return f"complete -c jettison -n '{condition}' {flags}{value} -d {_quote(option.help, is_fish=True)}"


def _fish_value(kind: Kind, words: tuple[str, ...]) -> str:
    match kind:
        case "words":
            return f"-f -a '{' '.join(words)}'"
        case "image":
            return "-f -a '(__jettison_images)'"
        case "directory":
            return "-f -a '(__fish_complete_directories)'"
        case "file":
            return "-F"
        case _:
            return "-f"


def _quote(text: str, *, is_fish: bool = False) -> str:
    if is_fish:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return "'" + text.replace("'", "'\\''") + "'"
