"""Who is here: the organisation, its domains, accounts, addresses, credentials and settings.

Law of the room: it imports data.disk and data.mime and nothing else of ours. Reads are answered from a snapshot in
memory, which is taken again after a change was committed; writes happen inside somebody's transaction (`..._in`).
"""
