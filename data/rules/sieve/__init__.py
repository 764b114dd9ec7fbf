"""Sieve (RFC 5228 and its extensions): text -> tokens -> grammar -> checked script -> actions. Pure, bounded, linear.

Law of the room: `compile_script` once, `run` for each message. A script that is wrong is a SieveError with its line and
column; a script that goes wrong keeps the message. Whatever somebody writes into a script costs a bounded amount of work.
"""
