"""Which recordings tell of a closing, who the customer is by each, and that ids keep all their digits."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from plugin import registry
from plugin.domain.survey_call import OutboundResponse
from plugin.errors import Unreadable
from plugin.pipeline.lookups import MOST_REQUESTS
from plugin.pipeline.reading import read_events
from plugin.triggers.base.recording import read_recording
from tests.contract.test_every_source import SOURCES, api_of, places_in, proved, with_value_at
from tests.triggers.sender import sender_of

RECORDINGS = Path(__file__).parents[2] / "tests/fixtures/triggers"

#: All recordings that tell of a closing. Each of the others must not, however much it looks like one.
CLOSINGS = {
    "chatwoot": """
        automation_event_conversation_resolved conversation_resolved
        conversation_resolved_after_bot_and_agent conversation_resolved_again conversation_resolved_big_ids
        conversation_resolved_empty_email conversation_resolved_phone_only_whatsapp
        conversation_resolved_unassigned_but_answered conversation_resolved_unsigned_old_version
        wrong_content_type wrong_shapes
    """,
    "freshdesk": """
        freshchat_resolution freshchat_resolution_by_the_system freshchat_resolution_naming_its_user
        freshchat_resolution_without_conversation published_template_closed simple_mode_closed
        simple_mode_closed_form simple_mode_closed_no_change_told ticket_closed ticket_closed_after_resolved
        ticket_closed_big_id ticket_closed_by_app ticket_closed_change_as_json ticket_closed_custom_status
        ticket_closed_form ticket_closed_no_change_told ticket_closed_null_email
        ticket_closed_phone_only_customer ticket_closed_polish_label ticket_closed_unrendered
        ticket_closed_without_a_time ticket_closed_wrong_content_type
    """,
    "generic": """
        byte_order_mark chat_ended_flat chat_ended_nested gorgias_closed_address_not_rendered
        gorgias_closed_id_above_2_53 gorgias_closed_without_an_address groove_closed_address_in_a_link
        groove_closed_customer_has_no_address jira_automation_address_hidden jira_automation_done
        jira_automation_issue_data_done jira_automation_issue_data_of_automation_done liveagent_closed
        liveagent_closed_address_not_rendered lone_surrogate osticket_resolved_name_with_address
        redmine_webhook_closed_agent_beside_customer redmine_webhook_closed_by_a_commit
        redmine_webhook_closed_of_an_anonymous_author request_tracker_resolved salesforce_flow_closed
        salesforce_outbound_closed_behind_a_byte_order_mark salesforce_outbound_several_with_session
        several_in_a_list ticket_closed_flat ticket_closed_form ticket_closed_form_latin2_bytes
        ticket_closed_form_with_json_field ticket_closed_nested ticket_closed_query wrapped_in_a_key
        wrapped_list wrong_shapes xml_in_our_own_names znuny_closed_agent_beside_customer
    """,
    "helpscout": """
        convo_closed convo_closed_again convo_closed_big_ids convo_closed_chat convo_closed_created_by_user
        convo_closed_no_customer_by_user convo_closed_no_web_link convo_closed_null_and_empty_email
        convo_closed_phone_nowhere_address convo_closed_primary_customer_id_only
        convo_closed_primary_customer_of_another_writer convo_closed_user_as_primary_customer
        convo_closed_without_closed_at freescout_convo_closed freescout_convo_closed_number_of_mailbox
        freescout_convo_closed_phone_no_email wrong_content_type wrong_shapes
    """,
    "hubspot": """
        hundred_events odd_neighbours ticket_closed ticket_closed_big_ids ticket_closed_date_entered
        ticket_closed_ids_as_text ticket_closed_mixed_accounts
        ticket_closed_moved_and_closed_again_in_one_request ticket_closed_object_subscription
        ticket_closed_retry workflow_action workflow_action_unrendered_email workflow_action_without_inputs
        workflow_chosen_properties workflow_our_names workflow_our_names_by_query
        workflow_our_names_wrong_content_type workflow_ticket_record
    """,
    "intercom": """
        conversation_closed_admin_where_the_user_stands conversation_closed_again
        conversation_closed_author_is_the_contact conversation_closed_began_by_teammate
        conversation_closed_big_ids conversation_closed_by_teammate_after_bot
        conversation_closed_contact_ids conversation_closed_contacts_without_envelope
        conversation_closed_empty_email_of_lead conversation_closed_no_contacts conversation_closed_no_parts
        conversation_closed_null_email conversation_closed_several_contacts
        conversation_closed_several_contacts_none_began conversation_closed_with_ticket
        conversation_closed_with_user ticket_closed ticket_closed_big_ids ticket_closed_later_than_resolved
        ticket_closed_nobody_assigned ticket_closed_several_contacts ticket_closed_unresolved
        ticket_state_as_text ticket_state_resolved ticket_state_resolved_not_closed_yet wrong_content_type
        wrong_shapes
    """,
    "jivochat": """
        chat_finished chat_finished_big_id chat_finished_empty_address_phone_only
        chat_finished_hidden_address chat_finished_null_address chat_finished_two_agents
        chat_finished_two_agents_none_assigned chat_finished_wrong_content_type
    """,
    "livechat": """
        chat_deactivated chat_deactivated_by_customer chat_deactivated_by_router chat_deactivated_license_id
        chat_deactivated_next_thread_of_the_same_chat chat_deactivated_wrong_content_type v2_chat_ended
        v2_chat_ended_address_in_survey_only
    """,
    "tawkto": """
        chat_end chat_end_empty_address chat_end_no_event_id chat_end_second_of_the_same_chat
        chat_end_without_address
    """,
    "zammad": """
        ticket_closed ticket_closed_again ticket_closed_big_id
        ticket_closed_empty_email_mobile ticket_closed_new_article ticket_closed_number_as_number
        ticket_closed_objects_by_name ticket_closed_own_body ticket_closed_own_body_title_with_backslash
        ticket_closed_own_body_unknown_name ticket_closed_own_body_without_last_close_at
        ticket_closed_phone_only ticket_closed_polish_state ticket_closed_title_with_everything
        ticket_closed_without_delivery ticket_closed_without_last_close_at ticket_closed_without_owner
    """,
    "zendesk": """
        conversations_no_event_id conversations_several_events conversations_ticket_closed
        conversations_ticket_closed_address_among_identities conversations_ticket_closed_anonymous
        conversations_ticket_closed_full_user conversations_ticket_closed_user_by_id
        conversations_wrong_content_type conversations_wrong_shapes event_closed_at_once_big_ids
        event_closed_by_itself_after_solved event_solved event_solved_ids_as_numbers
        event_solved_no_event_id event_solved_no_requester ticket_closed ticket_closed_big_id
        ticket_closed_by_query ticket_closed_dirty_values ticket_closed_form ticket_closed_own_names
        ticket_closed_subject ticket_closed_unescaped_subject ticket_closed_unescaped_subject_in_our_body
        ticket_closed_unrendered ticket_solved_polish_label
    """,
}

#: Of these, how many closings one request tells of where it is more than one.
SEVERAL = {
    ("generic", "salesforce_outbound_several_with_session"): 2,
    ("generic", "several_in_a_list"): 2,
    ("generic", "wrapped_list"): 2,
    ("hubspot", "hundred_events"): 100,
    ("hubspot", "ticket_closed_mixed_accounts"): 2,
    ("hubspot", "ticket_closed_moved_and_closed_again_in_one_request"): 2,
    ("zendesk", "conversations_several_events"): 2,
    ("zendesk", "conversations_wrong_shapes"): 2,
}

#: Customers' addresses in the recordings are here; those of agents, teams, copies and intakes are anywhere else.
CUSTOMERS = re.compile(r"(@|%40)example\.com")
THEIR_ADDRESSES = ("person.email", "ticket.requester.email", "chat.visitor.email")
#: What senders put where an address would stand.
NO_ADDRESS = [None, "", 0, {}, []]

EVERY = [(path.parent.name, path.stem) for path in sorted(RECORDINGS.glob("*/*.json"))]
CLOSING = [(name, stem) for name, stems in CLOSINGS.items() for stem in stems.split()]
every_recording = pytest.mark.parametrize(("name", "stem"), EVERY, ids=["-".join(one) for one in EVERY])
every_closing = pytest.mark.parametrize(("name", "stem"), CLOSING, ids=["-".join(one) for one in CLOSING])


def recorded(name, stem):
    return read_recording((RECORDINGS / name / f"{stem}.json").read_bytes())


def events_of(name, stem, request):
    """What is this tenant's in a request; nothing where it cannot be read."""
    told, schema = sender_of(name).settings_for(stem), registry.source(name).SOURCE.settings
    try:
        return read_events(name, request, schema().load(told) if schema and told else told).events
    except Unreadable:
        return ()


# --- closings ---------------------------------------------------------------------------------------------------------


@every_recording
def test_a_closing_is_told_once_and_what_only_looks_like_one_is_none(name, stem):
    closings = [event for event in events_of(name, stem, recorded(name, stem)) if event.kind.closes]
    expected = SEVERAL.get((name, stem), 1) if (name, stem) in CLOSING else 0
    assert len(closings) == expected, "a closing that is rightly told belongs into the table CLOSINGS"


def test_the_table_of_closings_names_recordings_that_exist():
    assert set(CLOSING) <= set(EVERY)
    assert set(SEVERAL) <= set(CLOSING)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_shown_by_closings_and_by_look_alikes(name):
    stems = {stem for source, stem in EVERY if source == name}
    closings = {stem for source, stem in CLOSING if source == name}
    assert len(stems) >= 4
    if not any(kind.closes for kind in registry.source(name).SOURCE.events):
        assert not closings
        return
    assert len(closings) >= 2
    assert len({stem for stem in stems - closings if not stem.startswith(("unreadable_", "ping"))}) >= 2


# --- who the customer is ----------------------------------------------------------------------------------------------


@every_recording
def test_no_address_but_the_customers_is_taken_for_the_customers(name, stem):
    for event in events_of(name, stem, recorded(name, stem)):
        for address in filter(None, map(event.values.get, THEIR_ADDRESSES)):
            assert CUSTOMERS.search(address)


@every_recording
def test_where_the_customers_address_is_missing_nobody_elses_is_taken(name, stem):
    request = recorded(name, stem)
    document = document_in(request)
    if document is None:
        return
    for instead in NO_ADDRESS:
        for event in events_of(name, stem, replace(request, body=without_customers(document, instead))):
            assert not [place for place in THEIR_ADDRESSES if "@" in event.values.get(place, "")]


@pytest.mark.parametrize("name", [name for name in SOURCES if api_of(name) is not None])
@pytest.mark.parametrize("instead", NO_ADDRESS, ids=repr)
def test_where_the_senders_api_does_not_tell_the_customers_address_nobody_elses_is_taken(name, instead):
    request, credentials = proved(name)
    module = registry.source(name)
    event = next(event for event in module.parse(request) if event.kind.closes)
    for _ in range(MOST_REQUESTS):
        asked = module.lookup(event, credentials)
        if asked is None:
            break
        status, answer = api_of(name)(asked.method, asked.url().removeprefix(asked.origin))
        if status != 200:
            break
        try:
            event = module.complete(event, OutboundResponse(200, body=without_customers(answer, instead)))
        except Unreadable:
            break
    assert not [place for place in THEIR_ADDRESSES if "@" in event.values.get(place, "")]


def document_in(request):
    """The JSON of a body, or None; a query is another way to say the same."""
    try:
        return json.loads(request.body) if not request.query else None
    except ValueError:
        return None


def without_customers(document, instead):
    """A document in which something else stands wherever an address of a customer stood."""
    for place in list(places_in(document)):
        value = value_at(document, place)
        if isinstance(value, str) and CUSTOMERS.search(value):
            document = with_value_at(document, place, instead)
    return json.dumps(document).encode()


def value_at(node, place):
    for key in place:
        node = node[key]
    return node


# --- ids --------------------------------------------------------------------------------------------------------------

#: Beyond what a double can tell from its neighbours: as one it would lose its last digit.
BIG = "9007199254740993"
BLURRED = re.compile(r"(?<!\d)900719925474099[0-24-9](?!\d)|9\.0071992547\d*[eE]\+?15")


@every_closing
def test_ids_above_two_to_the_53rd_keep_every_digit(name, stem):
    """Each number is made a large one, and the same as text: it is never rounded, wherever it goes."""
    request = recorded(name, stem)
    document = document_in(request)
    if document is None:
        return
    named_by = 0
    for place in places_in(document):
        value = value_at(document, place)
        if isinstance(value, bool) or not re.fullmatch(r"\s*\d+\s*", str(value)):
            continue
        spoken = [
            events_of(name, stem, replace(request, body=json.dumps(with_value_at(document, place, id_)).encode()))
            for id_ in (int(BIG), BIG)
        ]
        assert not [said for said in map(said_by, spoken) if BLURRED.search(said)], place
        subjects = [{event.subject.rpartition(":")[2] for event in events if event.subject} for events in spoken]
        assert (BIG in subjects[0]) is (BIG in subjects[1]), f"{place} names what it is about only by one type"
        named_by += BIG in subjects[0]
    numbered = re.search(r":\d+ ", said_by(events_of(name, stem, request)))
    assert named_by or not numbered


def said_by(events):
    """All that events say by themselves, the subject first."""
    return "\n".join(
        f"{event.subject} {event.id} {event.closing_mark} {event.account} {event.correlation} {dict(event.values)}"
        for event in events
    )


def test_an_id_that_was_rounded_would_be_seen():
    assert BLURRED.search(str(int(float(BIG))))
    assert not BLURRED.search(BIG)
