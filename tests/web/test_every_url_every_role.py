"""Every URL that the app has, for everybody who may try it. A new page is in here by itself, or a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.web.installation import CONFIGURATION, OTHER, Installation

#: For programs and for people without a session; everything else is a tenant's.
OPEN = {
    "static", "health.healthz", "health.readyz", "metrics.metrics", "receive.trigger", "config_links.front",
    "config_links.show", "config_links.open_settings", "frames.show", "frames.open_settings",
}  # fmt: skip
#: Of a tenant's pages, those whose URL names nothing: they show each visitor what is his.
WITHOUT_NAMES = {
    "settings.overview.show", "settings.configuration.show", "settings.configuration.edit",
    "settings.configuration.check", "settings.configuration.save", "settings.receipts.find", "settings.leave",
    "settings.pasted.ask_url", "settings.pasted.show", "settings.suppressions.show", "settings.suppressions.change",
}  # fmt: skip
#: Every field that some form has, so that none is refused for the want of one.
FORM = {"base": "1", "text": "tenant: nordic", "again": "yes"}


@dataclass(frozen=True)
class Request:
    endpoint: str
    method: str
    path: str

    def by(self, visitor):
        return visitor.get(self.path) if self.method == "GET" else visitor.post(self.path, FORM)


class Two:
    """Acme, and beside it Nordic, whose pages are asked for; its parts have names that Acme's do not have."""

    def __init__(self, installation):
        self.installation = installation
        self.acme = installation.apply(CONFIGURATION)
        text = OTHER.replace("name: desk", "name: front")
        text = text.replace("name: lab", "name: nordlab").replace("connection: lab", "connection: nordlab")
        installation.apply(text)
        # A second version, so that the number of the first one is known here and not at Acme's.
        installation.apply(text.replace("name: Nordic", "name: Nordic Ltd"))
        self.nordic = installation.apply(text)
        ticket = {"ticket": {"id": "1", "requester": {"email": "nora.berg@example.com"}}}
        self.receipt = installation.send(self.nordic, "front", ticket, token="desk-token").get_json()["receipt"]

    def requests(self) -> Iterator[Request]:
        """Each URL of the app with each of its methods, filled in with what Nordic has."""
        names = {
            "receipt_id": self.receipt,
            "delivery_id": self.installation.delivery(self.nordic, self.receipt).id,
            "version": 2,
            "resolution": "sent",
        }
        urls = self.installation.app.url_map.bind("localhost")
        for rule in urls.map.iter_rules():
            if rule.endpoint not in OPEN:
                name = {"name": "front" if "/sources/" in rule.rule else "nordlab"}
                path = urls.build(rule.endpoint, {key: (names | name)[key] for key in rule.arguments})
                yield from (
                    Request(rule.endpoint, method, path) for method in rule.methods & {"GET", "POST", "PUT", "DELETE"}
                )

    def visitor(self, tenant, role):
        return self.installation.visitor(self.installation.add_link(tenant, role))


@pytest.fixture
def two(tmp_path):
    installation = Installation(tmp_path)
    yield Two(installation)
    installation.close()


def test_there_are_urls_to_try(two):
    found = list(two.requests())

    assert len(found) > 15
    assert {request.endpoint for request in found} > WITHOUT_NAMES


def test_nobody_gets_in_without_a_session(two):
    for request in two.requests():
        answer = two.installation.visitor().client.open(request.path, method=request.method)

        # A form without its hidden field is refused before it is asked who sent it.
        assert answer.status_code == (403 if request.method == "GET" else 400), request
        assert "Nordic" not in answer.text, request


def test_a_good_hidden_field_is_no_session(two):
    link = two.installation.add_link(two.nordic)
    for request in two.requests():
        if request.method != "GET":
            answer = two.installation.visitor().post(request.path, FORM, page=link)

            assert answer.status_code == 403, request


def test_a_viewer_changes_nothing(two):
    for request in two.requests():
        if request.method != "GET":
            answer = request.by(two.visitor(two.nordic, "viewer"))

            assert answer.status_code == (303 if request.endpoint == "settings.leave" else 403), request


@pytest.mark.parametrize(("role", "refusals"), [("admin", {404}), ("viewer", {403, 404})])
def test_nobody_sees_another_tenant(two, role, refusals):
    for request in two.requests():
        answer = request.by(two.visitor(two.acme, role))

        if request.endpoint not in WITHOUT_NAMES:
            assert answer.status_code in refusals, request
        assert "Nordic" not in answer.text, request
        assert "berg@example.com" not in answer.text, request


@pytest.mark.parametrize("role", ["admin", "viewer"])
def test_everybody_reads_his_own_pages(two, role):
    for request in two.requests():
        if request.method == "GET":
            answer = request.by(two.visitor(two.nordic, role))

            asks = request.endpoint.rpartition(".")[2].startswith("ask_")
            assert answer.status_code == (403 if asks and role == "viewer" else 200), request
            assert "Nordic" in answer.text, request
