"""What the agent that holds an execution reports; the claim token is the only authority."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
from flask import Blueprint, Response, request

from agent import wire
from control.api.agents import secret_of, world
from control.api.wiring import message_of, wire_answer
from control.database.rows import AnyRow
from control.domain.errors import Fenced, Invalid
from control.domain.ports import TailBlock
from control.services import attempts, claims

blueprint = Blueprint("attempts", __name__, url_prefix="/api/v0/attempts")


def held(attempt_id: str, *, ended_too: bool = False) -> AnyRow:
    """The attempt in the path, if the claim token is its own and it still holds."""
    row = attempts.find(world(), secret_of("Claim"), ended_too=ended_too)
    if row.attempt_id != attempt_id:
        raise Fenced
    return row


@blueprint.post("/<attempt_id>/phases/")
def phases(attempt_id: str) -> Response:
    """Record phases."""
    message = message_of(wire.PhaseReports)
    row = held(attempt_id)
    return wire_answer(attempts.report_phases(world(), row, message.reports, datetime.now(UTC)))


@blueprint.post("/<attempt_id>/log/")
def log(attempt_id: str) -> Response:
    """Append a log block."""
    try:
        first, count = int(request.args["first"]), int(request.args["count"])
    except (KeyError, ValueError) as error:
        raise Invalid.one("first", "`first` and `count` are whole numbers.") from error
    row = held(attempt_id)
    block = TailBlock(first, count, request.get_data())
    return wire_answer(attempts.append_log(world(), row, block))


@blueprint.post("/<attempt_id>/metadata/")
def metadata(attempt_id: str) -> Response:
    """Keep metadata points."""
    report = message_of(wire.MetadataReport)
    row = held(attempt_id)
    now = datetime.now(UTC)
    return wire_answer(attempts.report_metadata(world(), row, report.points, now))


@blueprint.post("/<attempt_id>/inputs/")
def inputs(attempt_id: str) -> Response:
    """Sign the inputs anew."""
    row = held(attempt_id)
    fresh = claims.fresh_inputs(world(), row)
    return wire_answer({"inputs": [wire.encode(one) for one in fresh]})


@blueprint.post("/<attempt_id>/outputs/")
def outputs(attempt_id: str) -> Response:
    """Promise datums and sign their uploads."""
    offer = message_of(wire.OutputsOffer)
    row = held(attempt_id)
    uploads = attempts.offer_outputs(world(), row, offer.files, datetime.now(UTC))
    return wire_answer({"uploads": [wire.encode(one) for one in uploads]})


@blueprint.post("/<attempt_id>/outputs/<datum_id>/")
def output(attempt_id: str, datum_id: str) -> Response:
    """Make a datum real."""
    message = message_of(wire.OutputStored)
    row = held(attempt_id)
    now = datetime.now(UTC)
    return wire_answer(attempts.output_stored(world(), row, datum_id, message, now))


@blueprint.post("/<attempt_id>/status-detail/")
def status_detail(attempt_id: str) -> Response:
    """Keep what the step says of itself."""
    try:
        text = str(orjson.loads(request.get_data())["status_detail"])
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid.one("status_detail", "This field is required.", "required") from error
    row = held(attempt_id)
    return wire_answer(attempts.set_status_detail(world(), row, text, datetime.now(UTC)))


@blueprint.post("/<attempt_id>/finish/")
def finish(attempt_id: str) -> Response:
    """End the attempt."""
    message = message_of(wire.Finish)
    row = held(attempt_id, ended_too=True)
    return wire_answer(attempts.finish(world(), row, message, datetime.now(UTC)))
