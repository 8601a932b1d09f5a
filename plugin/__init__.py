"""Survey-plugin: closed tickets, ended chats and CRM rules in; survey invitations out, exactly once."""

__version__ = "0.1.0"
