"""Documents of one shape have one verdict: the promise that spares validating ten thousand Items."""

import copy
from typing import Any

import pytest
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from earthcode_pack.checks.schema import SchemaBook
from earthcode_pack.checks.shape import shapes_for

SCHEMA = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 4},
        "kind": {"enum": ["a", "b", 1, None, [1, "x"]]},
        "size": {"type": "integer", "minimum": 0, "exclusiveMaximum": 10},
        "values": {"type": "array", "uniqueItems": True, "items": {"type": ["number", "string"]}, "maxItems": 3},
    },
    "patternProperties": {"^x-": {"type": "boolean"}},
    "additionalProperties": False,
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 12)
    | st.floats(-2, 12)
    | st.sampled_from(["a", "b", "ab", "A", "abcde", "x", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["x-y", "id", "z"]), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.fixed_dictionaries({}, optional=dict.fromkeys(["id", "kind", "size", "values", "x-y", "z"], JSON))


@given(DOCUMENTS, DOCUMENTS)
@settings(max_examples=examples(400))
def test_one_shape_one_verdict(one: Any, other: Any) -> None:
    shape, validator = shapes_for([SCHEMA]), Draft7Validator(SCHEMA)
    if shape(one) == shape(other):
        assert validator.is_valid(one) == validator.is_valid(other)


@given(DOCUMENTS, st.sampled_from(["id", "kind", "size", "values"]), JSON)
@settings(max_examples=examples(400))
def test_a_change_that_no_schema_sees_keeps_the_shape_or_not_but_never_the_wrong_verdict(
    one: Any, key: str, value: Any
) -> None:
    shape, validator = shapes_for([SCHEMA]), Draft7Validator(SCHEMA)
    other = {**one, key: value}
    if shape(one) == shape(other):
        assert validator.is_valid(one) == validator.is_valid(other)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"id": "abc"}, {"id": "xyz"}, True),
        ({"id": "ab"}, {"id": "aB"}, False),
        ({"id": "ab"}, {"id": "abcde"}, False),
        ({"size": 1}, {"size": 2}, False),
        ({"size": 2}, {"size": 3}, True),
        ({"size": 2}, {"size": 2.5}, False),
        ({"size": 9}, {"size": 10}, False),
        ({"values": [2, 3]}, {"values": [5, 6]}, True),
        ({"values": [2, 3]}, {"values": [5, 5.0]}, False),
        ({"size": True}, {"size": 3}, False),
    ],
)
def test_what_is_told_apart(one, other, same):
    shape = shapes_for([SCHEMA])
    assert (shape(one) == shape(other)) is same


def test_of_items_of_one_form_the_first_is_validated_and_a_bad_one_is_found(product, monkeypatch):
    calls = []
    real = SchemaBook._against
    monkeypatch.setattr(SchemaBook, "_against", lambda *given: calls.append(given[1]) or real(*given))
    book = SchemaBook()
    items = [copy.deepcopy(product.item) | {"id": f"demo_{n:08}"} for n in range(50)]
    assert [book.findings(item, "x") for item in items] == [[]] * 50
    assert len(calls) == len(set(calls))
    items[7]["properties"]["proj:shape"] = [1, "2"]
    assert [finding.rule for finding in book.findings(items[7], "x")] == ["STAC-SCHEMA"]


@given(st.data())
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_remembered_shape_never_hides_an_error_of_a_real_item(product, data):
    book = SchemaBook()
    assert book.findings(product.item, "x") == []
    item = copy.deepcopy(product.item)
    place = data.draw(
        st.sampled_from([item, item["properties"], item["assets"]["sst"], item["assets"]["sst"]["bands"][0]])
    )
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(JSON)
    if item.get("type") == "Feature":
        assert bool(book.findings(item, "x")) == bool(SchemaBook().findings(item, "x"))
