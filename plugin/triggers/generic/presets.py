"""How known systems are read: tables, no code. What is not certain of a system is not in its table.

Where the sender's body is written by the customer (`own_names`), it is one of the bodies in manifests/generic, in our
own names, and the table says what of it is a closing. Sources, by system:

- Gorgias: docs.gorgias.com/en-US/http-integrations-81822, developers.gorgias.com/reference/the-integration-object
- Groove: its webhook's shape as recorded at github.com/zulip/zulip, zerver/webhooks/groove
- Jira automation: support.atlassian.com/cloud-automation/docs/jira-automation-actions
- Pipedrive: pipedrive.readme.io/docs/guide-for-webhooks-v2
- Redmine plugin: github.com/suer/redmine_webhook, lib/redmine_webhook
- Salesforce: developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_om_outboundmessaging.htm
- Znuny: doc.znuny.org/znuny_lts/admin/webservices/invoker, Kernel/GenericInterface/Invoker/Ticket/Generic.pm
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from plugin.triggers.generic.pipedrive import UNNAMED


@dataclass(frozen=True)
class Kinds:
    """Which message means which kind of event.

    path: where the deciding value stands. map: the value, folded, and the kind of event. Any other is unsupported.
    only, unless: by a path, the patterns (with `*` and `?`, several with `|` in between) of which one must fit, or
    none, or else it is unsupported too.
    """

    path: str
    map: Mapping[str, str]
    only: Mapping[str, str] = field(default_factory=dict)
    unless: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """How messages are read.

    own_names: whether what they say in our own names counts besides. fields: where each placeholder stands. kinds: what
    a message means; without it, what it says itself. id: what makes up the event's id. mark: what tells one closing
    from the next. each: where the list of events stands. account: where the sender's account stands. note: for receipts
    of messages that name no customer.
    """

    title: str = ""
    own_names: bool = True
    fields: Mapping[str, str] = field(default_factory=dict)
    kinds: Kinds | None = None
    id: Sequence[str] = ()
    mark: str = ""
    each: str = ""
    account: str = ""
    note: str = ""


_CLOSED: Final = "ticket.closed"
_CLOSING: Final = ("ticket.id", "ticket.closed_at")

PRESETS: Final[Mapping[str, Recipe]] = {
    # ticket-updated is called for every field, so only the status tells.
    "gorgias": Recipe("Gorgias", kinds=Kinds("ticket.status", {"closed": _CLOSED}), id=_CLOSING),
    "groove": Recipe(
        "Groove",
        own_names=False,
        fields={
            "ticket.id": "ticket.number | ticket_number",
            "ticket.title": "ticket.title",
            "ticket.status": "ticket.state | state",
            "ticket.priority": "ticket.priority",
            "ticket.channel": "ticket.type",
            "ticket.tags": "ticket.tags",
            "ticket.created_at": "ticket.created_at",
            "ticket.updated_at": "ticket.updated_at",
            "ticket.link": "ticket.app_url | app_url",
            "ticket.group.name": "ticket.assigned_group",
            "ticket.requester.name": "ticket.customer_name",
            # The address stands in a link only. ticket.assignee is the agent's.
            "ticket.requester.email": "last:ticket.links.customer.href",
            "ticket.assignee.email": "ticket.assignee",
        },
        kinds=Kinds(
            "ticket.state | state",
            {"closed": _CLOSED},
            only={"header:X-Groove-Event": "ticket_state_changed"},
            unless={"ticket.deleted_at": "*"},
        ),
        id=("ticket.number | ticket_number", "ticket.state_changed_at | ticket.updated_at"),
        mark="ticket.state_changed_at | ticket.updated_at",
    ),
    # Our body, or what Jira calls issue data in its own format or that of its automation.
    "jira_automation": Recipe(
        "Jira automation",
        fields={
            "ticket.id": "ticket.id | issue.key | key",
            "ticket.title": "ticket.title | issue.fields.summary | fields.summary",
            "ticket.status": "ticket.status | issue.fields.status.name | fields.status.name",
            "ticket.type": "ticket.type | issue.fields.issuetype.name | fields.issuetype.name",
            "ticket.requester.name": "ticket.requester.name | issue.fields.reporter.displayName "
            "| fields.reporter.displayName",
            # Left out by Jira where the person's profile hides it.
            "ticket.requester.email": "ticket.requester.email | issue.fields.reporter.emailAddress "
            "| fields.reporter.emailAddress",
            "ticket.assignee.email": "ticket.assignee.email | issue.fields.assignee.emailAddress "
            "| fields.assignee.emailAddress",
        },
        # The category stays the same however statuses are called.
        kinds=Kinds(
            "status_category | issue.fields.status.statusCategory.key | fields.status.statusCategory.key",
            {"done": _CLOSED},
        ),
        id=(
            "ticket.id | issue.key | key",
            "ticket.closed_at | issue.fields.statuscategorychangedate | fields.statuscategorychangedate",
        ),
        mark="ticket.closed_at | issue.fields.statuscategorychangedate | fields.statuscategorychangedate",
    ),
    # Nothing is documented of its status words: the rule that calls us says what it means.
    "liveagent": Recipe("LiveAgent", id=_CLOSING),
    "osticket": Recipe(
        "osTicket",
        # Both are states in which osTicket counts a ticket as closed; archived and deleted ones are not asked about.
        kinds=Kinds("ticket.status", {"closed": _CLOSED, "resolved": _CLOSED}),
        id=_CLOSING,
    ),
    "pipedrive": Recipe(
        "Pipedrive",
        own_names=False,
        fields={
            "crm.object": "text:deal",
            "crm.id": "data.id | current.id",
            "crm.name": "data.title | current.title",
            "crm.stage": "data.status | current.status",
        },
        kinds=Kinds(
            "data.status | current.status",
            {"won": "crm.changed", "lost": "crm.changed"},
            # A won deal that is renamed is still won: the status must be what has changed.
            only={
                "meta.entity | meta.object": "deal",
                "meta.action": "change | updated",
                "previous.status": "open",
            },
        ),
        # In both versions the same for all attempts: in the first, meta.id is the deal's.
        id=("meta.id", "data.id | current.id", "meta.timestamp_micro | meta.timestamp"),
        account="meta.company_id",
        note=UNNAMED,
    ),
    "redmine_webhook": Recipe(
        "Redmine with the plugin redmine_webhook",
        own_names=False,
        fields={
            "ticket.id": "payload.issue.id",
            "ticket.title": "payload.issue.subject",
            "ticket.status": "payload.issue.status.name",
            "ticket.type": "payload.issue.tracker.name",
            "ticket.priority": "payload.issue.priority.name",
            "ticket.created_at": "payload.issue.created_on",
            "ticket.updated_at": "payload.issue.updated_on",
            "ticket.group.name": "payload.issue.project.name",
            # A text instead of an address for changes that were made by commits.
            "ticket.link": "payload.url",
            "ticket.requester.email": "payload.issue.author.mail",
            "ticket.requester.first_name": "payload.issue.author.firstname",
            "ticket.requester.last_name": "payload.issue.author.lastname",
            "ticket.assignee.email": "payload.issue.assignee.mail",
        },
        kinds=Kinds(
            # Statuses are named freely: where they are called otherwise, the tenant's own kinds say so.
            "payload.issue.status.name",
            {"closed": _CLOSED},
            only={
                "payload.action": "updated",
                "payload.issue.closed_on": "*",
                # Not a remark on an issue that was closed long ago.
                "payload.journal.details[prop_key=status_id].value": "*",
            },
        ),
        id=("payload.journal.id",),
        mark="payload.issue.closed_on",
    ),
    "request_tracker": Recipe(
        "Request Tracker", kinds=Kinds("ticket.status", {"resolved": _CLOSED}), id=("ticket.id", "ticket.closed_at")
    ),
    "salesforce_flow": Recipe("Salesforce Flow", kinds=Kinds("ticket.status", {"closed": _CLOSED}), id=_CLOSING),
    "salesforce_outbound": Recipe(
        "Salesforce outbound message",
        own_names=False,
        each="Envelope.Body.notifications.Notification",
        fields={
            "ticket.id": "sObject.CaseNumber | sObject.Id",
            "ticket.title": "sObject.Subject",
            "ticket.status": "sObject.Status",
            "ticket.type": "sObject.Type",
            "ticket.priority": "sObject.Priority",
            "ticket.channel": "sObject.Origin",
            "ticket.created_at": "sObject.CreatedDate",
            "ticket.requester.email": "sObject.ContactEmail | sObject.SuppliedEmail",
            "ticket.requester.name": "sObject.SuppliedName",
            "ticket.requester.phone": "sObject.ContactPhone | sObject.SuppliedPhone",
        },
        # IsClosed knows the statuses of this organisation; without it, the one that Salesforce comes with.
        kinds=Kinds(
            "sObject.IsClosed | sObject.Status",
            {"true": _CLOSED, "closed": _CLOSED},
            only={"sObject.@type": "*Case"},
        ),
        id=("Id",),
        mark="sObject.ClosedDate",
        account="message:Envelope.Body.notifications.OrganizationId",
    ),
    "userlike": Recipe(
        "Userlike",
        own_names=False,
        note="Nothing is documented of Userlike's messages: set the source to state capture, and name its fields "
        "by the first message.",
    ),
    # The workflow rule decides what is a change worth asking about.
    "zoho_crm": Recipe("Zoho CRM", id=("crm.object", "crm.id", "crm.updated_at")),
    "znuny": Recipe(
        "Znuny",
        own_names=False,
        fields={
            "ticket.id": "Ticket.TicketNumber | Ticket.TicketID",
            "ticket.title": "Ticket.Title",
            "ticket.status": "Ticket.State",
            "ticket.type": "Ticket.Type",
            "ticket.priority": "Ticket.Priority",
            "ticket.created_at": "Ticket.Created",
            "ticket.updated_at": "Ticket.Changed",
            "ticket.group.name": "Ticket.Queue",
            "ticket.requester.email": "Ticket.CustomerUser.UserEmail | CustomerUser.UserEmail",
            "ticket.requester.first_name": "Ticket.CustomerUser.UserFirstname | CustomerUser.UserFirstname",
            "ticket.requester.last_name": "Ticket.CustomerUser.UserLastname | CustomerUser.UserLastname",
            "ticket.requester.language": "Ticket.CustomerUser.UserLanguage | CustomerUser.UserLanguage",
            "ticket.organization.name": "Ticket.CustomerID",
        },
        kinds=Kinds(
            "Ticket.StateType",
            {"closed": _CLOSED},
            only={"Event.Event": "TicketStateUpdate"},
            # From one closed state to another: it was closed before.
            unless={"Event.OldTicketData.StateType": "closed"},
        ),
        id=("Ticket.TicketID", "Ticket.Changed"),
        mark="Ticket.Changed",
    ),
}
