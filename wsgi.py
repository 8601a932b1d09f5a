"""The application for any WSGI server: `gunicorn wsgi:app`."""

from plugin.app import create_app

app = create_app()
