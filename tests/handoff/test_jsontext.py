from __future__ import annotations

import difflib
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthcode_pack.catalogs.osc.json_edit import edit_json

LINK = {"rel": "child", "href": "../../products/new/collection.json", "title": "Neu & schön"}
_PLAIN = """{
  "a": 1.0,
  "links": [
    {
      "rel": "x",
      "href": "y"
    }
  ],
  "t": "é"
}"""
FORMS = {
    "two spaces, no final newline": _PLAIN,
    "tabs": _PLAIN.replace("  ", "\t") + "\n",
    "crlf": _PLAIN.replace("  ", "    ").replace("\n", "\r\n") + "\r\n",
    "escapes": _PLAIN.replace("é", "caf\\u00e9 \\/ \\u2013"),
    "bracket and brace on one line": '{\n  "links": [{\n    "rel": "x"\n  }, {\n    "rel": "z"\n  }]\n}\n',
    "blanks behind the brace, blank lines": _PLAIN.replace("    }", "    }  \n").replace("[\n", "[\n\n") + "\n\n",
    "links on one line each": '{\n  "links": [\n    {"rel": "x", "href": "y"}\n  ]\n}\n',
}


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_a_link_appended_adds_lines_and_removes_none(text: str) -> None:
    new = json.loads(text)
    new["links"].append(LINK)
    edited = edit_json(text, new)
    assert json.loads(edited) == new
    if "}, {" not in text and '{"rel"' not in text:  # there the comma must join a line that is not a brace alone
        assert not [line for line in difflib.ndiff(_lines(text), _lines(edited)) if line.startswith("- ")]
    assert edited.endswith(text[-6:])
    assert ("\r\n" in text) == ("\r\n" in edited)
    assert edited.count("\n") - edited.count("\r\n") == (0 if "\r\n" in text else edited.count("\n"))


def test_the_inserted_link_takes_the_indentation_of_its_neighbour() -> None:
    new = json.loads(FORMS["tabs"])
    new["links"].append({"rel": "n", "href": "m"})
    inserted = ',\n\t\t{\n\t\t\t"rel": "n",\n\t\t\t"href": "m"\n\t\t}\n\t]'
    assert edit_json(FORMS["tabs"], new) == FORMS["tabs"].replace("\n\t]", inserted)


def test_files_that_escape_get_escapes() -> None:
    text = FORMS["escapes"]
    new = json.loads(text)
    new["links"].append(LINK)
    edited = edit_json(text, new)
    assert '"Neu & sch\\u00f6n"' in edited
    assert "caf\\u00e9 \\/ \\u2013" in edited


def test_one_line_per_link_stays_one_line_per_link() -> None:
    text = FORMS["links on one line each"]
    new = json.loads(text)
    new["links"].append({"rel": "n", "href": "m"})
    assert '    {"rel": "x", "href": "y"},\n    {"rel": "n", "href": "m"}\n  ]' in edit_json(text, new)


def test_a_title_changes_in_its_place_alone() -> None:
    text = FORMS["blanks behind the brace, blank lines"].replace('"y"', '"y", "title": "old"')
    new = json.loads(text)
    new["links"][0]["title"] = "new"
    assert edit_json(text, new) == text.replace('"old"', '"new"')


def test_an_element_in_the_middle_goes_without_trace() -> None:
    text = '{"a": [\n  1,\n  2,\n  3\n]}'
    assert edit_json(text, {"a": [1, 3]}) == '{"a": [\n  1,\n  3\n]}'
    assert edit_json(text, {"a": [1, 2]}) == '{"a": [\n  1,\n  2\n]}'
    assert edit_json(text, {"a": []}) == '{"a": []}'


def test_an_empty_array_is_filled_at_the_indentation_of_its_file() -> None:
    assert edit_json('{\n    "a": []\n}\n', {"a": [1]}) == '{\n    "a": [\n        1\n    ]\n}\n'


def test_true_is_not_one_and_a_float_keeps_its_zeros() -> None:
    assert edit_json('{"a": 1, "b": 180.00}', {"a": True, "b": 180}) == '{"a": true, "b": 180.00}'


def test_of_a_key_written_twice_the_last_counts() -> None:
    assert edit_json('{"a": 1, "a": 2}', {"a": 3}) == '{"a": 1, "a": 3}'


def test_a_byte_order_mark_stays() -> None:
    assert edit_json('\ufeff{"a": 1}', {"a": 2}) == '\ufeff{"a": 2}'


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcdhref"), inner, max_size=4),
    max_leaves=12,
)


def _exact(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@settings(deadline=None)
@given(_JSON, _JSON, st.sampled_from([None, 1, 4, "\t"]), st.booleans())
def test_whatever_the_edit_the_text_says_the_new_and_the_same_again_changes_nothing(
    old: Any, new: Any, indent: Any, crlf: bool
) -> None:
    text = json.dumps(old, indent=indent)
    text = text.replace("\n", "\r\n") if crlf else text
    assert edit_json(text, old) == text
    edited = edit_json(text, new)
    assert _exact(json.loads(edited)) == _exact(new)
    assert edit_json(edited, new) == edited
