"""The floor of what every face needs and is not stored mail: the loop, the log, sockets, names, secrets of the wire.

Law of the floor: it imports the data floor and nobody above. There is one event loop in the process and nothing here
blocks it; blocking work goes through appliance.loop.Workers. Bytes from outside are bounded before they are looked at,
and what a stranger is told never contains an exception's text.
"""
