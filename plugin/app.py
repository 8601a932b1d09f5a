"""Puts the parts together: the one place that knows all of them. Importing builds nothing."""

from __future__ import annotations

import logging
import os
import random
import secrets
import socket
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from flask import Flask

from plugin import __version__, registry
from plugin.config import Config, load_config
from plugin.domain.identity import Mint
from plugin.errand_worker import ErrandWorker
from plugin.metrics import Meter, Scrape
from plugin.outbound import Outbound
from plugin.pipeline.accept import Acceptor
from plugin.pipeline.choices import Chooser
from plugin.pipeline.deliver import Deliverer
from plugin.pipeline.errands import Errands
from plugin.pipeline.pending import Planner
from plugin.pipeline.retention import Retention
from plugin.redaction import mask_event
from plugin.signing import LinkSigner
from plugin.store.database import Database
from plugin.store.opening import open_database
from plugin.vault import Vault
from plugin.wake import WakeHint, WakeListener, wake_folder
from plugin.web.app import create_web_app
from plugin.web.desk import Desk
from plugin.worker import Worker

__all__ = [
    "Config",
    "Parts",
    "configure_logging",
    "create_app",
    "open_parts",
    "read_configuration",
    "system_mint",
]


@dataclass(frozen=True)
class Parts:
    """What web, worker and commands share. Made after forking: files and connections belong to one process."""

    config: Config
    database: Database
    vault: Vault
    mint: Mint
    signer: LinkSigner
    acceptor: Acceptor
    meter: Meter
    hint: WakeHint

    def desk(self) -> Desk:
        return Desk(
            database=self.database,
            vault=self.vault,
            mint=self.mint,
            signer=self.signer,
            acceptor=self.acceptor,
            chooser=self.chooser(),
            base_url=self.config.base_url,
            extra_origins=self.config.extra_vendor_origins,
            meter=self.meter,
            scrape=Scrape(self.database, self.mint.now),
            operator_token=self.config.operator_token,
        )

    def deliverer(self, outbound: Outbound) -> Deliverer:
        return Deliverer(outbound, self.vault, self.mint, monotonic=time.monotonic, chance=random.random)

    def chooser(self) -> Chooser:
        return Chooser(self.outbound, self.vault, monotonic=time.monotonic)

    def errand_worker(self, outbound: Outbound) -> ErrandWorker:
        errands = Errands(outbound, self.vault, self.mint, monotonic=time.monotonic, chance=random.random)
        return ErrandWorker(self.database, errands, self.meter, threads=max(self.config.worker_threads // 4, 1))

    def outbound(self) -> Outbound:
        config = self.config
        return Outbound(
            extra_origins=config.extra_vendor_origins,
            proxy=config.outbound_proxy.reveal() if config.outbound_proxy is not None else None,
            ca_file=config.extra_ca_file,
            user_agent=f"survey-plugin/{__version__}",
        )

    def close(self) -> None:
        """Store what was counted and let go of the database."""
        self.meter.close()
        self.hint.close()
        self.database.close()

    def planner(self) -> Planner:
        return Planner(self.database, self.vault, self.mint, monotonic=time.monotonic)

    def retention(self) -> Retention:
        return Retention(self.database, self.mint, days=self.config.retention_days, monotonic=time.monotonic)

    def worker(self, outbound: Outbound) -> Worker:
        name = f"{socket.gethostname()[:60]}-{os.getpid()}-{secrets.token_hex(3)}"
        return Worker(
            self.database,
            self.deliverer(outbound),
            self.errand_worker(outbound),
            self.planner(),
            self.retention(),
            self.mint,
            self.meter,
            WakeListener(wake_folder(self.config.database_url)),
            name=name,
            threads=self.config.worker_threads,
        )


def read_configuration() -> Config:
    """The installation that the environment describes. Raises ConfigInvalid with every problem found."""
    return load_config(secrets.token_bytes)


def system_mint() -> Mint:
    """The machine's clock and randomness."""
    return Mint(lambda: datetime.now(UTC), secrets.token_bytes)


def open_parts(config: Config, mint: Mint | None = None) -> Parts:
    """Everything that commands, web and worker share, for one process."""
    mint = mint or system_mint()
    database = open_database(config.database_url)
    vault = Vault(config.data_key_bytes(), mint.entropy)
    hint = WakeHint(wake_folder(config.database_url))
    return Parts(
        config=config,
        database=database,
        vault=vault,
        mint=mint,
        signer=LinkSigner(config.secret_keys),
        acceptor=Acceptor(database, vault, mint, on_stored=hint.send),
        meter=Meter(database, sources=registry.source_names(), vendors=registry.vendor_names()),
        hint=hint,
    )


def create_app(config: Config | None = None, parts: Parts | None = None) -> Flask:
    """The WSGI application. Reads the environment when it is given nothing. Raises ConfigInvalid."""
    if parts is None:
        config = config or read_configuration()
        configure_logging(config.log_format)
        parts = open_parts(config)
    keys = [key.reveal() for key in parts.config.secret_keys]
    return create_web_app(parts.desk(), signing_keys=keys)


def configure_logging(log_format: str) -> None:
    """One line a log event on standard error, with everything masked that is a secret or an address.

    Logs of libraries go the same way, from warnings on: what they say below that may quote URLs.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask_event,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
