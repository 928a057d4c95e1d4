"""Readers: keepalived.conf and scenario YAML to frozen models, with the place of every message."""
