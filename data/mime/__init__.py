"""The shape of a message: parts, fields, addresses, dates and text, read from bytes that anyone may have written.

Law of the room: pure functions and sans-io scanners over bytes; no socket, no loop, no database, no clock. Nothing a
message says makes them fail: what is malformed is read as RFC 2045 §5.2 advises, and what lies beyond a bound is kept
whole but not looked into. Work is linear in the bytes read.
"""
