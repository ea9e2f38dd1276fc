"""Bodies of requests that no well-meaning client sends."""

import functools
import json
import random
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Each stands for the field that holds the items of a question.
NASTY = [
    b"", b"{", b"null", b"[]", b"{}", b'"a"', b"1e999", b"-0", b"\x00", b"\xff\xfe", b"{}{}", b'{"FIELD"}',
    b'{"FIELD":}',
    b'{"FIELD": NaN}', b'{"FIELD": [Infinity]}', b'{"FIELD": ["\\ud800"]}', b'{"\\ud800": 1}', b'{"FIELD": [["a"]]}',
    b'{"FIELD": ["a"], "FIELD": ["b"]}', b'{"FIELD": ["a"]}x', b'{"FIELD": ["a",]}', b"{'FIELD': ['a']}",
    b'{"FIELD": ["' + b"\\u0000" * 1_000 + b'"]}', b'{"FIELD": ["' + b"=cmd|' /C calc'!A0" + b'"]}',
    b'{"FIELD": ["<script>alert(1)</script>", "../../etc/passwd", "\\u202e\\u0007"]}', b"9" * 10_000,
    b'{"FIELD": ["\xed\xa0\x80"]}', b'{"FIELD": ["\xf5\x80\x80\x80"]}',
    '{"FIELD": ["a"]}'.encode("utf-16"), '{"FIELD": ["a"]}'.encode("utf-32"), b'\xef\xbb\xbf{"FIELD": ["a"]}',
    json.dumps({"FIELD": ["a"] * 51}).encode(), json.dumps({"FIELD": [""] * 50}).encode(), b'{"FIELD": [1e400]}',
    b'{"FIELD": [' + b"1" * 4_301 + b"]}", b'{"__proto__": {"FIELD": ["a"]}}', b'{"FIELD": {"0": "a", "length": 1}}',
    json.dumps({"FIELD": ["e" + "\u0301" * 5_000, "\U0010ffff", "\ufdd0", "\u2028"]}).encode(),
    b'{"FIELD": ' + b"[" * 100_000, b'{"a":' * 20_000, b'{"FIELD": ["' + b"." * 900_000 + b'"]}',
    b'{"FIELD": ["' + b"a " * 400_000 + b'"]}',
    b'{"FIELD": [{"time": 1e999}]}', b'{"FIELD": [{"": ""}, {}]}', b'{"FIELD": [{"a": 1, "a": 2}]}',
    json.dumps({"FIELD": [{f"c{number}": 1} for number in range(2_000)]}).encode(),
]  # fmt: skip
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["FIELD", "a"]) | st.text(), inner),
    max_leaves=8,
)
LIKE_A_QUESTION = st.fixed_dictionaries(
    {"FIELD": st.lists(st.text(st.characters(), max_size=20), max_size=4) | st.lists(ANY_JSON, max_size=3)},
    optional={"model": ANY_JSON},
)


def mutated(body: bytes, at: int, change: bytes) -> bytes:
    position = at % (len(body) + 1)
    return body[:position] + change + body[position + len(change) // 2 :]


@functools.cache
def drawn_bodies(number: int) -> tuple[bytes, ...]:
    bodies: list[bytes] = []
    rules = settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))

    @rules
    @given(
        st.binary(max_size=200)
        | ANY_JSON.map(lambda value: json.dumps(value).encode())
        | LIKE_A_QUESTION.map(lambda value: json.dumps(value).encode())
    )
    def keep(body: bytes) -> None:
        bodies.append(body)

    keep()
    return tuple(bodies)


def hostile_bodies(number: int, field: str, sound: Sequence[str] = ()) -> list[bytes]:
    """Nasty ones, ones that are drawn, `sound` ones, and for the rest the latter two again, damaged."""
    draw = random.Random(6)
    nasty, drawn = (
        [body.replace(b"FIELD", field.encode()) for body in bodies] for bodies in (NASTY, drawn_bodies(number // 4))
    )
    drawn += [body.encode() for body in sound]
    damaged = [
        mutated(draw.choice(drawn), draw.randrange(10_000), draw.randbytes(draw.randrange(5)))
        for _ in range(number - len(drawn))
    ]
    return nasty + drawn + damaged
