"""The provider plug-in `aws`: Pulumi's gRPC service over the fake account.

Not on `pulumi.provider.experimental`: it lacks Handshake and Attach, and its DiffConfig says that
nothing changed when something did (infrastructure.md 5.3).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from tests.engines.aws.provider import checks, functions, shapes
from tests.engines.aws.provider.account import Account, Refused, words
from tests.engines.aws.provider.kinds import KINDS, Change, Kind, Values

_log = logging.getLogger(__name__)
_DIFF = provider_pb2.DiffResponse


def _plain(value: Any) -> Any:
    """Read protobuf's values: whole doubles are integers again."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def read(struct: struct_pb2.Struct) -> Values:
    return _plain(json_format.MessageToDict(struct))


def write(values: Mapping[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    given = {key: value for key, value in values.items() if value is not None}
    json_format.ParseDict(json.loads(json.dumps(given, default=str)), made)
    return made


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One configured provider."""

    def __init__(self) -> None:
        self.aws = Account("us-east-1")
        self.default_tags: Mapping[str, str] = {}

    # -- the plug-in itself ----------------------------------------------------------------------
    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=shapes.SDK_VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:
        schema = json.dumps({"name": "aws", "version": shapes.SDK_VERSION})
        return provider_pb2.GetSchemaResponse(schema=schema)

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        old, new = read(request.olds), read(request.news)
        keys = checks.changed(old, new, [])
        if not keys:
            return _DIFF(changes=_DIFF.DIFF_NONE)
        replaces = ["region"] if "region" in keys else []
        return _DIFF(changes=_DIFF.DIFF_SOME, replaces=replaces, diffs=sorted(keys))

    def Configure(self, request: Any, context: Any) -> Any:
        given = {key.removeprefix("aws:config:"): text for key, text in request.variables.items()}
        self.aws = Account(given.get("region") or "us-east-1")
        tags = json.loads(given.get("defaultTags") or "{}")
        self.default_tags = tags.get("tags") or {}
        if given.get("skipCredentialsValidation") != "true":
            self._check_account(json.loads(given.get("allowedAccountIds") or "[]"), context)
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def _check_account(self, allowed: list[str], context: Any) -> None:
        try:
            account = self.aws("sts").get_caller_identity()["Account"]
        except (ClientError, BotoCoreError) as error:
            said = words("retrieving caller identity from", "STS", self.aws.region, error)
            told = f"unable to validate AWS credentials.\nDetails: {said}"
            context.abort(grpc.StatusCode.UNAUTHENTICATED, told)
            raise
        if allowed and account not in allowed:
            told = f"AWS account ID not allowed: {account}"
            context.abort(grpc.StatusCode.PERMISSION_DENIED, told)

    def Cancel(self, request: Any, context: Any) -> Any:
        self.aws.is_cancelled.set()
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        function = functions.FUNCTIONS.get(request.tok)
        if function is None:
            told = f"the fake AWS provider has no function {request.tok}"
            context.abort(grpc.StatusCode.UNIMPLEMENTED, told)
            raise NotImplementedError(told)
        try:
            answer = function(self.aws, read(request.args))
        except (ClientError, BotoCoreError, Refused) as error:
            context.abort(grpc.StatusCode.UNKNOWN, words("invoking", request.tok, "", error))
            raise
        made = provider_pb2.InvokeResponse()
        getattr(made, "return").CopyFrom(write(answer))
        return made

    # -- resources ------------------------------------------------------------------------------
    def Check(self, request: Any, context: Any) -> Any:
        found = self._kind(request.type, context)
        inputs = checks.complete(
            found, request, read(request.olds), read(request.news), self.default_tags
        )
        failures = [
            provider_pb2.CheckFailure(property=path, reason=reason)
            for path, reason in shapes.faults(shapes.of(request.type)["inputs"], inputs)
        ]
        return provider_pb2.CheckResponse(inputs=write(inputs), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        found = self._kind(request.type, context)
        old, new = read(request.old_inputs), read(request.news)
        keys = checks.changed(old, new, list(request.ignoreChanges))
        if not keys:
            return _DIFF(changes=_DIFF.DIFF_NONE)
        replaces = sorted(keys & found.replaces)
        made = _DIFF(
            changes=_DIFF.DIFF_SOME,
            diffs=sorted(keys),
            replaces=replaces,
            deleteBeforeReplace=False,
            hasDetailedDiff=True,
        )
        for key in keys:
            how = "ADD" if key not in old else "DELETE" if key not in new else "UPDATE"
            how += "_REPLACE" if key in replaces else ""
            made.detailedDiff[key].kind = provider_pb2.PropertyDiff.Kind.Value(how)
            made.detailedDiff[key].inputDiff = True
        return made

    def Create(self, request: Any, context: Any) -> Any:
        found, inputs = self._kind(request.type, context), read(request.properties)
        if request.preview:
            unknown = checks.unknown_outputs(request.type, inputs)
            return provider_pb2.CreateResponse(properties=write({**inputs, **unknown}))
        with _Telling(context, "creating", found, request.name):
            self.aws.step(request.type, "create")
            id_, outputs = found.create(self.aws, inputs)
        return provider_pb2.CreateResponse(id=id_, properties=write({**inputs, **outputs}))

    def Read(self, request: Any, context: Any) -> Any:
        found = self._kind(request.type, context)
        state, inputs = read(request.properties), read(request.inputs)
        with _Telling(context, "reading", found, request.id):
            self.aws.step(request.type, "read")
            seen = found.read(self.aws, request.id, state or inputs)
        if seen is None:
            return provider_pb2.ReadResponse()
        now = {key: seen.get(key, value) for key, value in inputs.items()}
        return provider_pb2.ReadResponse(
            id=request.id, properties=write({**state, **seen}), inputs=write(now)
        )

    def Update(self, request: Any, context: Any) -> Any:
        found = self._kind(request.type, context)
        old, new, state = read(request.old_inputs), read(request.news), read(request.olds)
        keys = checks.changed(old, new, list(request.ignoreChanges))
        kept = {key: value for key, value in state.items() if key not in old}
        if request.preview:
            unknown = dict.fromkeys(found.moved, shapes.UNKNOWN)
            return provider_pb2.UpdateResponse(properties=write({**kept, **new, **unknown}))
        with _Telling(context, "updating", found, request.id):
            self.aws.step(request.type, "update")
            outputs = found.update(self.aws, request.id, Change(old, new, frozenset(keys)))
        return provider_pb2.UpdateResponse(properties=write({**kept, **new, **outputs}))

    def Delete(self, request: Any, context: Any) -> Any:
        found = self._kind(request.type, context)
        with _Telling(context, "deleting", found, request.id):
            self.aws.step(request.type, "delete")
            found.delete(self.aws, request.id, read(request.properties))
        return empty_pb2.Empty()

    def _kind(self, token: str, context: Any) -> Kind:
        if token not in KINDS:
            told = f"the fake AWS provider has no type {token}"
            context.abort(grpc.StatusCode.UNIMPLEMENTED, told)
        return KINDS[token]


class _Telling:
    """Turns what the cloud refuses into the error that the engine shows."""

    def __init__(self, context: Any, verb: str, found: Kind, name: str) -> None:
        self.context, self.verb, self.found, self.name = context, verb, found, name

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception):
            if not isinstance(error, ClientError | BotoCoreError | Refused):
                _log.error("%s %s", self.verb, self.found.token, exc_info=error)
            told = words(self.verb, self.found.title, self.name, error)
            self.context.abort(grpc.StatusCode.UNKNOWN, told)
