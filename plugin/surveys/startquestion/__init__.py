"""Startquestion and its sister brands (Webankieta, Netquest): webhooks of one platform. The body's `type` decides.

Pages on the webhooks, beside those that `calls` names for each step:
https://sprievodca.netquest.sk/api-dokumentace/pouziti-webhook-pro-rozesilani-pozvanek-k-pruzkumu/ (inviting, Slovak),
https://pomoc.webankieta.pl/pl/articles/5051548 (inviting a token, Polish),
https://pruvodce.netquest.cz/api-dokumentace/pouziti-webhook-pro-odeslani-pozvanky-stavajicimu-respondentovi/ (Czech),
https://pruvodce.netquest.cz/api-dokumentace/pouziti-webhook-pro-pridani-respondenta-do-databaze-prijemcu/ (adding),
https://pruvodce.netquest.cz/api-dokumentace/pouziti-webhook-pro-zkraceni-odkazu-na-pruzkum/ (shortening).
"""

from __future__ import annotations

from typing import Final

from plugin.surveys.base import Vendor
from plugin.surveys.startquestion.answers import read_response
from plugin.surveys.startquestion.brands import BRANDS, ORIGINS, Connection
from plugin.surveys.startquestion.calls import CALLS, build_request, check
from plugin.surveys.startquestion.lists import LISTS
from plugin.surveys.startquestion.pasted import recognise_url

__all__ = ["BRANDS", "LISTS", "VENDOR", "Connection", "build_request", "check", "read_response", "recognise_url"]

VENDOR: Final = Vendor(title="Startquestion, Webankieta, Netquest", connection=Connection, origins=ORIGINS, calls=CALLS)
