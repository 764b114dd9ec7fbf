"""The text index: derived from the store, sealed like it, deletable at any time, rebuilt by itself.

Law of the room: nothing here is the truth. The rows and blobs of data.store are; what the index says about them counts
only while its outbox and its generation prove that it says everything. Whoosh answers which messages hold a word,
everything structured (mailbox, flag, date, order, rights) is SQL. The one place that knows Whoosh.
"""
