"""The JSON schemas of the profile, and of what --json writes."""

from typing import Any

from pydantic import TypeAdapter

from earthcode_pack.errors import UserError
from earthcode_pack.model import Finding, ManifestEntry, Plan, Receipt, Summary
from earthcode_pack.profile import Profile

_KINDS: dict[str, Any] = {
    "profile": Profile,
    "summary": Summary,
    "plan": Plan,
    "finding": Finding,
    "manifest": tuple[ManifestEntry, ...],
    "receipts": tuple[Receipt, ...],
}


def schemas_of(name: str | None = None) -> dict[str, Any]:
    """All of them by name, or the one named. Raises ``UserError`` where there is no such."""
    if name is None:
        return {key: schemas_of(key) for key in (*_KINDS, "findings", "error")}
    if name == "findings":
        return _findings()
    if name == "error":
        return _error()
    if name not in _KINDS:
        raise UserError(f"there is no schema {name!r}", f"name one of {', '.join([*_KINDS, 'findings', 'error'])}")
    kind = _KINDS[name]
    mode: Any = "validation" if kind is Profile else "serialization"
    return TypeAdapter(kind).json_schema(mode=mode, by_alias=True)


def _findings() -> dict[str, Any]:
    """What ``check`` and ``verify`` write."""
    schema = TypeAdapter(list[Finding]).json_schema(mode="serialization")
    definitions = schema.pop("$defs")
    return _object({"target": {"type": "string"}, "findings": schema}) | {"$defs": definitions}


def _error() -> dict[str, Any]:
    """What any command writes that ends with exit code 2 or 3."""
    text = {"type": "string"}
    return _object({"error": _object({"type": text, "message": text, "remedy": text})})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
