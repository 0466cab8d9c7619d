"""The Flask application: mounts every blueprint, and is the only place that does."""

from __future__ import annotations

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from control.api import blueprints as api
from control.api.agents import blueprint as agents
from control.api.attempts import blueprint as attempts
from control.bootstrap import Wiring
from control.web import blueprints as web

MAX_REQUEST_BYTES = 1100 * 1024 * 1024
"""A little above the clients' limit for a package (client-contract.md 2.4)."""


def create_app(wiring: Wiring) -> Flask:
    """Build the application over a world."""
    settings = wiring.settings
    app = Flask("talkoot", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    app.config["PUBLIC_URL"] = settings.public_url
    app.config["SESSION_HOURS"] = settings.session_hours
    app.config["DEVELOPMENT"] = settings.is_development
    app.extensions["talkoot"] = wiring.world
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = True
    app.register_blueprint(agents)
    app.register_blueprint(attempts)
    api.register(app)
    web.register(app)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops)
    return app
