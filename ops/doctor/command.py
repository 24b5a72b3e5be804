"""`riskflow doctor` on the command line."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Annotated

import orjson
import typer

from ops.terminal import console


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A block in which nothing is logged: the findings say once what the libraries say at every try."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def doctor(
    mail: Annotated[
        bool, typer.Option("--mail", help="Also log in to the mail server; sends nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The findings as an object.")] = False,
) -> None:
    """Look at all that riskflow needs, and say what to do; exit 0 when nothing is wrong."""
    from ops.doctor.examination import examined
    from ops.doctor.finding import document, is_well
    from ops.doctor.printed import print_findings

    with _quiet():
        findings = asyncio.run(examined(mail=mail))
    if as_json:
        typer.echo(orjson.dumps(document(findings), option=orjson.OPT_INDENT_2).decode())
    else:
        print_findings(console(), findings)
    sys.exit(0 if is_well(findings) else 1)
