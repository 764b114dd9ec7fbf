"""Proofs of origin: what we put on mail that leaves, and what we make of the proofs on mail that comes.

Law of the room: it is given keys and answers; it asks the network nothing by itself and decides no policy.
"""
