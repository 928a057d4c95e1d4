"""The keywords of keepalived.conf (keepalived.md §6.2).

`tables` has them as data, `walk` takes the rows of a configuration through them. The handlers stand by block
in `instance`, `checks` and `blocks`, those that many keywords share in `values`: each stores one value in a
draft and reports what keepalived makes of a bad one.
"""
