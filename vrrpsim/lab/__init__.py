"""Scenarios in network namespaces: real keepalived, real HAProxy, real time."""
