"""Mail at rest: mailboxes, messages, flags, the change log and search. Rights are checked here and nowhere else."""
