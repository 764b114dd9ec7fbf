"""The ports 25, 587 and 465: aiosmtpd's protocol, hardened, on sockets that are open already.

Law of the room: the only importer of aiosmtpd. Here stand transport, framing, deadlines and the order of verbs; what is
taken or refused, and what becomes of a message, a role (smtp.mx, smtp.submission) decides.
"""
