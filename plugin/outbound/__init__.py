"""The only way out: every HTTP call to a vendor or a helpdesk goes through `Outbound`."""

from plugin.outbound.addresses import origin_problem
from plugin.outbound.door import Outbound

__all__ = ["Outbound", "origin_problem"]
