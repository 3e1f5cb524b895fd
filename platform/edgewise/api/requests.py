"""What requests may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers


class RequestSerializer(serializers.Serializer[Any]):
    """The body of a request. A field that is not known is refused: a misspelled one would change nothing, silently."""

    def to_internal_value(self, data: Any) -> Any:
        """Read the fields.

        Raises:
            ValidationError: one is wrong, or not known.
        """
        if isinstance(data, Mapping) and (unknown := sorted(set(data) - set(self.fields))):
            known = ", ".join(self.fields)
            raise serializers.ValidationError(
                {name: f"There is no field “{name}”; there are {known}." for name in unknown}
            )
        return super().to_internal_value(data)
