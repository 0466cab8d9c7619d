"""What wrk prints is read with its units."""

from __future__ import annotations

import pytest

from benchmarks.load import Load, parse
from benchmarks.processes import BenchError

PRINTED = """
  Latency Distribution
     50%   19.21ms
     75%   24.00ms
     90%   30.11ms
     99%    1.02s
  9637 requests in 4.00s, 2.11MB read
{extra}Requests/sec:   2409.25
Transfer/sec:    540.11KB
"""


def test_rates_and_percentiles_are_read_in_one_unit() -> None:
    assert parse(PRINTED.format(extra="")) == Load(2409.25, 19.21, 1020.0, 0)


def test_refused_requests_and_socket_errors_are_errors() -> None:
    extra = (
        "  Socket errors: connect 0, read 2, write 0, timeout 1\n  Non-2xx or 3xx responses: 7\n"
    )
    assert parse(PRINTED.format(extra=extra)).errors == 10


def test_anything_else_is_no_figure() -> None:
    with pytest.raises(BenchError, match="something else"):
        parse("unable to connect")
