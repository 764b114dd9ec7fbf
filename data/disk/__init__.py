"""The database, the blob files and the seal: the only room that knows how bytes rest on the disk."""
