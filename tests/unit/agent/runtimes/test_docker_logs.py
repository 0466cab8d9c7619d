from __future__ import annotations

import json
import struct

import pytest

from agent.phases.failures import PhaseFailed
from agent.runtimes.docker_images import failure_sentence
from agent.runtimes.docker_limits import cpu_limits
from agent.runtimes.docker_logs import Assembler, chunk_of, parse_entry, split_frames

T = "2030-01-02T03:04:05.%sZ"
START = {"at": 0, "open": {}}


def entry(text: str, fraction: str = "123456789", stream: str = "stdout") -> bytes:
    values = {"log": text, "stream": stream, "time": T % fraction}
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def texts(block: bytes) -> list[str]:
    return [one[27:] for one in block.decode().splitlines()]


def test_entries_become_lines_with_rising_times() -> None:
    data = entry("a\n") + entry('<"b\\\n', "123456") + entry("c\n", "1", "stderr") + entry("\n")
    chunk = chunk_of(data, START)
    assert texts(chunk.block) == ["o a", 'o <"b\\', "e c", "o "]
    stamps = [one[:26] for one in chunk.block.decode().splitlines()]
    assert stamps == sorted(set(stamps))
    assert stamps[0] == "2030-01-02T03:04:05.123456"
    assert chunk.position["at"] == len(data)


def test_long_lines_are_joined_over_chunks_and_streams() -> None:
    first = chunk_of(entry("abc") + entry("err\n", stream="stderr"), START)
    assert texts(first.block) == ["e err"]
    kept = json.loads(json.dumps(first.position))
    second = chunk_of(entry("def\n"), kept)
    assert texts(second.block) == ["o abcdef"]
    assert second.position["open"] == {}


def test_a_progress_bar_shows_its_newest_state() -> None:
    chunk = chunk_of(entry("1%\r2%\r3%\n"), START)
    assert texts(chunk.block) == ["o 3%"]


def test_entries_with_attributes_are_read() -> None:
    raw = b'{"log":"a\\n","stream":"stderr","attrs":{"x":"}"},"time":"2030-01-02T03:04:05Z"}'
    assert parse_entry(raw) == (b" e ", b"2030-01-02T03:04:05Z", b"a\n")


def test_frames_are_cut_wherever_the_bytes_were_split() -> None:
    payload = b"2030-01-02T03:04:05.123456789Z hello\n"
    data = b"".join(struct.pack(">BxxxL", one, len(payload)) + payload for one in (1, 2))
    for cut in range(len(data)):
        entries, rest = split_frames(data[:cut])
        more, rest = split_frames(rest + data[cut:])
        assert rest == b""
        assert [letter for letter, _, _ in entries + more] == [b" o ", b" e "]


def test_the_end_gives_the_line_that_has_none() -> None:
    assembler = Assembler({})
    assembler.add(b" o ", b"2030-01-02T03:04:05.1Z", b"no end")
    assembler.end()
    assert texts(assembler.block) == ["o no end"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("manifest for x:y not found: manifest unknown", "no such image or tag"),
        ("pull access denied for x, repository does not exist", "without rights"),
        ("dial tcp: lookup r.example: no such host", "cannot be reached"),
        ("something new", "the engine failed"),
    ],
)
def test_pull_failures_are_said_in_plain_words(text: str, expected: str) -> None:
    assert expected in failure_sentence("x:y", text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("2", {"NanoCpus": 2_000_000_000}),
        ("0.5", {"NanoCpus": 500_000_000}),
        ("0,2,4", {"CpusetCpus": "0,2,4"}),
        ("0-3", {"CpusetCpus": "0-3"}),
    ],
)
def test_the_processor_limit_is_a_number_or_a_list(text: str, expected: dict[str, object]) -> None:
    assert cpu_limits(text) == expected


def test_another_processor_limit_is_refused() -> None:
    with pytest.raises(PhaseFailed, match="VH_CPU_LIMIT"):
        cpu_limits("many")
