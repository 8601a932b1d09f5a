"""What this installation has done and how it stands, for Prometheus.

Every process counts in memory and adds what it counted to the store every few seconds; a scrape reads the store. So
each web machine tells the same truth, and a restart loses nothing that was stored.
"""

from plugin.metrics.meter import FLUSH_EVERY, Meter
from plugin.metrics.scrape import Scrape

__all__ = ["FLUSH_EVERY", "Meter", "Scrape"]
