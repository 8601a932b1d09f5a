"""Languages as helpdesks write them, and the one tag (BCP 47) that we pass on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: `en`, `en-US`, `en_us`, `zh-Hant-TW`, `es-419`; what follows a dot or an at sign (`pl_PL.UTF-8`) is no part of it.
_TAG: Final = re.compile(
    r"(?P<language>[a-z]{2,3})(?:[-_](?P<script>[a-z]{4}))?(?:[-_](?P<region>[a-z]{2}|[0-9]{3}))?(?:[-_][a-z0-9]{5,8})*"
    r"(?:[.@].*)?",
    re.IGNORECASE,
)

#: Names of languages, in English and in the language itself, as pickers of helpdesks show them; folded.
_NAMES: Final[Mapping[str, str]] = {
    name: tag
    for tag, names in {
        "ar": "arabic, العربية",
        "bg": "bulgarian, български",
        "ca": "catalan, català",
        "cs": "czech, čeština, česky, český",
        "da": "danish, dansk",
        "de": "german, deutsch",
        "el": "greek, ελληνικά",
        "en": "english",
        "es": "spanish, español, castellano",
        "et": "estonian, eesti",
        "fi": "finnish, suomi",
        "fr": "french, français, francais",
        "he": "hebrew, עברית",
        "hi": "hindi, हिन्दी",
        "hr": "croatian, hrvatski",
        "hu": "hungarian, magyar",
        "id": "indonesian, bahasa indonesia",
        "it": "italian, italiano",
        "ja": "japanese, 日本語",
        "ko": "korean, 한국어",
        "lt": "lithuanian, lietuvių",
        "lv": "latvian, latviešu",
        "nl": "dutch, nederlands",
        "no": "norwegian, norsk",
        "nb": "norwegian bokmål, bokmål",
        "pl": "polish, polski, polska, po polsku",
        "pt": "portuguese, português",
        "pt-BR": "brazilian portuguese, portuguese (brazil), português do brasil, português (brasil)",
        "ro": "romanian, română",
        "ru": "russian, русский",
        "sk": "slovak, slovenčina, slovenský, slovensky",
        "sl": "slovenian, slovene, slovenščina",
        "sr": "serbian, српски, srpski",
        "sv": "swedish, svenska",
        "th": "thai, ไทย",
        "tr": "turkish, türkçe",
        "uk": "ukrainian, українська",
        "vi": "vietnamese, tiếng việt",
        "zh": "chinese, 中文",
        "zh-Hans": "simplified chinese, chinese (simplified), 简体中文",
        "zh-Hant": "traditional chinese, chinese (traditional), 繁體中文",
    }.items()
    for name in names.split(", ")
}
#: A name with its country or variant behind it: `English (United States)`, `Polski - Polska`.
_QUALIFIED: Final = re.compile(r"\s*(?:\(.*\)|[-–/,].*)\s*")

#: What stands where nobody knows the language.
_NONE: Final = frozenset({"und", "mul", "zxx", "nil"})

#: Codes that helpdesks and people write although the tag is another one.
_MISTAKEN: Final[Mapping[str, str]] = {"cz": "cs", "ua": "uk", "gr": "el", "jp": "ja", "iw": "he", "in": "id"}


def language_tag(text: str) -> str | None:
    """The tag that `text` means, a tag or a language's name in English or its own; None when it is no language.

    Written as BCP 47 has it: `en_us` gives `en-US`.
    """
    folded = " ".join(text.casefold().split())
    named = _NAMES.get(folded) or _NAMES.get(_QUALIFIED.sub("", folded))
    if named is not None:
        return named
    found = _TAG.fullmatch(folded)
    if found is None or found["language"] in _NONE:
        return None
    language = _MISTAKEN.get(found["language"], found["language"])
    script, region = found["script"], found["region"]
    return "-".join([language, *([script.title()] if script else []), *([region.upper()] if region else [])])


@dataclass(frozen=True)
class ChosenLanguage:
    """tag: the language to ask in. sentence: where it comes from."""

    tag: str
    sentence: str


def choose_language(told: str | None, *, unrendered: bool, source: str | None, tenant: str) -> ChosenLanguage:
    """The language of a person: what the message told, else the source's default, else the tenant's.

    told: the value of the message, None when there is none. unrendered: the sender did not fill in its placeholder.
    """
    tag = language_tag(told) if told is not None else None
    if told is not None and tag is not None:
        return ChosenLanguage(tag, f"Language {tag}, from the message{_quoted(told, tag)}.")
    if told is not None:
        why = f"since the message's{_quoted(told, '')} is no language that we know"
    else:
        why = "since its placeholder was not filled in" if unrendered else "since the message names none"
    if source is not None:
        return ChosenLanguage(source, f"Language {source}, the source's default, {why}.")
    return ChosenLanguage(tenant, f"Language {tenant}, the tenant's default, {why}.")


def translate_language(tag: str, words: Mapping[str, str]) -> str:
    """What a vendor calls a language. words: by tag; the whole tag counts before its first part, then `*`."""
    folded = {name.casefold(): word for name, word in words.items()}
    return folded.get(tag.casefold()) or folded.get(tag.partition("-")[0].casefold()) or folded.get("*") or tag


def _quoted(told: str, tag: str) -> str:
    return f" “{told[:40]}”" if told != tag else ""
