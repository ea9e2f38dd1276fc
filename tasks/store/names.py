"""Names of experiments, candidates and registered models: safe in paths, addresses and filters."""

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
