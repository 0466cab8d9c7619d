"""A bare agent: claims by long poll over one keep-alive connection and runs nothing.

    bare_agent.py CLAIM_PORT API_PORT ENROLMENT_TOKEN

It records the moment at which it holds a claim (benchmarks/peers/record.py, as every peer does),
ends the execution at once and asks for the next. Prints "ready" before its first claim.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from agent import wire
from benchmarks.http_client import Client
from benchmarks.peers import record

CLAIM_WAIT_S = 20.0


def _join(port: int, enrolment_token: str) -> str:
    asked = wire.Join(enrolment_token, "bench", runtime="process", version="bench")
    answer = Client(port).call("POST", "/api/v0/agents/join/", wire.encode(asked))
    return wire.decode(wire.Joined, answer.body).agent_token


def _finish(client: Client, spec: wire.ExecutionSpec) -> None:
    ended = wire.Finish(
        outcome="complete",
        reason="exited",
        sentence="Nothing was to be done.",
        log_last=spec.log_next - 1,
        exit_code=0,
        ended_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f"),
    )
    client.authorization = f"Claim {spec.claim_token}"
    client.call("POST", f"/api/v0/attempts/{spec.attempt_id}/finish/", wire.encode(ended))


def main() -> None:
    """Claim for ever; the bench ends this process."""
    claim_port, api_port, enrolment_token = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    claims = Client(claim_port, f"Agent {_join(api_port, enrolment_token)}")
    reports = Client(api_port)
    wanted = wire.encode(wire.Claim(CLAIM_WAIT_S))
    print("ready", flush=True)
    while True:
        answer = claims.call("POST", "/api/v0/agents/claim/", wanted)
        if answer.status == 204:
            continue
        record.record(0)
        _finish(reports, wire.decode(wire.ExecutionSpec, answer.body))


if __name__ == "__main__":
    main()
