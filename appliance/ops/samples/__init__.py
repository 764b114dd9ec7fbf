"""The mail of a trial: what a small workshop has in its mailboxes, so that there is something to read, find and answer.

Promises: every word, picture and paper here was made for this purpose; nobody in it exists, every domain is one of those
set aside for examples (RFC 2606). Added by the first start of a trial alone, once, in one transaction; a real
installation never sees it. `letter` says what a sample is, `papers` makes files, `fill` puts them into the store; the
other modules are tables of letters.
"""
