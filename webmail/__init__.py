"""Law of the room: screens for a mail user; no SQL, no SMTP, no rule about mail.

Pages are read from data.store and written through it; what is sent goes to smtp.submission. Rights are the store's: every
call takes the principal of the session. A page works without scripts; scripts make it quick.
"""
