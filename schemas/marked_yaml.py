"""YAML that people write: plain values, the line of each, and sentences about what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import yaml

from schemas.errors import InvalidFile

MAX_BYTES = 1 << 20
"""A longer file holds no settings; some 3,000 tenants fit."""
MAX_DEPTH = 20
MAX_VALUES = 200_000
"""Values after aliases are followed; more come from an alias of aliases only."""
MAX_FAULTS = 20
"""Faults that a refusal spells out; the rest is counted."""

Place = tuple[str | int, ...]
"""Field names and list positions that lead to a value."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Fault(NamedTuple):
    """What is wrong at a line of a file."""

    file: str
    line: int
    text: str


class MarkedYaml:
    """One YAML document as dicts, lists and scalars.

    Attributes:
        name: File name, for sentences.
        value: The document; None where the file holds comments only. Field names are always text.
        faults: Fields that stand twice, and values with a tag that is not YAML's own.

    Raises:
        InvalidFile: The file cannot be read, is too long, no UTF-8 or no YAML; names the line.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.faults: list[Fault] = []
        self._lines: dict[Place, int] = {(): 1}
        self._written: dict[Place, str] = {}
        self._values = yaml.SafeLoader("")
        node = self._composed(_read(path))
        self.value: object = None if node is None else self._plain(node, ())

    def line(self, place: Place) -> int:
        """The line of a value, or of the nearest that holds it."""
        while place not in self._lines:
            place = place[:-1]
        return self._lines[place]

    def written(self, place: Place) -> str | None:
        """The text of a value as it stands in the file without quotes; None where it has quotes."""
        return self._written.get(place)

    def fault(self, place: Place, text: str) -> Fault:
        """A fault at the line of a value."""
        return Fault(self.name, self.line(place), text)

    def _composed(self, text: str) -> yaml.Node | None:
        try:
            self._check_depth(text)
            return yaml.compose(text, _Loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            why = ", ".join(part for part in (error.context, error.problem) if part)
            raise InvalidFile(f"{self.name} line {line}: is no YAML: {why}") from None
        except yaml.reader.ReaderError as error:
            line = text.encode()[: error.position].count(b"\n") + 1
            raise InvalidFile(f"{self.name} line {line}: is no YAML: {error.reason}") from None

    def _check_depth(self, text: str) -> None:
        depth = 0
        for event in yaml.parse(text, _Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                mark = event.start_mark
                self._refuse_depth(mark.line + 1 if mark else 1)

    def _refuse_depth(self, line: int) -> None:
        raise InvalidFile(f"{self.name} line {line}: lists and fields are nested more than {MAX_DEPTH} deep")

    def _plain(self, node: yaml.Node, place: Place) -> object:
        line = node.start_mark.line + 1
        self._lines.setdefault(place, line)
        if len(place) > MAX_DEPTH:
            self._refuse_depth(line)
        if len(self._lines) > MAX_VALUES:
            raise InvalidFile(f"{self.name} line {line}: aliases make more than {MAX_VALUES:,} values of it")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(child, (*place, number)) for number, child in enumerate(node.value)]
        return self._scalar(node, place)  # type: ignore[arg-type]

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, object]:
        fields: dict[str, object] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None:
                self.faults.append(Fault(self.name, line, "a field's name must be one word"))
            elif name in fields:
                first = self._lines[*place, name]
                self.faults.append(
                    Fault(self.name, line, f"{name} stands twice; the first is in line {first}")
                )
            else:
                self._lines[*place, name] = line
                fields[name] = self._plain(child, (*place, name))
        return fields

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> object:
        if not node.style:
            self._written[place] = node.value
        try:
            return self._values.construct_object(node)
        except ValueError:
            # A date such as 2026-02-30 is no date; as text it may be what is meant.
            return node.value
        except yaml.YAMLError:
            self.faults.append(self.fault(place, f"{node.value}: the tag {node.tag} is not allowed"))
            return None


def refuse(faults: Iterable[Fault]) -> None:
    """Go on where there are no faults.

    Raises:
        InvalidFile: Spells out the first faults, each with file and line, and counts the others.
    """
    told = list(dict.fromkeys(sorted(faults, key=lambda fault: fault[:2])))
    if not told:
        return
    sentences = [f"{fault.file} line {fault.line}: {fault.text}" for fault in told[:MAX_FAULTS]]
    if len(told) > MAX_FAULTS:
        sentences.append(f"and {len(told) - MAX_FAULTS:,} more")
    raise InvalidFile("\n  ".join(sentences))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidFile(f"{path}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise InvalidFile(f"{path}: is longer than {MAX_BYTES:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise InvalidFile(
            f"{path.name} line {line}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
        ) from None
