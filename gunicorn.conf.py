"""Settings for `gunicorn wsgi:app`; `survey-plugin serve` uses the same ones."""

import os
import sys

from plugin.app import configure_logging, read_configuration
from plugin.errors import ConfigInvalid
from plugin.web.server import gunicorn_settings

try:
    config = read_configuration()
except ConfigInvalid as error:
    sys.exit("\n".join(error.problems))
configure_logging(config.log_format)
globals().update(gunicorn_settings(config.web_concurrency))
bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"  # a platform's router reaches it from outside
