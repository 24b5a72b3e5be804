"""What of a `.env` file counts beside the environment."""

from __future__ import annotations

import os
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource


class Unnamed(PydanticBaseSettingsSource):
    """The file's settings without those that the environment names: `NAME=` there takes one back."""

    def __init__(self, file: PydanticBaseSettingsSource) -> None:
        super().__init__(file.settings_cls)
        self._file = file

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The file's value, its key and whether it is JSON."""
        return self._file.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        """The file's values by field."""
        named = {name.lower() for name in os.environ}
        return {name: value for name, value in self._file().items() if name.lower() not in named}
