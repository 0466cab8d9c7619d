"""Makes the first account and keeps a token for it in the data directory."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from runner.client import Client
from runner.failure import WRONG_USE, Failure
from runner.server import talkoot
from runner.terminal import Terminal

ACCOUNT = "admin"


def sign_in(
    address: str, data: Path, check_alive: Callable[[], None], terminal: Terminal
) -> Client:
    """Use the token kept in the data directory, or make the first account and a token for it."""
    kept = data / "example" / "account.json"
    if kept.exists():
        client = Client(address, json.loads(kept.read_text())["token"], check_alive)
        if client.knows_us():
            return client
    terminal.status("Making the first account")
    account = _make_account(data)
    client = Client(address, account["token"], check_alive)
    if not client.knows_us():
        raise foreign_server(address, data)
    write_secret(kept, json.dumps(account, indent=2))
    terminal.done(f"Account {ACCOUNT} is made; its password and a token lie in {kept}")
    return client


def foreign_server(address: str, data: Path) -> Failure:
    return Failure(
        f"The server at {address} does not use {data}: stop it, or choose its data directory "
        "with --data or another port with --port.",
        status=WRONG_USE,
    )


def _make_account(data: Path) -> dict[str, str]:
    """Answer name, password and token; no password when the account was there before."""
    account = {"username": ACCOUNT, "password": secrets.token_urlsafe(16)}
    try:
        talkoot(
            *("admin", "user", "add", ACCOUNT, "--admin", "--password-stdin"),
            data=data,
            typed=account["password"] + "\n",
        )
    except Failure as failure:
        # An earlier run made it and lost its file: a new token is enough.
        if not any("exists" in line or "taken" in line for line in failure.details):
            raise
        del account["password"]
    account["token"] = talkoot("admin", "token", "add", ACCOUNT, data=data).split()[-1]
    return account


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
