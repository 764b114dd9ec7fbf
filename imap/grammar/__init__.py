"""The grammar of commands, sans-io (RFC 9051 §9): framed octets in, one frozen command or Bad out, never anything else."""
