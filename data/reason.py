"""Why something was decided: a code and its parameters, never a finished sentence.

Every policy decision is a Reason; its text is made at display, in the reader's language. Codes are lower-case words
joined by dots (`rcpt.unknown`, `queue.dns.timeout`); parameters are short strings or integers and hold no content.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reason:
    """One recorded cause."""

    code: str
    params: Mapping[str, str | int] = field(default_factory=dict)

    def encode(self) -> str:
        """The parameters as JSON text, for a row."""
        return json.dumps(dict(self.params), ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def decode(cls, code: str, params: str) -> Reason:
        """The Reason a row holds."""
        return cls(code, json.loads(params) if params else {})
