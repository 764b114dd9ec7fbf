"""The last yards: trace fields, one append for each account, forwards into the spool (MDA).

Law of the room: everything happens inside the transaction of whoever accepted the message; nothing here commits, waits
or opens a connection.
"""
