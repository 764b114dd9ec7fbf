"""Sample letters: the first one everybody reads, and an invitation that is answered today."""

from __future__ import annotations

from typing import Final

from appliance.ops.samples.letter import NEW, Letter

_TEXT: Final = """Welcome,

this mailbox is a trial: the mail in it was made up, so that there is something
to read. A few things worth a minute each:

 - Open "Café Winter: who measures?": six messages in one conversation.
 - Search for oak, or for  from:clara has:attachment , or for  滑轨 .
 - Open "A chair in one weekend": its pictures stay away until you ask for them.
 - Write to one of the other two, and sign in as them in a second window:
   the message arrives while you watch.
 - Press ? for the keys. j and k go down and up, e archives, z takes it back.
 - Mail to the outside stays in the queue: this domain exists only here.
"""
_END: Final = "\n Ctrl-C in the terminal stops the server; make reset throws it all away.\n"
_LAST: Final[dict[str, str]] = {
    "ada": " - You administer this server: users, domains, queue and log are in the panel,\n   at /admin/ .\n",
    "ann": " - Your own phone or Thunderbird? Password and sign-in says how to connect it.\n",
    "bob": " - 您的邮件里有中文：界面语言可以在“密码与登录”里改成简体中文。\n",
}


def letters() -> tuple[Letter, ...]:
    """One for each of the three."""
    return tuple(_welcome(person, _TEXT + last + _END) for person, last in _LAST.items())


def _welcome(person: str, text: str) -> Letter:
    subject = "Welcome to your trial: what to look at first"
    return Letter(f"welcome.{person}", "trial", (person,), subject, text, 0, "0:02", lies={person: NEW})
