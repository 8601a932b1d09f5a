"""Settings for `gunicorn wsgi:app`; `survey-plugin serve` uses the same ones."""

import os
import sys

from plugin.app import configure_logging, read_configuration
from plugin.errors import ConfigInvalid
from plugin.web.server import gunicorn_settings

# Its name must be none of gunicorn's settings, which this file is read for.
try:
    installation = read_configuration()
except ConfigInvalid as error:
    sys.exit("\n".join(error.problems))
configure_logging(installation.log_format)
globals().update(gunicorn_settings(installation.web_concurrency))
bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"  # a platform's router reaches it from outside
