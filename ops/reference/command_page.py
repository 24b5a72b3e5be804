"""docs/reference/command-line.md: every command of the typer app with its arguments and options."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import typer.main

from ops.cli import app
from ops.reference.markdown import code, page, sentence, table

NAMES = {str: "text", int: "whole number", float: "number", Path: "path", datetime: "date"}
HELP = {"help", "install_completion", "show_completion"}
"""Options that every command has."""
ABOUT = """`riskflow --help` and `riskflow COMMAND --help` print the same. What the exit codes mean:
[operations](../operations.md#exit-codes)."""


def text() -> str:
    """The page."""
    return page("Command line", ABOUT, *(_command(path, command) for path, command in commands()))


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something by itself, with the words one types, in the order of the help."""
    yield from _below("riskflow", typer.main.get_command(app))


def _below(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None or command.invoke_without_command:
        yield path, command
    for name, child in (children or {}).items():
        if not child.hidden:
            yield from _below(f"{path} {name}", child)


def _command(path: str, command: Any) -> str:
    shown = [one for one in command.params if not one.hidden and one.name not in HELP]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option"]
    usage = " ".join([path, *(_usage(one) for one in arguments), *(["[OPTIONS]"] if options else [])])
    parts = [f"## {path}", sentence(command.help or ""), f"```text\n{usage}\n```"]
    if arguments:
        parts.append(table(("argument", "allowed", "what"), [_argument(one) for one in arguments]))
    if options:
        parts.append(table(("option", "allowed", "default", "what"), [_option(one) for one in options]))
    return "\n\n".join(parts)


def _usage(argument: Any) -> str:
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _argument(argument: Any) -> list[str]:
    return [code(argument.name.upper()), _allowed(argument), argument.help or ""]


def _option(option: Any) -> list[str]:
    names = ", ".join(code(name) for name in [*option.opts, *option.secondary_opts])
    return [names, _allowed(option), _default(option), option.help or ""]


def _allowed(parameter: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return "flag"
    kind = parameter.type_descriptor.annotation
    several = get_origin(kind) is list
    if several:
        (kind,) = get_args(kind)
    if issubclass(kind, Enum):
        return ", ".join(code(str(choice.value)) for choice in kind)
    least = f", at least {parameter.min:g}" if parameter.min is not None else ""
    return NAMES[kind] + least + (", several" if several else "")


def _default(option: Any) -> str:
    if option.required:
        return "required"
    if option.default is None or option.default is False:
        return ""
    return code(str(getattr(option.default, "value", option.default)))
