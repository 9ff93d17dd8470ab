"""Keeping: backups, their restore, and what is wrong with the machine they are for."""
