"""Signing in to the panel: the ground's flow at this face, for administrators alone."""

from __future__ import annotations

from appliance.web.access import ADMIN, Routes
from appliance.web.flow import security_routes, sign_in_routes


def routes_of_login() -> tuple[Routes, ...]:
    """The routes."""
    return sign_in_routes(ADMIN), security_routes(ADMIN)
