"""Domains: the list, one domain with the records to set, its catch-all."""

from __future__ import annotations

from flask import Response, request

from admin.desk import actor, by_whom, desk, refused, show, unchanged, version
from admin.health import reserved
from admin.records import Ports, Record, records, zone
from appliance.i18n import N_
from appliance.ops import people
from appliance.web.access import Access, Routes
from appliance.web.apps import here, moved
from appliance.web.forms import Form
from data.directory.facts import Domain
from data.errors import StoreError

routes = Routes("domains")


@routes.get("/domains", Access.ADMIN)
def listed() -> Response:
    """Our domains, and the form of a new one."""
    return _list(Form())


def _list(form: Form, status: int = 200) -> Response:
    directory = desk().directory
    accounts = [one.domain for one in directory.accounts()]
    aliases = [one.domain for one in directory.aliases()]
    helpers = desk().helpers
    rows = [
        (
            one,
            accounts.count(one.name),
            aliases.count(one.name),
            reserved(one.name),
            helpers.names.known(one.name) if helpers else None,
        )
        for one in directory.domains()
    ]
    return show("admin/domains.html", "domains", status, rows=rows, form=form)


@routes.post("/domains", Access.ADMIN)
def add() -> Response:
    """A domain whose mail becomes ours, with its keys."""
    office, form = desk(), Form(request.form)
    name = form.text("domain", most=253, required=True).lower().rstrip(".")
    if form.good and "." not in name:
        form.refuse("domain", N_("A domain has a dot in it, as example.org."))
    if form.good:
        try:
            people.add_domain(office, name, actor())
        except StoreError as error:
            refused(form, "domain", error)
    if not form.good:
        return _list(form, 422)
    return moved(f"/domains/{office.directory.domain(name).name}?done=domain-added")


@routes.get("/domains/<name>", Access.ADMIN)
def one(name: str) -> Response:
    """One domain."""
    domain = desk().directory.domain(name)
    return _one(domain, Form(address=domain.catch_all or ""))


def _one(domain: Domain, form: Form, status: int = 200, *, meanwhile: str | None = None) -> Response:
    found, helpers = _records(domain), desk().helpers
    check = helpers.names.known(domain.name) if helpers else None
    if check is not None and len(check.findings) != len(found):
        check = None  # its keys are others by now
    return show(
        "admin/domain.html",
        "domains",
        status,
        domain=domain,
        form=form,
        records=[(record, check.findings[at] if check else None) for at, record in enumerate(found)],
        check=check,
        asking=helpers.names.asking(domain.name) if helpers else False,
        dns=here().parts.config.dns != "off",
        version=version(domain.catch_all),
        meanwhile=meanwhile,
        zone=zone(domain.name, found),
        trial=reserved(domain.name),
        hostname=here().parts.config.hostname,
    )


def _records(domain: Domain) -> tuple[Record, ...]:
    config = here().parts.config
    keys = [(key.name, key.record) for key in desk().dkim.active(domain.name)]
    return records(domain.name, config.hostname, keys, Ports(config.port("submissions"), config.port("imaps")))


@routes.post("/domains/<name>/check", Access.ADMIN)
def check(name: str) -> Response:
    """Compare the records with what the world sees; changes nothing, and a page never waits for long."""
    office, config = desk(), here().parts.config
    domain = office.directory.domain(name)
    if office.helpers is None or config.dns == "off":
        return moved(f"/domains/{domain.name}")
    there = office.helpers.names.look(domain.name, config.hostname, _records(domain), office.clock.now())
    people.note(office, actor(), "domain.check", domain.name)
    return moved(f"/domains/{domain.name}" + ("" if there else "?done=looking"))


@routes.get("/domains/<name>/zone", Access.ADMIN)
def zone_file(name: str) -> Response:
    """The records as a file."""
    domain = desk().directory.domain(name)
    response = Response(zone(domain.name, _records(domain)), mimetype="text/plain")
    response.headers["Content-Disposition"] = f'attachment; filename="{domain.name}.zone"'
    return response


@routes.post("/domains/<name>/catch-all", Access.ADMIN)
def catch_all(name: str) -> Response:
    """Who gets the mail for unknown addresses; nobody when the field is empty."""
    office, form = desk(), Form(request.form)
    domain = office.directory.domain(name)
    address = form.text("address", most=320).lower()
    if address and "@" not in address:
        address = f"{address}@{domain.name}"
    seen = request.form.get("version", "")
    guard = unchanged(seen, lambda: version(office.directory.domain(domain.name).catch_all))
    if form.good:
        try:
            people.set_catch_all(
                office, domain.name, address or None, actor(), guard=guard if seen else people.unguarded
            )
        except people.Changed:
            fresh = office.directory.domain(domain.name)
            return _one(fresh, form, 409, meanwhile=by_whom(fresh.name, "domain"))
        except StoreError as error:
            refused(form, "address", error)
    return moved(f"/domains/{domain.name}?done=saved") if form.good else _one(domain, form, 422)
