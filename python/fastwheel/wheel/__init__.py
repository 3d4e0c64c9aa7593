"""Wheels as archives: read strictly, written deterministically. One module a subject; import from the modules."""
