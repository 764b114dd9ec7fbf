"""Law of the room: screens for who runs the box; every write leaves an audit row, in the same transaction.

Pages call the functions of appliance.ops that the command line calls. Nothing here opens anybody's mail.
"""
