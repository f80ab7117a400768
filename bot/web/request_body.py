"""JSON bodies that are read after the caller is known.

FastAPI would read and judge a body before its dependencies run, and so tell a stranger what is wrong with it.
"""

from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

MAX_PROBLEMS = 100
Body = TypeVar("Body", bound=BaseModel)


def documented(schema: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` of an operation with this body."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def parse_body(body: bytes, model: type[Body]) -> Body:
    """Raises RequestValidationError."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_PROBLEMS]
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in problems]) from None
