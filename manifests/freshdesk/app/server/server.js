/**
 * Tells survey-plugin when a ticket is closed, or opened again. Nothing else that happens to a ticket is sent.
 */
exports = {
  onAppInstallHandler: function () {
    renderData();
  },

  onTicketUpdateHandler: async function (payload) {
    const message = messageOf(payload);
    if (message === null) {
      return;
    }
    try {
      await $request.invokeTemplate('sendTrigger', { body: JSON.stringify(message) });
    } catch (error) {
      // Neither the ticket nor its people are named here: logs are read by others.
      console.error('The survey trigger was not sent, status ' + (error && error.status));
    }
  }
};

const PRIORITIES = { 1: 'Low', 2: 'Medium', 3: 'High', 4: 'Urgent' };

/** The message about an update, null where it neither closes the ticket nor opens it again. */
function messageOf(payload) {
  const ticket = payload.data.ticket;
  const change = statusChange(ticket);
  const closing = closingStatuses(payload.iparams);
  if (change === null || !touches(change, closing) || ticket.spam || ticket.deleted) {
    return null;
  }
  return {
    event: { time: ticket.updated_at },
    changes: { status: change },
    closing_statuses: closing.join(','),
    ticket: Object.assign(ticketFields(payload), { requester: personFields(payload.data.requester) })
  };
}

/** The old and the new status as text, null where another field was changed. */
function statusChange(ticket) {
  const change = ticket.changes && ticket.changes.status;
  return Array.isArray(change) && change.length === 2 ? change.map(String) : null;
}

function closingStatuses(iparams) {
  const listed = String((iparams && iparams.closing_statuses) || '').match(/\d+/g);
  return listed || ['4', '5'];
}

/** Whether the ticket goes into the closed statuses or comes out of them; Resolved to Closed is told as well. */
function touches(change, closing) {
  return closing.includes(change[0]) || closing.includes(change[1]);
}

function ticketFields(payload) {
  const ticket = payload.data.ticket;
  return {
    id: String(ticket.id),
    url: 'https://' + payload.domain + '/a/tickets/' + ticket.id,
    title: ticket.subject,
    status: String(ticket.status),
    type: ticket.type,
    priority: PRIORITIES[ticket.priority] || null,
    tags: ticket.tags,
    created_at: ticket.created_at,
    updated_at: ticket.updated_at,
    custom: customFields(ticket.custom_fields, '_' + payload.account_id)
  };
}

/** Custom fields by the names that administrators know: without cf_ and without the account's number behind. */
function customFields(fields, suffix) {
  const named = {};
  Object.keys(fields || {}).forEach(function (name) {
    const whole = name.replace(/^cf_/, '');
    named[whole.endsWith(suffix) ? whole.slice(0, -suffix.length) : whole] = fields[name];
  });
  return named;
}

/** The customer, whose e-mail address or number may be missing. An SMS reaches a mobile phone, so that number is first. */
function personFields(requester) {
  const person = requester || {};
  return {
    name: person.name,
    email: person.email,
    phone: person.mobile || person.phone,
    language: person.language
  };
}
