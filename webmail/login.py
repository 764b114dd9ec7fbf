"""Signing in to the webmail: the ground's flow at this face, and the page where a person minds password,
sessions and mail programs."""

from __future__ import annotations

from appliance.web.access import MAIL, Routes
from appliance.web.flow import security_routes, sign_in_routes
from appliance.web.programs import program_routes


def routes_of_login() -> tuple[Routes, ...]:
    """The routes."""
    return sign_in_routes(MAIL), security_routes(MAIL), program_routes(MAIL)
