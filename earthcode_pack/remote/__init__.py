"""Bundles in a working directory at a URL: the local mirror, and the parts that workers put there."""
