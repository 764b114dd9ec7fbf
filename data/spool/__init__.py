"""The durable outgoing queue: rows that survive a crash; smtp.queue works on them.

Law of the room: it imports data.disk, data.store and data.story and knows neither sockets nor time of its own: every
call is given the moment, or takes the transaction's.
"""
