"""The description of all addresses: it says what there is, no more and no less, and the box serves it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from werkzeug.routing import Map

from edgebox.app import create_app, device_apps
from edgebox.openapi import description
from tests.api.conftest import Venue

METHODS = {"get", "post", "put", "patch", "delete", "options", "trace"}
PRETIXDROID = {"redeem": "post", "search": "get", "download": "get", "status": "get"}
"""Its rule takes every method, as event and key come before it: these are the ones that it does not refuse."""


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and the operation itself."""
    for path, item in described["paths"].items():
        for method, operation in item.items():
            assert method in METHODS, (path, method)
            yield method, path, operation


def written_out(rule: str) -> Iterator[str]:
    """The paths of a werkzeug rule as OpenAPI writes them: `<int:number>` as `{number}`, each of `<any(a, b):x>`."""
    parts = re.split(r"(<[^>]*>)", rule)
    choices = []
    for part in parts:
        if not part.startswith("<"):
            choices.append([part])
        elif match := re.fullmatch(r"<any\((.*)\):\w+>", part):
            choices.append([each.strip(" '\"") for each in match[1].split(",")])
        else:
            choices.append([f"{{{part.strip('<>').rpartition(':')[2]}}}"])
    return map("".join, product(*choices))


def routed(urls: Map) -> Iterator[tuple[str, str]]:
    for rule in urls.iter_rules():
        for path in written_out(rule.rule):
            if rule.methods is None:
                yield PRETIXDROID[path.strip("/").rpartition("/")[2]], path
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield method.lower(), path


@pytest.fixture
def apps(venue: Venue) -> list[Flask]:
    """All applications of a box: the pages, and the two dialects before them."""
    return [create_app(venue.box), *device_apps(venue.box)]


def test_no_route_is_undocumented_and_no_documented_one_is_missing(apps: list[Flask]) -> None:
    there = [each for app in apps for each in routed(app.url_map)]
    told = [(method, path) for method, path, _ in operations(description())]
    assert len(told) > 90
    assert sorted(told) == sorted(there)


def test_a_route_is_written_out_as_the_description_writes_it() -> None:
    rule = "/a/<any(b, 'c'):what>/<int(max=9):number>/<path:rest>/"
    assert list(written_out(rule)) == ["/a/b/{number}/{rest}/", "/a/c/{number}/{rest}/"]


def test_the_box_serves_it_to_everybody(venue: Venue) -> None:
    response = venue.request("GET", "/openapi.json")
    assert response.get_json() == json.loads(json.dumps(description()))
    assert "Set-Cookie" not in response.headers
    venue.request("POST", "/openapi.json", 405)


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for each in part.values():
            yield from references(each)
    if isinstance(part, list):
        for each in part:
            yield from references(each)


def test_its_schemas_are_schemas_and_each_is_used() -> None:
    told = description()
    schemas = told["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    used = set(references(told))
    inside_texts = {"#/components/schemas/ScanQuestion"}
    assert used | inside_texts == {f"#/components/schemas/{name}" for name in schemas}


def test_each_operation_says_what_it_is_and_what_stands_in_its_address() -> None:
    told = description()
    names = set()
    tags = {tag["name"] for tag in told["tags"]}
    for method, path, operation in operations(told):
        names.add(operation["operationId"])
        assert operation["summary"].endswith("."), path
        assert set(operation["tags"]) <= tags
        parameters = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"]
        assert parameters == re.findall(r"{(\w+)}", path)
        assert all(answer["description"] for answer in operation["responses"].values())
        assert any(status[0] in "23" for status in operation["responses"]), (method, path)
        for wanted in operation.get("security", ()):
            assert wanted.keys() <= told["components"]["securitySchemes"].keys()
    assert len(names) == len(list(operations(told)))


def test_each_call_of_a_device_needs_a_key_but_the_two_before_there_is_one() -> None:
    free = {path for _, path, operation in operations(description()) if "security" not in operation}
    assert {path for path in free if "/api/" in path or "/rpc/" in path} == {
        "/api/v1/device/initialize",
        "/api/v1/version",
    }
    assert {"/healthz", "/openapi.json", "/login", "/first"} <= free
    assert not free & {"/", "/box", "/devices", "/find", "/lists/add"}
