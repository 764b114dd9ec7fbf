"""The one catalogue of SMTP answers (RFC 5321 §4.2, RFC 3463, RFC 2034).

Promises: every answer a client can see stands here, once, as a constant or as a function of numbers (and one of what a
recipient wrote, cut to one printable line); none repeats what the client sent, so nothing can be injected through an answer. `closes` says that the connection ends after it. May
not: know why an answer was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: three digits, the enhanced status code (empty where RFC 2034 §3 has none), a short English text."""

    code: int
    enhanced: str
    text: str
    closes: bool = False
    wire: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Render once; the catalogue is built at import."""
        words = f"{self.code} {self.enhanced} {self.text}" if self.enhanced else f"{self.code} {self.text}"
        object.__setattr__(self, "wire", words.encode("ascii") + b"\r\n")

    @property
    def accepted(self) -> bool:
        """Was it a yes (2xx, 3xx)?"""
        return self.code < 400

    @property
    def permanent(self) -> bool:
        """Was it a no for good (5xx)?"""
        return self.code >= 500


class Refused(Exception):
    """A decision against the client: `reply` is what it is told, `why` a code for the log (no content)."""

    def __init__(self, reply: Reply, why: str) -> None:
        super().__init__(why)
        self.reply = reply
        self.why = why


def several(code: int, lines: Sequence[str]) -> bytes:
    """A reply of several lines (RFC 5321 §4.2.1), as octets."""
    *first, last = lines
    text = "".join(f"{code}-{line}\r\n" for line in first)
    return f"{text}{code} {last}\r\n".encode("ascii")


def greeting(hostname: str) -> Reply:
    """The first line of a connection (RFC 5321 §3.1)."""
    return Reply(220, "", f"{hostname} ESMTP ready")


def hello(hostname: str) -> Reply:
    """The answer to HELO."""
    return Reply(250, "", hostname)


def chunk_taken(octets: int) -> Reply:
    """The answer to a BDAT that is not the last (RFC 3030 §2)."""
    return Reply(250, "2.6.0", f"{octets} octets received")


def taken(trail: str) -> Reply:
    """The message is ours now: sent after the commit. `trail` names it in our log."""
    return Reply(250, "2.0.0", f"Accepted as {trail}")


def refused_by_rule(words: str) -> Reply:
    """The recipient does not want the message, in their own words where those can be said on one line (RFC 5429 §2.2)."""
    text = " ".join(words.split())[:400]
    said = text if text and text.isascii() and text.isprintable() else "The recipient does not want this message"
    return Reply(550, "5.7.1", said)


def challenge(base64: bytes) -> bytes:
    """A SASL challenge (RFC 4954 §4); the space stands there even before nothing."""
    return b"334 " + base64 + b"\r\n"


# --- yes ------------------------------------------------------------------------------------------------------------

OK = Reply(250, "2.0.0", "OK")
SENDER_OK = Reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")
RESET = Reply(250, "2.0.0", "Forgotten")
BYE = Reply(221, "2.0.0", "Goodbye", closes=True)
START_TLS = Reply(220, "2.0.0", "Ready to start TLS")
SIGNED_IN = Reply(235, "2.7.0", "Signed in")
GO_AHEAD = Reply(354, "", "End data with <CR><LF>.<CR><LF>")
CANNOT_VERIFY = Reply(252, "2.1.5", "Cannot say; send it and see")
HELP = Reply(214, "2.0.0", "See RFC 5321")

# --- what was said is not SMTP --------------------------------------------------------------------------------------

UNKNOWN_COMMAND = Reply(500, "5.5.1", "Command not recognised")
BAD_LINE = Reply(500, "5.5.2", "Commands are printable text that ends in CR LF", closes=True)
LINE_TOO_LONG = Reply(500, "5.5.6", "Line too long", closes=True)
NOT_UTF8 = Reply(501, "5.5.2", "Addresses are ASCII or UTF-8")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
NO_ARGUMENT = Reply(501, "5.5.4", "This command takes no argument")
HELLO_NAME = Reply(501, "5.5.4", "Say who you are: a host name or an address literal")
HELLO_FIRST = Reply(503, "5.5.1", "Send EHLO first")
EHLO_FIRST = Reply(503, "5.5.1", "Send EHLO first, extensions need it")
MAIL_SYNTAX = Reply(501, "5.5.4", "Syntax: MAIL FROM:<address> [parameters]")
RCPT_SYNTAX = Reply(501, "5.5.4", "Syntax: RCPT TO:<address> [parameters]")
BDAT_SYNTAX = Reply(501, "5.5.4", "Syntax: BDAT size [LAST]", closes=True)
AUTH_SYNTAX = Reply(501, "5.5.4", "Syntax: AUTH mechanism [initial-response]")
NESTED_MAIL = Reply(503, "5.5.1", "A sender was named already")
MAIL_FIRST = Reply(503, "5.5.1", "Send MAIL first")
RCPT_FIRST = Reply(503, "5.5.1", "Send RCPT first")
NO_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")
EARLY_DATA = Reply(503, "5.5.1", "Message data came without an invitation", closes=True)
MIXED_DATA = Reply(503, "5.5.1", "BDAT and DATA do not mix")
CHUNK_OUT_OF_PLACE = Reply(503, "5.5.1", "BDAT out of sequence")
PARAMETER_UNKNOWN = Reply(555, "5.5.4", "Parameter not recognised")
PARAMETER_BAD = Reply(501, "5.5.4", "Parameter value not valid")
NOT_HTTP = Reply(554, "5.7.0", "This is a mail server", closes=True)
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors", closes=True)
TOO_MUCH_TALK = Reply(421, "4.7.0", "Too many commands without mail", closes=True)

# --- addresses ------------------------------------------------------------------------------------------------------

BAD_SENDER = Reply(501, "5.1.7", "That is no sender address")
BAD_RECIPIENT = Reply(550, "5.1.3", "That is no recipient address")
SENDER_NEEDS_UTF8 = Reply(550, "5.6.7", "Addresses beyond ASCII need SMTPUTF8")
RECIPIENT_NEEDS_UTF8 = Reply(550, "5.6.7", "Addresses beyond ASCII need SMTPUTF8")
USER_UNKNOWN = Reply(550, "5.1.1", "No such person here")
RELAY_DENIED = Reply(550, "5.7.1", "We do not relay")
SUSPENDED = Reply(550, "5.2.1", "That address does not take mail now")
ALIAS_LOOP = Reply(550, "5.4.6", "That address leads in a circle")
TOO_MANY_UNKNOWN = Reply(421, "4.7.0", "Too many unknown recipients", closes=True)
RECIPIENT_ALONE = Reply(452, "4.5.3", "This recipient takes a message alone; send it in another transaction")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients; send the rest in another transaction")
MAILBOX_FULL = Reply(452, "4.2.2", "The mailbox is full")
NO_SPACE = Reply(452, "4.3.1", "No space left for mail now")

# --- the message ----------------------------------------------------------------------------------------------------

TOO_BIG = Reply(552, "5.3.4", "The message is larger than we take")
TOO_BIG_CLOSING = Reply(552, "5.3.4", "The message is larger than we take", closes=True)
HEADER_TOO_BIG = Reply(552, "5.3.4", "The header is larger than we take")
BAD_LINE_ENDS = Reply(550, "5.5.2", "Bare CR, bare LF and NUL are not mail", closes=True)
TOO_MANY_HOPS = Reply(554, "5.4.6", "Too many hops: the message goes in circles")
DELIVERY_LOOP = Reply(554, "5.4.6", "The message was delivered here before: it goes in circles")
PUT_OFF = Reply(451, "4.7.1", "Put off because it looks unusual; please send it again in a few minutes")
HARMFUL = Reply(550, "5.7.1", "The message holds a virus, or is junk in the eyes of its recipient")
TRY_LATER = Reply(451, "4.3.0", "Something went wrong here; nothing was accepted, try again later")

# --- submission -----------------------------------------------------------------------------------------------------

SIGN_IN_FIRST = Reply(530, "5.7.0", "Sign in first")
STARTTLS_FIRST = Reply(530, "5.7.0", "Send STARTTLS first")
MAY_NOT_SEND = Reply(550, "5.7.1", "This account may not send mail now")
NOT_YOUR_RETURN_PATH = Reply(550, "5.7.1", "You may not send as that address")
NOT_YOUR_FROM = Reply(550, "5.7.1", "You may not write as the From, Sender or Resent-From of this message")
ONE_FROM = Reply(550, "5.7.1", "A message has exactly one From field")
DMARC_FAILED = Reply(550, "5.7.1", "The domain in From does not stand by this message (DMARC), and wants it refused")
BAD_HEADER = Reply(550, "5.6.0", "The header of this message is not well formed")
TOO_MANY_TODAY = Reply(450, "4.7.1", "Too many recipients in this time; try again later")

# --- TLS and signing in ---------------------------------------------------------------------------------------------

TLS_ALREADY = Reply(503, "5.5.1", "TLS is on already")
TLS_UNAVAILABLE = Reply(454, "4.7.0", "TLS is not available now")
TLS_PIPELINED = Reply(503, "5.5.1", "Nothing may follow STARTTLS before the handshake", closes=True)
AUTH_NEEDS_TLS = Reply(538, "5.7.11", "Signing in is offered on the submission ports, under TLS")
AUTH_NOT_HERE = Reply(502, "5.5.1", "Signing in is not offered on this port")
AUTH_ALREADY = Reply(503, "5.5.1", "You are signed in already")
AUTH_IN_MAIL = Reply(503, "5.5.1", "Not inside a mail transaction")
AUTH_UNKNOWN = Reply(504, "5.5.4", "Mechanism not offered")
AUTH_CANCELLED = Reply(501, "5.7.0", "Sign-in cancelled")
AUTH_BAD = Reply(501, "5.5.2", "That is no SASL response")
AUTH_FAILED = Reply(535, "5.7.8", "User name or password not right")
AUTH_APP_PASSWORD = Reply(
    535, "5.7.8", "Two-step sign-in is on: use an app password, made in webmail under Password and sign-in"
)
AUTH_LATER = Reply(454, "4.7.0", "Signing in is not possible now; try again later")
AUTH_TOO_OFTEN = Reply(421, "4.7.0", "Too many failed sign-ins", closes=True)

# --- the connection -------------------------------------------------------------------------------------------------

TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "Too many connections from your network", closes=True)
FULL_HOUSE = Reply(421, "4.3.2", "Too many connections; try again later", closes=True)
TIMEOUT = Reply(421, "4.4.2", "You were silent for too long", closes=True)
TOO_SLOW = Reply(421, "4.4.2", "The message came too slowly", closes=True)
SHUTTING_DOWN = Reply(421, "4.3.2", "The server is stopping; try again later", closes=True)
