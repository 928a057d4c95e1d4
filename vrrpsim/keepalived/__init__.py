"""The reader of keepalived.conf: words to frozen configurations and back, with the place of every message."""
