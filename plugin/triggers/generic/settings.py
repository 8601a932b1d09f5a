"""How a tenant wants the messages of a source read: `settings` of a generic source. It holds no secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import ValidationError, fields, validate, validates_schema

from plugin.domain.event import CATALOGUE, CUSTOM_PREFIX, EventKind, is_known
from plugin.domain.fields import Choice, Group, Named, StrictSchema, Text
from plugin.triggers.base.message import MARK_NAMES, SENDER_ROOTS
from plugin.triggers.base.paths import LONGEST, names_header, path_problem
from plugin.triggers.generic.presets import PRESETS, Kinds, Recipe

#: What a message may be made to mean.
KINDS: Final[Mapping[str, str]] = {
    kind.value: kind.label
    for kind in (
        EventKind.TICKET_CLOSED,
        EventKind.TICKET_REOPENED,
        EventKind.CHAT_ENDED,
        EventKind.CRM_CHANGED,
        EventKind.UNSUPPORTED,
    )
}
#: Parts of the names of headers that are not kept, so that what stands in them could not be read again.
_NOT_KEPT: Final = ("auth", "signature", "secret", "token", "key", "cookie", "password", "hmac")
_MOST_PARTS: Final = 5


def check_path(text: str) -> None:
    """Raises ValidationError."""
    problem = path_problem(text)
    if problem is not None:
        raise ValidationError(problem)
    for header in names_header(text):
        if header != "idempotency-key" and any(part in header for part in _NOT_KEPT):
            raise ValidationError("names a header that may hold a secret, which is never kept.")


def _path(label: str, **kwargs: Any) -> Text:
    return Text(label=label, example="ticket.id", max_length=LONGEST, checks=[check_path], **kwargs)


def _patterns(label: str, help_: str) -> Named:
    return Named(
        Text(label="Pattern", example="closed"), label=label, help=help_, name_pattern=r".+", name_message="", most=20
    )


class Parts(fields.List[Any]):
    """Several paths, or a single one."""

    default_error_messages = {"invalid": "must be a path or a list of paths."}  # noqa: RUF012  # marshmallow reads it

    def __init__(self, *, label: str, help: str) -> None:  # noqa: A002  # the word that forms use
        size = validate.Length(1, _MOST_PARTS, error=f"must hold 1 to {_MOST_PARTS} paths.")
        metadata = {"label": label, "help": help, "example": "ticket.id", "secret": False}
        super().__init__(_path("Path", required=True), validate=size, metadata=metadata)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return super()._deserialize([value] if isinstance(value, str) else value, attr, data, **kwargs)


class KindsSchema(StrictSchema):
    path = _path("Where it stands what has happened", required=True)
    map = Named(
        Choice(KINDS, label="Kind of event"),
        label="Which value means which kind of event",
        help="Any value that is not listed is kept and counted, and nobody is asked.",
        name_pattern=r".+",
        name_message="must not be empty.",
        required=True,
    )
    only = _patterns(  # type: ignore[assignment]  # marshmallow takes its fields out of the class
        "Only where", "By a path, what must stand there: a text, * for anything, several with | between."
    )
    unless = _patterns("But not where", "The same the other way round.")

    @validates_schema
    def check_conditions(self, data: Mapping[str, Any], **_: object) -> None:
        for part in ("only", "unless"):
            for path in data.get(part, {}):
                try:
                    check_path(path)
                except ValidationError as error:
                    raise ValidationError({path: error.messages}, part) from None


class ReadingSchema(StrictSchema):
    preset = Choice(
        {name: recipe.title for name, recipe in PRESETS.items()},
        label="System",
        help="How a known system is read. Whatever is said below wins over it.",
    )
    fields = Named(  # type: ignore[assignment]  # marshmallow takes its fields out of the class
        _path("Path"),
        label="Where each placeholder stands",
        help="Placeholders and the paths that lead to their values.",
        name_pattern=r".+",
        name_message="must not be empty.",
    )
    kinds = Group(KindsSchema, label="What has happened", help="Left out, the message says so itself.")
    id = Parts(label="The event's id", help="One path or several that together tell an event from all others.")
    mark = _path("What tells one closing from the next", help="Such as the time of closing.")
    each = _path("Where the list of events stands", help="For messages that hold several.")
    account = Text(
        label="Account",
        help="The sender's own id of your account: messages about another one are dropped. Only for presets that know "
        "where it stands.",
        example="00D000000000001AAA",
    )

    @validates_schema
    def check_names(self, data: Mapping[str, Any], **_: object) -> None:
        for name in data.get("fields", {}):
            if not _is_settable(name):
                raise ValidationError({name: [_unknown(name)]}, "fields")

    @validates_schema
    def check_account(self, data: Mapping[str, Any], **_: object) -> None:
        preset = PRESETS.get(data.get("preset", ""))
        if "account" in data and (preset is None or not preset.account):
            knowing = ", ".join(name for name, recipe in PRESETS.items() if recipe.account)
            raise ValidationError(f"is known to these presets only: {knowing}.", "account")


def recipe_of(settings: Mapping[str, Any]) -> Recipe:
    """The preset with all that the tenant says otherwise. settings: as the schema loaded them."""
    preset = PRESETS.get(settings.get("preset", ""), Recipe())
    kinds = settings.get("kinds")
    return Recipe(
        own_names=preset.own_names,
        fields={**preset.fields, **settings.get("fields", {})},
        kinds=_kinds(kinds) if kinds else preset.kinds,
        id=tuple(settings.get("id", preset.id)),
        mark=settings.get("mark", preset.mark),
        each=settings.get("each", preset.each),
        account=preset.account,
        note=preset.note,
    )


def _kinds(told: Mapping[str, Any]) -> Kinds:
    folded = {value.strip().casefold(): kind for value, kind in told["map"].items()}
    return Kinds(told["path"], folded, told.get("only", {}), told.get("unless", {}))


def _is_settable(name: str) -> bool:
    known = name in CATALOGUE or name in MARK_NAMES or (name.startswith(CUSTOM_PREFIX) and is_known(name))
    return known and name.partition(".")[0] in SENDER_ROOTS and name not in {"event.id", "event.kind"}


def _unknown(name: str) -> str:
    if name in {"event.id", "event.kind"}:
        return f"is said by {name.removeprefix('event.').replace('kind', 'kinds')} beside fields."
    return "is no placeholder that a sender can fill in."
