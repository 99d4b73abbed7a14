"""Frozen networks: how their folders are checked, how they are called so that a row alone has the same bits."""
