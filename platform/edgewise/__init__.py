"""Edgewise: from recorded words to a keyword spotter on a device."""
