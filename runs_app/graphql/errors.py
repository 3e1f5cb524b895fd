"""Errors as the client shows them: the first one's message says what happened, why, and what to do."""

from __future__ import annotations

import logging

from graphql import GraphQLError
from pydantic.alias_generators import to_camel
from strawberry.extensions import MaskErrors

from edgewise.errors import UserError

log = logging.getLogger(__name__)


class ErrorsForPeople(MaskErrors):
    """Give errors of services their whole sentence, and hide what nobody foresaw behind one that tells nothing."""

    def __init__(self) -> None:
        super().__init__(should_mask_error=lambda error: error.original_error is not None)

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        """Return what the caller may read of an error that a resolver raised."""
        original = error.original_error
        if isinstance(original, UserError):
            fields = {to_camel(name): message for name, message in original.fields.items()}
            extensions = {"code": original.code, **({"fields": fields} if fields else {})}
            return GraphQLError(original.sentence, error.nodes, path=error.path, extensions=extensions)
        log.error("a resolver failed", exc_info=original)
        return GraphQLError("The server made a mistake. Tell its operator, who finds it in the log.", path=error.path)
