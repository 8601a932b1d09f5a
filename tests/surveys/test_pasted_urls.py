"""Every URL that a vendor's own pages show, also as it looks after word processors, mails and hasty hands."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from plugin import registry
from plugin.errors import UrlNotRecognised
from plugin.redaction import Secret
from plugin.surveys.base.pasted import read_pasted_url
from plugin.tenant_file import (
    Imported,
    check_document,
    dump_document,
    empty_document,
    import_url,
    read_document,
    with_variables,
)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "surveys"


@dataclass(frozen=True)
class Example:
    """A URL of a form that one of the vendor's pages shows; call is empty for one that makes a connection alone."""

    vendor: str
    call: str
    source: str
    url: str


EXAMPLES = [
    Example(path.parent.name, **entry)
    for path in sorted(FIXTURES.glob("*/urls.yaml"))
    for entry in yaml.safe_load(path.read_text("utf-8"))
]

#: What can happen to a URL on its way, without any loss of its meaning.
DAMAGES: dict[str, Callable[[str], str]] = {
    "none": lambda url: url,
    "a line end": lambda url: f"  {url}\r\n",
    "typographic quotes": lambda url: f"„{url}”",
    "angle brackets": lambda url: f"<{url}>",
    "back ticks": lambda url: f"`{url}`",
    "a break behind each ampersand": lambda url: url.replace("&", "&\n   "),
    "a break in the middle": lambda url: f"{url[:37]}\r\n{url[37:]}",
    "as in HTML": html.escape,
    "no scheme": lambda url: url.removeprefix("https://"),
    "a host in capitals": lambda url: re.sub(r"//[^/]*", lambda host: host[0].upper(), url),
    "an explicit port": lambda url: re.sub(r"(//[^/]*)", r"\1:443", url),
    "zero-width spaces": lambda url: url.replace("/", "/\u200b").replace("=", "=\u200b"),
    "soft hyphens": lambda url: url.replace("e", "e\u00ad"),
    "a mark of byte order": lambda url: f"\ufeff{url}",
    "encoded braces": lambda url: url.replace("{", "%7B").replace("}", "%7D"),
    "encoded placeholders": lambda url: re.sub(r"\{\{.*?\}\}", lambda found: quote(found[0]), url),
    "spaces in placeholders": lambda url: url.replace("{{", "{{ ").replace("}}", " }}"),
    "spaces as plus in placeholders": lambda url: url.replace("{{", "{{%20").replace("}}", "%20}}"),
    "a fragment": lambda url: f"{url}#section",
    "a slash at the end": lambda url: url if "?" in url else f"{url}/",
    "an ampersand at the end": lambda url: f"{url}&" if "?" in url else url,
    "two ampersands": lambda url: url.replace("&", "&&"),
}


def secrets_of(imported: Imported) -> list[str]:
    return [secret.reveal() for secret in _secrets_in(imported.fragment["connections"][0]["settings"])]


def _secrets_in(value: object) -> Iterator[Secret]:
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _secrets_in(inner)


def is_anywhere(vendor: str) -> bool:
    return registry.vendor(vendor).VENDOR.origins == registry.ANY_PUBLIC_HTTPS


def each(examples: list[Example]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("example", [pytest.param(one, id=f"{one.vendor}-{one.call}") for one in examples])


each_example = each(EXAMPLES)


def test_every_vendor_that_reads_urls_brings_those_of_its_pages() -> None:
    reading = {name for name in registry.vendor_names() if hasattr(registry.vendor(name), "recognise_url")}
    assert {example.vendor for example in EXAMPLES} == reading


@each_example
def test_a_documented_url_becomes_its_call(example: Example) -> None:
    fragment = import_url(example.url).fragment
    assert [one["vendor"] for one in fragment["connections"]] == [example.vendor]
    assert [one["call"] for one in fragment["rules"]] == ([example.call] if example.call else [])


@each_example
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_that_loses_nothing_changes_nothing(example: Example, damage: str) -> None:
    assert import_url(DAMAGES[damage](example.url)).fragment == import_url(example.url).fragment


@each_example
def test_one_vendor_alone_says_that_a_url_is_his(example: Example) -> None:
    url = read_pasted_url(example.url)
    modules = {name: registry.vendor(name) for name in registry.vendor_names()}
    knowing = {name for name, one in modules.items() if hasattr(one, "recognise_url") and one.recognise_url(url)}
    assert knowing == {example.vendor}


@each_example
def test_what_is_printed_can_be_applied_or_says_what_is_missing(example: Example) -> None:
    imported = import_url(example.url)
    fragment, variables = with_variables(imported.fragment)
    printed = dump_document(empty_document("acme", "Acme") | fragment)
    missing = [warning for warning in imported.warnings if "To be mended" in warning or "holds neither" in warning]
    if not missing:
        check_document(read_document(printed), environment=dict.fromkeys(variables, "a secret").get)
    assert not [secret for secret in secrets_of(imported) if secret in printed]


@each_example
def test_no_secret_is_told_or_shown_unasked(example: Example) -> None:
    for damage in DAMAGES.values():
        imported = import_url(damage(example.url))
        shown = repr(imported) + "".join(imported.warnings) + dump_document(imported.fragment)
        assert not [secret for secret in secrets_of(imported) if secret in shown]


@each([one for one in EXAMPLES if not is_anywhere(one.vendor)])
@pytest.mark.parametrize("host", ["evil.example", "www.mysurveylab.com.evil.example", "evil-www.webankieta.pl"])
def test_a_foreign_host_is_nobody_s(example: Example, host: str) -> None:
    with pytest.raises(UrlNotRecognised):
        import_url(re.sub(r"(?<=//)[^/]*", host, example.url))


HOSTILE = [
    "\x00",
    "\ue0000\ue001",
    "://",
    "{{{{{{}}}}}}",
    "a" * 8001,
    "https://" + "{{" * 3000,
    "{{" + "}}" * 2000,
    "https://[::1/api.php",
    "https://\u202ewww.mysurveylab.com/api.php",
    "https://www.mysurveylab.com/" + "%" * 7000,
    "https://www.mysurveylab.com/api.php?" + "&=" * 3000,
    "https://www.mysurveylab.com/api.php?cId=\ud800&apiToken=%ff%fe&email={{\ue0001\ue001}}",
    "https://www.mysurveylab.com/pageTag/SurveyCampaign/" + "cId/../" * 900,
    "https://www.webankieta.pl/webhooks/" + "/" * 5000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_gives_an_answer_and_no_accident(text: str) -> None:
    with suppress(UrlNotRecognised):
        assert dump_document(import_url(text).fragment)
