"""Renderings of one and the same values: text for people, JSON for programs."""
