"""Settings for `gunicorn wsgi:app`; `survey-plugin serve` uses the same ones."""

import os

from plugin.web.server import gunicorn_settings

globals().update(gunicorn_settings(int(os.environ.get("WEB_CONCURRENCY", "1"))))
bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"  # noqa: S104  # a platform's router reaches it from outside
