"""IMAP4rev1 (RFC 3501) and the base of IMAP4rev2 (RFC 9051) over the store.

Law of the room: no rule about mail lives here; whoever may do what, which UID comes next and what a message says is
decided in data. The parsers and the state machine (wire, grammar, command, session, view, response) know no socket and
no loop: octets go in, events and octets come out. Actions reach the store through worker threads; Twisted is known to
protocol and factory alone. A tagged OK is written after the commit that makes it true.
"""
