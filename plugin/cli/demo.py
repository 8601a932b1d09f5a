"""`demo`: a whole installation in a folder of its own, from a fired trigger to the survey call, in one command."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import click

from plugin.app import Config, Parts
from plugin.cli.own_pages import ask_own, own_request, send_own
from plugin.cli.ports import next_free_port, wait_until_free
from plugin.cli.receipt_text import receipt_lines
from plugin.cli.session import configuration, open_for_command
from plugin.cli.supervise import lifeline, start_child, stop_on_signals
from plugin.cli.tenants import make_link, source_urls
from plugin.errors import OutboundFailed, SurveyPluginError
from plugin.sandbox.samples import DEMO_SOURCES, Sample, demo_tenant_yaml, sample_triggers
from plugin.sandbox.server import Sandbox
from plugin.store import receipts, tenants
from plugin.store.schema import migrate
from plugin.tenant_file import apply_configuration, check_document, read_document

_TENANT: Final = "demo"
#: What the serving program says, in the demo's folder.
_LOG: Final = "serve.log"
#: How long the pages may take to come up, and the survey calls to be made, seconds.
_PATIENCE: Final = 60.0


@click.command()
@click.option(
    "--folder", default="var/demo", show_default=True, type=click.Path(file_okay=False), help="Where it lives."
)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port of the pages; the next free one from 8000 when left out."
)
@click.option("--once", is_flag=True, help="End after the receipts instead of serving on.")
def demo(folder: str, port: int | None, once: bool) -> None:
    """Try everything: a sandbox vendor, a demo tenant, sample triggers from a helpdesk, a chat and a CRM."""
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    if port is None:
        port = next_free_port(8000)
    else:
        wait_until_free("127.0.0.1", port, patience=0)
    with _alone_in(home), ExitStack() as stack:
        sandbox = _start_vendor(avoid=port)
        stack.callback(sandbox.stop)
        _say(f"1. A pretend survey vendor answers at {sandbox.origin}")
        _live_by(_environment(home, port, sandbox.origin))
        opened = open_for_command(configuration())
        migrate(opened.database)
        proofs = {name: secrets.token_urlsafe(24) for name in DEMO_SOURCES}
        _apply(opened, demo_tenant_yaml(sandbox.origin, proofs), sandbox.origin)
        _say(f"2. Tenant “{_TENANT}” is set up: three sources, two connections, a few rules")
        with _serving(home, port) as process:
            _wait_for_pages(opened.config, process, home)
            _say(f"3. survey-plugin serves {opened.config.base_url}")
            _fire(opened, proofs)
            link = make_link(opened, _TENANT, hours=24, role="admin")
            _say("Settings of the demo tenant; open this config link in a browser:", f"   {link}")
            _say("What the pretend vendor received:", f"   {sandbox.origin}/")
            if not once:
                _say("It keeps serving. Ctrl-C ends it.")
                _wait_for_stop(process, home)


@contextmanager
def _alone_in(home: Path) -> Iterator[None]:
    """Keep a second demo out of the folder: its worker could not reach the first one's pretend vendor."""
    with (home / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SurveyPluginError(
                f"A demo is running in {home} already; end it, or choose another --folder."
            ) from None
        yield


def _start_vendor(*, avoid: int) -> Sandbox:
    """A sandbox at the first port from 9000 on that can be had; not at `avoid`, where the pages are going to be."""
    for port in range(9000, 9200):
        if port != avoid:
            sandbox = Sandbox(port=port)
            with suppress(OSError):
                sandbox.start()
                return sandbox
    raise SurveyPluginError("There is no free port among those from 9000 to 9199.")


def _environment(home: Path, port: int, sandbox_origin: str) -> dict[str, str]:
    """The demo lives by settings of its own, whatever the person's environment says."""
    return {
        "DATABASE_URL": f"sqlite:///{home / 'demo.db'}",
        "BASE_URL": f"http://127.0.0.1:{port}",
        "EXTRA_VENDOR_ORIGINS": sandbox_origin,
        "SECRET_KEYS": "",
        "DATA_KEYS": "",
        "OUTBOUND_PROXY": "",
        "EXTRA_CA_FILE": "",
    }


def _live_by(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        os.environ[name] = value
        os.environ.pop(f"{name}_FILE", None)


def _apply(opened: Parts, text: str, sandbox_origin: str) -> None:
    checked = check_document(read_document(text), extra_origins=[sandbox_origin])
    with opened.database.write() as db:
        apply_configuration(db, opened.vault, opened.mint, checked, saved_by="demo")


@contextmanager
def _serving(home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`serve` as a child that ends with this process, however it ends."""
    with lifeline() as descriptor, (home / _LOG).open("wb") as log:
        process = start_child(["serve", "--port", str(port)], descriptor, log=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def _fire(opened: Parts, proofs: Mapping[str, str]) -> None:
    """Send each sample as its system would, and print what became of it."""
    urls = source_urls(opened, _TENANT)
    samples = sample_triggers(opened.mint.now(), lambda: secrets.token_hex(8))
    for number, sample in enumerate(samples, 1):
        _say(f"Trigger {number}: {sample.title} ({sample.source_kind})")
        proof = _proof(sample, proofs[sample.source], opened.mint.now())
        headers = tuple({**sample.headers, **proof}.items())
        answer = send_own(own_request(urls[sample.source], json=json.loads(sample.body), headers=headers))
        if answer.status != HTTPStatus.ACCEPTED:
            raise SurveyPluginError(f"The trigger was answered {answer.status}: {answer.text[:300]}")
        for line in receipt_lines(_settled_receipt(opened, str(answer.json_object["receipt"]))):
            click.echo(f"   {line}")


def _proof(sample: Sample, secret: str, now: datetime) -> dict[str, str]:
    """The headers that prove a sample's sender, in its own way."""
    if sample.source_kind == "zendesk":
        timestamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        signed = hmac.new(secret.encode(), timestamp.encode() + sample.body, hashlib.sha256).digest()
        return {
            "X-Zendesk-Webhook-Signature": base64.b64encode(signed).decode(),
            "X-Zendesk-Webhook-Signature-Timestamp": timestamp,
        }
    if sample.source == "chat":
        timestamp = str(int(now.timestamp()))
        message = timestamp.encode() + b"." + sample.body
        signature = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
        return {"X-Timestamp": timestamp, "X-Signature": signature}
    return {"Authorization": f"Bearer {secret}"}


def _settled_receipt(opened: Parts, receipt_id: str) -> receipts.Receipt:
    """The receipt once nothing of it is under way any more."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        with opened.database.read() as db:
            owner = tenants.tenant_by_slug(db, _TENANT)
            receipt = receipts.receipt(db, owner.id, receipt_id)
        if receipt is not None:
            waiting = [d for event in receipt.events for d in event.deliveries if d.state in {"scheduled", "claimed"}]
            if not waiting:
                return receipt
        if time.monotonic() > deadline:
            raise SurveyPluginError(f"Receipt {receipt_id} was not settled within {_PATIENCE:.0f} s.")
        time.sleep(0.05)


def _wait_for_pages(config: Config, process: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SurveyPluginError(f"serve ended with code {process.returncode}; {home / _LOG} says why.")
        try:
            if ask_own(config, "readyz").status == HTTPStatus.OK:
                return
        except OutboundFailed:
            time.sleep(0.1)
    raise SurveyPluginError(f"The pages did not come up at {config.base_url} within {_PATIENCE:.0f} s.")


def _wait_for_stop(process: subprocess.Popen[bytes], home: Path) -> None:
    stop = stop_on_signals()
    while not stop.wait(0.5):
        if process.poll() is not None:
            raise SurveyPluginError(f"serve ended with code {process.returncode}; {home / _LOG} says why.")


def _say(*lines: Any) -> None:
    click.echo()
    for line in lines:
        click.echo(line)


COMMANDS: Sequence[click.Command] = (demo,)
