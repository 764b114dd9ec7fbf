"""Running the appliance: first set-up, the subcommands, the control socket, start and stop.

Law of the room: it imports data and appliance, never a face. Whoever changes the state directory holds its lock; beside
a running server that is the server, and the subcommands ask it over the control socket: never two writers.
"""
