"""Packages raw research outputs as cloud-optimised data with measured STAC."""
