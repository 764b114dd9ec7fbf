"""What a person lets happen to their mail by rule: Sieve, the rules of the webmail as Sieve, who is answered while away.

Law of the room: facts of a message go in, actions come out. Nothing here connects, delivers or reads a clock; scripts and
what was answered are rows, everything else is pure. The interpreter knows of no account.
"""
