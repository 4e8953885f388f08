"""The language as pydantic models: the one place where a field is born. Nothing here is imported while checking or building."""

from aigw_compile.language.gateway import AIGateway
from aigw_compile.language.parts import AIGatewayConfig

__all__ = ["AIGateway", "AIGatewayConfig"]
