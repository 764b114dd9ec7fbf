"""The floor everything stands on: rows, blobs and the facts of mail.

Law of the floor: it blocks, it is thread-safe, it opens no sockets and knows no event loop. Every write happens
inside one transaction of the single writer, and what a write made true is published only after it was committed.
It imports nobody of ours from above.
"""
