"""The keywords of keepalived.conf (keepalived.md §6.2).

`tables` has them as data, `walker` takes the rows of a configuration through them. The handlers stand by
block in `instance`, `trackers` and `blocks`, those that many keywords share in `handlers`: each stores one
value in what is being parsed and reports what keepalived makes of a bad one.
"""
