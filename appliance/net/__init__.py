"""Where the house touches the network: listening sockets, TLS and names.

Each listening socket is opened once and before anything answers; there is one loader of certificates for both network
stacks; every DNS question of the process goes through one door.
"""
