"""Mail on its way out: when to try, where to go, how to say it, and what to tell the sender when it fails.

Law of the room: data.spool holds the truth; what stands here works on rows it has leased and writes every outcome back
in one transaction. Everything that decides (backoff, dialogue, hosts, dsn) is pure; only attempt and scheduler wait.
"""
