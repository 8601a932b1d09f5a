"""A source's address. The answer never waits for a vendor, and never tells more than the sender has to know.

In this order: 413 too large, 404 unknown key, 429 too many, 401 not proven, 400 proven but unreadable, 202 stored.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

import structlog
from flask import Blueprint, Response, g, jsonify, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from plugin.errors import SignatureInvalid, SourceGone, SurveyPluginError, TooMany
from plugin.pipeline.accept import UnreadableKept
from plugin.registry import InboundRequest
from plugin.store.sources import StoredSource
from plugin.web.counting import count_trigger
from plugin.web.desk import desk

#: The largest body that is read, bytes.
LARGEST_BODY: Final = 1024 * 1024
#: What a sender is told to wait when nothing was stored, seconds.
RETRY_AFTER: Final = 30

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{16,128}")

log = structlog.get_logger()

blueprint = Blueprint("receive", __name__)
blueprint.after_request(count_trigger)


@blueprint.route("/triggers/<key>", methods=["GET", "POST", "PUT"])
def trigger(key: str) -> Response | tuple[Response, int]:
    """Take one trigger. HEAD comes here as GET."""
    # Read before anything is looked up, so that an oversized body is 413 whatever else is wrong with it.
    body = _body()
    is_trial = request.method == "HEAD" or (request.method == "GET" and not request.query_string)
    source = desk().acceptor.source_for(key, fresh=is_trial) if _KEY.fullmatch(key) else None
    if source is None:
        return _no_such_address()
    g.source_kind = source.kind
    if is_trial:
        # Helpdesks and people try an address this way before they use it.
        return jsonify(status="This address is ready to receive triggers."), HTTPStatus.OK
    return _take(key, source, body)


def _body() -> bytes:
    """The whole body. Raises RequestEntityTooLarge and ClientDisconnected; never gives a part of it."""
    # Of a body without a declared length werkzeug gives as much as the limit allows, and does not say that it was cut.
    request.max_content_length = LARGEST_BODY + 1
    body = request.get_data(cache=False)
    if len(body) > LARGEST_BODY:
        raise RequestEntityTooLarge
    if len(body) < (request.content_length or 0):
        raise ClientDisconnected
    return body


def _take(key: str, source: StoredSource, body: bytes) -> Response | tuple[Response, int]:
    acceptor = desk().acceptor
    query = request.query_string.decode("utf-8", "replace")
    inbound = InboundRequest(
        method=request.method,
        query=query,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        url=f"{desk().trigger_url(key)}{'?' if query else ''}{query}",
    )
    try:
        g.acceptance = acceptance = acceptor.accept(source, inbound, key=key)
    except TooMany as error:
        acceptor.note_refusal(source, HTTPStatus.TOO_MANY_REQUESTS)
        return _again_later(str(error), HTTPStatus.TOO_MANY_REQUESTS)
    except SignatureInvalid:
        acceptor.note_refusal(source, HTTPStatus.UNAUTHORIZED)
        return jsonify(error="The request does not prove who sent it."), HTTPStatus.UNAUTHORIZED
    except SourceGone:
        return _no_such_address()
    except UnreadableKept as error:
        return jsonify(error=str(error), receipt=error.receipt), HTTPStatus.BAD_REQUEST
    if acceptance.answer is not None:
        own = acceptance.answer
        return Response(own.body, status=own.status, content_type=own.content_type)
    return jsonify(acceptance.as_json()), HTTPStatus.ACCEPTED


@blueprint.errorhandler(SurveyPluginError)
def not_stored(error: SurveyPluginError) -> tuple[Response, int]:
    """The store is away, or the installation has a fault: the sender comes again, and the operator may mend it."""
    log.error("trigger not stored", detail=str(error))
    return _again_later("Nothing could be stored just now; send it again.", HTTPStatus.SERVICE_UNAVAILABLE)


def _no_such_address() -> tuple[Response, int]:
    return jsonify(error="There is no such address."), HTTPStatus.NOT_FOUND


def _again_later(sentence: str, status: int) -> tuple[Response, int]:
    answer = jsonify(error=sentence)
    answer.headers["Retry-After"] = str(RETRY_AFTER)
    return answer, status


@blueprint.errorhandler(RequestEntityTooLarge)
def too_large(_error: RequestEntityTooLarge) -> tuple[Response, int]:
    return jsonify(error=f"The body is larger than {LARGEST_BODY} bytes."), HTTPStatus.REQUEST_ENTITY_TOO_LARGE
