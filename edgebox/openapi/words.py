"""The words of which the description is made: JSON Schemas (draft 2020-12), and what OpenAPI puts around them."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

JSON, HTML, PLAIN, FORM = "application/json", "text/html", "text/plain", "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

TEXT: Schema = {"type": "string"}
FILLED: Schema = {"type": "string", "minLength": 1}
WHOLE: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
ANYTHING: Schema = {"type": "object"}


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    if "enum" in schema:
        return {"enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]}


def array(of: Schema, at_most: int | None = None) -> Schema:
    """An array."""
    return {"type": "array", "items": of, **({} if at_most is None else {"maxItems": at_most})}


def one_of(*values: str) -> Schema:
    """One of these texts."""
    return {"enum": list(values)}


def an_object(required: dict[str, Schema], optional: dict[str, Schema] | None = None, **more: Any) -> Schema:
    """An object that has these keys, and may have those. It is open unless `more` says otherwise."""
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required), **more}


def closed(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object with these keys and no others."""
    return an_object(required, optional, additionalProperties=False)


def ref(name: str) -> Schema:
    """A schema by its name among the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def answer(what: str, schema: Schema | None = None, kind: str = JSON, **headers: str) -> Schema:
    """An answer; `headers` are those that it may have, with what they say."""
    told: Schema = {"description": what}
    if schema is not None:
        told["content"] = {kind: {"schema": schema}}
    if headers:
        told["headers"] = {
            name.replace("_", "-"): {"description": meaning, "schema": TEXT} for name, meaning in headers.items()
        }
    return told


def in_path(**parts: str | Schema) -> list[Schema]:
    """What stands in an address: a text with this meaning, or a parameter as it is described."""
    told = {
        name: {"schema": TEXT, "description": part} if isinstance(part, str) else part for name, part in parts.items()
    }
    return [{"name": name, "in": "path", "required": True, **part} for name, part in told.items()]


def in_query(**parts: str) -> list[Schema]:
    """What may be asked for in the query."""
    return [{"name": name, "in": "query", "description": what, "schema": TEXT} for name, what in parts.items()]


def body(schema: Schema, *kinds: str, required: bool = False) -> Schema:
    """The body of a request, in each of these kinds."""
    return {"required": required, "content": {kind: {"schema": schema} for kind in kinds}}
