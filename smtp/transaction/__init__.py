"""The facts of one SMTP conversation: who speaks, how, and the envelope so far.

Law of the room: sans-io. Octets and lines come in, facts go out; nothing here decides whether mail is welcome.
"""
