"""What we say no to, and why: bounds, stages, identity.

Law of the room: sans-io. Facts come in, a Reply or nothing goes out; no question here touches disk, DNS or network.
"""
