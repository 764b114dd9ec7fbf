"""Mail in motion: we receive (MX), we take in for our people (MSA), we deliver (MDA), we send on (MTA).

Law of the room: a reply that says 2xx to a message is sent after the commit that makes it true, and what cannot be
committed is answered 4xx and forgotten. Nobody is trusted because of where they connect from. Only smtp.listener
knows aiosmtpd; what is decided (smtp.policy) and what is parsed (smtp.transaction) touches no socket and no loop.
"""
