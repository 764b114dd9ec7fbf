"""ManageSieve (RFC 5804): a person's scripts, kept and checked from another program, on port 4190.

Law of the room: wire, words and session are sans-io; Twisted stands in protocol and factory alone. What a script may be is
data.rules' to say, who somebody is the login gate's.
"""
