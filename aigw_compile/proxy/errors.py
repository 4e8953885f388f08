"""Answers that the proxy gives itself, as values: a status, and a body in the shape of the dialect that was called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple


class Refuse(NamedTuple):
    """An error that a client gets."""

    status: int
    type: str
    code: str
    message: str
    param: str | None = None
    headers: Mapping[str, str] = {}

    def body(self) -> bytes:
        """OpenAI's shape: {"error": {message, type, param, code}}."""
        fields = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return json.dumps({"error": fields}, ensure_ascii=False).encode()


INVALID = "invalid_request_error"


def invalid(code: str, message: str, status: int = 400, param: str | None = None) -> Refuse:
    return Refuse(status, INVALID, code, message, param)


NOT_FOUND = invalid("not_found", "There is nothing at this path.", 404)
NO_HOST = invalid("invalid_request", "A request names the host that it is for.")
UNAUTHORISED = Refuse(401, "authentication_error", "invalid_api_key", "The API key is missing or wrong.")
TOO_LARGE = Refuse(413, INVALID, "request_too_large", "The body of the request is too large.")
MEDIA_TYPE = Refuse(415, INVALID, "unsupported_media_type", "Send application/json without content-encoding.")
FORBIDDEN = Refuse(403, "permission_error", "model_not_allowed", "This key may not use this model.", "model")
IP_NOT_ALLOWED = Refuse(403, "permission_error", "ip_not_allowed", "Requests from this address are not allowed.")
REJECTED = invalid("prompt_rejected", "The prompt was rejected by a policy of this gateway.")
INTERNAL = Refuse(500, "api_error", "internal", "The gateway failed.")
BROKEN = Refuse(502, "api_error", "upstream_error", "The provider stopped in the middle of its answer.")
OUT_OF_TIME = Refuse(504, "api_error", "upstream_timeout", "The provider did not answer in time.")


def method_not_allowed(allowed: str) -> Refuse:
    return Refuse(405, INVALID, "method_not_allowed", f"Use {allowed}.", None, {"allow": allowed})


def model_not_found(name: str) -> Refuse:
    return invalid("model_not_found", f"There is no model {name[:100]!r}.", 404, "model")


def model_not_supported(name: str, capability: str) -> Refuse:
    return invalid("model_not_supported", f"The model {name[:100]!r} does not do {capability}.", param="model")


def model_retired(name: str, headers: Mapping[str, str]) -> Refuse:
    return Refuse(404, INVALID, "model_retired", f"The model {name[:100]!r} is retired.", "model", headers)


def transformer_failed(kind: str, *, late: bool) -> Refuse:
    if late:
        return OUT_OF_TIME._replace(message=f"The {kind} of this gateway did not answer in time.")
    return BROKEN._replace(message=f"The {kind} of this gateway failed.")


def rate_limited(what: str, seconds: int) -> Refuse:
    wait = {"retry-after": str(max(1, seconds))}
    return Refuse(429, "rate_limit_error", "rate_limit_exceeded", f"The limit of {what} is reached.", None, wait)


def exceeds_limit(what: str) -> Refuse:
    return Refuse(429, "rate_limit_error", "request_exceeds_limit", f"The request needs more {what} than the limit.")


def store_down(seconds: int) -> Refuse:
    wait = {"retry-after": str(max(1, seconds))}
    return Refuse(503, "api_error", "store_unavailable", "The gateway cannot count requests at the moment.", None, wait)
