"""The composition root: every part of the appliance is built here once, handed to those who need it, started and stopped.

Order (RELIABILITY §1.3): lock, key, sockets, schema, recovery; then the loop, and on it the services in the order in
which they are added. What fails before `ready` is one line on standard error. The only file that imports everything;
rooms are imported where they are built, so that a subcommand does not pay for what only the server needs.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance import log
from appliance.ops import cli

if TYPE_CHECKING:
    from socket import socket

    from appliance.auth import Gate
    from appliance.lifecycle import Service
    from appliance.loop import Workers
    from appliance.maillog import MailLog
    from appliance.metrics import Metrics
    from appliance.net.resolver import Resolver
    from appliance.net.tls import Certificates
    from appliance.ops.state import Ground
    from appliance.space import Space
    from appliance.web.parts import WebParts
    from smtp.delivery.deliver import DeliveryParts
    from smtp.delivery.parts import RoleParts
    from smtp.queue.reporting import Reporter
    from smtp.screening.screen import Screen
    from smtp.submission import Submission

LISTENERS = ("mx", "submission", "submissions", "imap", "imaps", "managesieve", "http", "https")


@dataclass(frozen=True, slots=True)
class Parts:
    """What every face is given a share of; built once, on the running loop."""

    ground: Ground
    certificates: Certificates
    sockets: Mapping[str, list[socket]]
    workers: Workers
    metrics: Metrics
    maillog: MailLog
    gate: Gate
    resolver: Resolver
    space: Space


def serve(state: Path, given: Mapping[str, Any]) -> int:
    """Serve a state directory until a signal says otherwise; returns the exit status. Raises OperatorError."""
    from appliance.lifecycle import StartFailed
    from appliance.loop import LoopError, make_loop, run
    from appliance.net.sockets import ListenError, open_all, plan
    from appliance.net.tls import Certificates, TlsError
    from appliance.ops import serve as serving
    from appliance.ops import state as ground_floor
    from appliance.ops.errors import OperatorError
    from data.clock import SystemClock

    config = ground_floor.load_config(state, given)
    log.setup(config.log_level)
    with ground_floor.hold(state) as held:
        serving.prepare_process(config)
        ground_floor.load_keys(held.path, config)
        try:
            sockets = open_all(plan([(name, config.port(name)) for name in LISTENERS], config.bind), os.environ)
            ground = ground_floor.open_ground(held, config, SystemClock())
            try:
                serving.recover(ground, log.get("run"))
                certificates = Certificates.configured(config, held.path, log.get("tls"))
                run(make_loop(config.loop), live(ground, certificates, sockets, given))
            finally:
                ground.close()
        except (ListenError, TlsError, LoopError, StartFailed) as error:
            raise OperatorError(str(error)) from None
    return 0


async def live(
    ground: Ground, certificates: Certificates, sockets: Mapping[str, list[socket]], given: Mapping[str, Any]
) -> None:
    """On the loop: build, start, wait, stop."""
    from appliance.lifecycle import Supervisor
    from appliance.loop import LagProbe
    from appliance.ops import commands
    from appliance.ops import serve as serving
    from appliance.ops.control import ControlServer
    from appliance.ops.indexing import Indexing

    main_log, parts = log.get("run"), build(ground, certificates, sockets)
    supervisor = Supervisor(main_log)
    supervisor.add(LagProbe(parts.metrics.lag, main_log))
    roles, door = sending(parts)
    mail = (*smtp_services(parts, roles, door), *imap_services(parts), sieve_service(parts), training(parts))
    for service in (*mail, *web_services(parts, door)):
        supervisor.add(service)
    supervisor.add(Indexing(ground.index.writer, ground.store.changes, log.get("index"), lambda: parts.workers.begun))

    def run(command: str, args: Mapping[str, Any], tell: Any, actor: str) -> Mapping[str, Any]:
        if command == "metrics":
            return {"text": parts.metrics.render().decode()}
        return commands.run(ground, command, args, tell, actor)

    again = serving.Reload(ground, given, certificates, main_log)

    async def reload() -> None:
        await parts.workers.blocking(again)

    supervisor.add(ControlServer(ground.state, run, parts.workers, log.get("control")))
    supervisor.task("sweep", lambda: serving.sweep(ground, parts.workers, main_log))
    supervisor.task("certificates", lambda: certificates.watch(parts.workers.blocking))
    try:
        await serving.attend(supervisor, main_log, reload)
    finally:
        await asyncio.get_running_loop().run_in_executor(None, parts.gate.close)
        await asyncio.get_running_loop().run_in_executor(None, parts.workers.close)


def build(ground: Ground, certificates: Certificates, sockets: Mapping[str, list[socket]]) -> Parts:
    """The parts that several faces share."""
    from appliance.auth import Gate
    from appliance.loop import Workers
    from appliance.maillog import MailLog
    from appliance.metrics import Metrics
    from appliance.net import resolver
    from appliance.space import Space

    config, metrics, clock = ground.config, Metrics(), ground.clock
    workers = Workers(threads=config.limits.threads)
    app_key = ground.keys.digest(b"app passwords 1")
    gate = Gate(ground.directory, workers, clock, log.get("login"), metrics, bench=config.bench, app_key=app_key)
    metrics.watch("workers_waiting", "Calls handed to the threads and not finished", lambda: workers.waiting)
    metrics.watch("logins_waiting", "Password verifications waiting or running", lambda: gate.waiting)
    return Parts(
        ground=ground,
        certificates=certificates,
        sockets=sockets,
        workers=workers,
        metrics=metrics,
        maillog=MailLog(log.get("mail"), metrics),
        gate=gate,
        resolver=resolver.make(config.dns, clock, log.get("dns"), metrics.dns, trusted=config.dns_trusted),
        space=Space(ground.state, config.limits.disk_floor, clock),
    )


def sending(parts: Parts) -> tuple[RoleParts, Submission]:
    """What mail that comes in or goes out is handed to, and the one door for what goes out."""
    from data.store.quarantine import Quarantine
    from smtp.delivery.deliver import DeliveryParts
    from smtp.delivery.parts import RoleParts
    from smtp.delivery.ruling import Rules
    from smtp.delivery.srs import Rewriting
    from smtp.policy.limits import Outflow
    from smtp.submission import Submission

    ground, config, clock = parts.ground, parts.ground.config, parts.ground.clock
    quarantine = Quarantine(ground.db, ground.store.messages, ground.store.mailboxes, ground.story)
    roles = RoleParts(
        hostname=config.hostname,
        db=ground.db,
        delivery=DeliveryParts(
            ground.store,
            ground.directory,
            ground.spool,
            ground.story,
            rules=Rules(ground.scripts, ground.store, ground.directory, clock),
            quarantine=quarantine,
            rewriting=Rewriting(ground.keys.digest(b"return paths 1")),
        ),
        workers=parts.workers,
        space=parts.space,
        clock=clock,
        maillog=parts.maillog,
        screen=screen(parts),
    )
    return roles, Submission(roles, Outflow(clock, per_day=0) if config.bench else Outflow(clock))


def screen(parts: Parts) -> Screen:
    """What looks at content and senders."""
    from smtp.screening import screen as screening
    from smtp.screening.knowledge import Knowledge

    ground = parts.ground
    return screening.Screen(
        screening.Parts(
            Knowledge(ground.db, ground.directory, ground.keys, ground.scripts),
            ground.settings,
            parts.resolver,
            parts.workers,
            ground.clock,
            log.get("screen"),
            watch=ground.config.bench,
        )
    )


def training(parts: Parts) -> Service:
    """What learns from mail that is moved into and out of Junk."""
    from smtp.screening.knowledge import Knowledge
    from smtp.screening.training import Trainer, Training

    ground = parts.ground
    knowledge = Knowledge(ground.db, ground.directory, ground.keys, ground.scripts)
    trainer = Trainer(knowledge, ground.store.messages)
    return Training(trainer, ground.store.changes, parts.workers, ground.clock, log.get("screen"))


def smtp_services(parts: Parts, roles: RoleParts, door: Submission) -> list[Service]:
    """Mail in motion: the queue, then the listeners that fill it."""
    from smtp.listener.service import Listener, ListenerParts
    from smtp.mailauth.evaluate import Authenticator
    from smtp.msa import Msa
    from smtp.mx import Mx
    from smtp.policy.limits import limits_of

    ground, config, clock = parts.ground, parts.ground.config, parts.ground.clock
    listening = ListenerParts(
        hostname=config.hostname,
        limits=limits_of(config),
        workers=parts.workers,
        messages=ground.store.messages,
        gate=parts.gate,
        clock=clock,
        log=log.get("smtp"),
        maillog=parts.maillog,
        metrics=parts.metrics,
        tls=lambda: parts.certificates.server_context("smtp"),
        bench=config.bench,
    )
    authenticator = Authenticator(parts.resolver, parts.workers, clock, log.get("mailauth"), hostname=config.hostname)
    mx, msa = (
        Mx(roles, authenticator, bench=config.bench, one_from=not config.bench),
        Msa(roles, door, parts.gate.allows_plaintext),
    )
    return [
        authenticator,
        queue_service(parts, roles.delivery),
        Listener("mx", mx, listening, parts.sockets["mx"]),
        Listener("submission", msa, listening, parts.sockets["submission"]),
        Listener("submissions", msa, listening, parts.sockets["submissions"], tls_first=True),
    ]


def queue_service(parts: Parts, delivery: DeliveryParts) -> Service:
    """What brings mail to its next hop, and tells its sender when that fails."""
    from functools import cache

    from appliance.net.fetch import Fetcher
    from appliance.net.tls import opportunistic_context, verifying_context
    from data.directory.dkim import DkimKeys
    from data.directory.smarthosts import Smarthosts
    from data.spool.sts import StsPolicies
    from smtp.queue.attempt import Calling
    from smtp.queue.carrier import CarrierParts
    from smtp.queue.hop import Login
    from smtp.queue.hosts import Hosts
    from smtp.queue.local import LocalDelivery
    from smtp.queue.policy import QueuePolicy
    from smtp.queue.postmaster import Postmaster
    from smtp.queue.route import Router
    from smtp.queue.scheduler import Queue, QueueParts
    from smtp.queue.senders import Senders
    from smtp.queue.sts import SECONDS, Sts, StsParts
    from smtp.queue.tlspolicy import TlsPolicy

    ground, config, clock = parts.ground, parts.ground.config, parts.ground.clock
    messages, queue_log = ground.store.messages, log.get("queue")
    policy = QueuePolicy(config.route(), ground.settings, ground.directory)
    smarthosts = Smarthosts(ground.db, ground.keys)

    async def login(host: str, port: int) -> Login | None:
        found = await parts.workers.blocking(smarthosts.login, host, port)
        return None if found is None else Login(*found)

    fetcher = Fetcher(parts.resolver, seconds=SECONDS)
    sts = Sts(StsParts(parts.resolver, fetcher, StsPolicies(ground.db), parts.workers, clock, queue_log))
    calling = Calling(
        router=Router(parts.resolver, config.hostname, policy.routes),
        hosts=Hosts(clock),
        hostname=config.hostname,
        log=queue_log,
        context=opportunistic_context,
        own_machine_ok=config.profile != "production",
        proving=cache(verifying_context),
        login=login,
        policy=TlsPolicy(parts.resolver, sts, clock),
    )
    assert delivery.rewriting is not None
    senders = Senders(ground.directory, delivery.rewriting, clock)
    carrier = CarrierParts(
        db=ground.db,
        spool=ground.spool,
        messages=messages,
        keys_of=DkimKeys(ground.db, ground.keys, clock).active,
        local=LocalDelivery(delivery),
        calling=calling,
        workers=parts.workers,
        clock=clock,
        log=queue_log,
        warn=policy.warns,
        sender=senders.of,
    )
    said = reporter(ground)
    postmaster = Postmaster(
        config.hostname, ground.db, ground.spool, messages, ground.directory, ground.settings, said.catalogue, clock
    )
    queue = Queue(
        QueueParts(
            carrier,
            ground.directory,
            ground.store.changes,
            said,
            queue_log,
            parts.maillog,
            tell_postmaster=postmaster.tell,
        )
    )
    parts.metrics.watch("queue_busy", "Attempts of the queue on the wire", lambda: queue.busy)
    return queue


def reporter(ground: Ground) -> Reporter:
    """What writes the notifications to senders."""
    from appliance.i18n import Catalogue
    from smtp.queue.reporting import Reporter

    return Reporter(
        ground.config.hostname,
        ground.directory,
        ground.settings,
        Catalogue.load(),
        lambda work: ground.store.messages.content(work.item.blob),
    )


def imap_services(parts: Parts) -> list[Service]:
    """Reading mail: one hub for the process, a factory for each listener."""
    from appliance.ops.version import VERSION
    from imap.actions.call import ImapParts
    from imap.factory import ImapFactory, ImapService
    from imap.hub import Hub
    from imap.session import Rules

    ground, limits = parts.ground, parts.ground.config.limits
    hub = Hub(ground.store.changes, asyncio.get_running_loop().call_soon_threadsafe)
    shared = ImapParts(
        ground.store,
        parts.gate,
        parts.workers,
        ground.clock,
        log.get("imap"),
        hub,
        parts.maillog,
        VERSION,
        parts.space,
    )
    rules = Rules(
        message_size=limits.message_size,
        plaintext_login=ground.config.bench,
        login_seconds=limits.login_seconds,
        per_peer=limits.connections_per_ip,
    )
    services: list[Service] = []
    for name, secure in (("imap", False), ("imaps", True)):
        factory = ImapFactory(name, shared, parts.certificates, parts.metrics, rules, secure=secure)
        services.append(ImapService(factory, parts.sockets[name], implicit_tls=secure))
    return services


def sieve_service(parts: Parts) -> Service:
    """Scripts, kept from another program."""
    from smtp.managesieve.commands import SieveParts
    from smtp.managesieve.factory import SieveFactory, SieveService
    from smtp.managesieve.session import Rules

    ground, limits = parts.ground, parts.ground.config.limits
    shared = SieveParts(ground.scripts, ground.directory, parts.gate, parts.workers, log.get("managesieve"))
    rules = Rules(
        plaintext_login=ground.config.bench, login_seconds=limits.login_seconds, per_peer=limits.connections_per_ip
    )
    factory = SieveFactory(shared, parts.certificates, parts.metrics, rules)
    return SieveService(factory, parts.sockets["managesieve"])


def web_services(parts: Parts, door: Submission) -> list[Service]:
    """Pages: both faces on one site, over the listeners `http` and `https`."""
    import admin.app
    import webmail.app
    from admin.desk import Helpers
    from admin.names import Names
    from appliance.net.fetch import Fetcher
    from appliance.web.access import ADMIN, MAIL
    from appliance.web.service import WebService
    from appliance.web.streams import Streams
    from smtp.queue.returning import Returning
    from webmail.outgoing import Outgoing

    faces = {MAIL.name: webmail.app, ADMIN.name: admin.app}
    shared = web_parts(
        parts,
        statics=[face.STATIC for face in faces.values()],
        templates={name: face.TEMPLATES for name, face in faces.items()},
    )
    ground, loop = parts.ground, asyncio.get_running_loop()
    out = Outgoing(door, ground.spool, ground.db, Fetcher(parts.resolver), loop)
    back = Returning(ground.db, ground.spool, ground.store.messages, reporter(ground), ground.clock, parts.maillog)
    helpers = Helpers(back, Names(parts.resolver, loop))
    apps = {MAIL.name: webmail.app.create_app(shared, out), ADMIN.name: admin.app.create_app(shared, helpers)}
    service = WebService(shared, apps, parts.certificates, parts.sockets, Streams(shared.doorman))
    service.add(MAIL, webmail.app.natives(shared, out, service.streams))
    return [service]


def web_parts(parts: Parts, *, statics: Sequence[Path], templates: Mapping[str, Path]) -> WebParts:
    """What both faces share; `statics` and `templates` are their folders."""
    from appliance.i18n import Catalogue
    from appliance.web.pages import STATIC, Pages
    from appliance.web.parts import WebParts
    from appliance.web.statics import Statics

    ground = parts.ground
    return WebParts.build(
        state=ground.state,
        config=ground.config,
        clock=ground.clock,
        db=ground.db,
        store=ground.store,
        finder=ground.index.finder,
        directory=ground.directory,
        settings=ground.settings,
        audit=ground.audit,
        keys=ground.keys,
        gate=parts.gate,
        workers=parts.workers,
        metrics=parts.metrics,
        log=log.get("web"),
        pages=Pages(
            Catalogue.load(),
            Statics([STATIC, *statics]),
            ground.clock,
            templates,
            lambda: ground.directory.organisation().name,
        ),
    )


if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:], serve))
