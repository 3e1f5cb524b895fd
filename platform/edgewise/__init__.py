"""Edgewise: from recorded words to a keyword spotter on a device."""

__version__ = "0.1.0"
