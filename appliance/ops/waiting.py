"""Why a message waits, in words for an administrator: what was tried, where, and what came of it.

Every cause that leaves a recipient waiting (data.reason: `queue.*`, `dns.*`) is worded here; the notification to the
sender has other words, for another reader. Promises: a code nobody worded is shown as it is, with its parameters.
May not: put what a remote server said into a sentence of ours; its answer stands behind, in quotes.
"""

from __future__ import annotations

from collections.abc import Mapping

from data.reason import Reason

_WORDS: Mapping[str, str] = {
    "dns": "looking up {name} failed",
    "dns.off": "looking up other domains is switched off on this server",
    "dns.timeout": "the DNS did not answer about {name} in time",
    "dns.servfail": "the DNS could not answer about {name}",
    "queue.8bitmime": "the server takes seven-bit text only",
    "queue.auth": "we could not sign in there",
    "queue.auth.insecure": "the server did not prove its name under TLS, so it was not told the password",
    "queue.auth.mechanism": "the server offers no way to sign in that we know",
    "queue.auth.refused": "the server refused our name or password",
    "queue.auth.unproven": "the server did not sign us in as it should",
    "queue.bare": "the message holds broken line ends",
    "queue.closing": "the server is not taking mail at the moment",
    "queue.connect": "no connection to {host} ({address}): {why}",
    "queue.corrupt": "the message is damaged on our disk",
    "queue.data": "the server did not take the message",
    "queue.ehlo": "the server does not accept our EHLO",
    "queue.fault": "a fault of this server; its log says more",
    "queue.final": "the server did not take the message",
    "queue.full": "the mailbox is full",
    "queue.greeting": "the server does not accept connections from here",
    "spam.held": "our own filter finds it harmful ({why})",
    "queue.held": "held by an administrator",
    "queue.interrupted": "this server stopped during the attempt",
    "queue.local": "the mailbox could not take it at that moment",
    "queue.lost": "the server broke the connection off ({stage})",
    "queue.mail": "the server did not accept the sender",
    "queue.malformed": "the server gave an answer that makes no sense",
    "queue.nohost": "{host} has no address",
    "queue.rcpt": "the server did not accept the recipient",
    "queue.resting": "{host} could not be reached before and is left alone for a while",
    "queue.timeout": "the server did not answer in time ({stage})",
    "queue.tls": "no safe connection could be made",
    "queue.tls.certificate": "{host} did not prove who it is: {why}",
    "queue.tls.missing": "the server offers no encryption, which it has to",
    "queue.tls.mx": "{host} is not one of the hosts that the domain names in its policy (MTA-STS)",
    "queue.tls.tlsa": "the certificate that {host} must have (TLSA) could not be looked up",
    "queue.tls.refused": "the server would not begin encryption, which it has to",
}


def words(reason: Reason | None, remote: str | None, reply: str | None) -> str:
    """One line: the cause, the server it lies with, and that server's own answer."""
    if reason is None:
        return f'"{reply}"' if reply else ""
    text = _worded(reason)
    if remote and remote not in text:
        text = f"{remote}: {text}"
    return f'{text}: "{reply}"' if reply else text


def _worded(reason: Reason) -> str:
    code = reason.code
    while code not in _WORDS and "." in code:
        code = code.rpartition(".")[0]
    try:
        return _WORDS[code].format_map(reason.params)
    except KeyError:
        # a code, or a parameter of it, from another version
        return plain(reason)


def plain(reason: Reason) -> str:
    """The code and its parameters as they are, for programs and logs."""
    return " ".join([reason.code, *(f"{name}={value}" for name, value in sorted(reason.params.items()))])
