"""The error of data that nobody can train on."""

from __future__ import annotations


class DataError(Exception):
    """The data cannot be trained on as it is; the message says where and what to do."""
