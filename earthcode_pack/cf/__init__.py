"""Meaning of CF metadata, as pure functions over attributes and arrays: no file is opened here."""
