"""`fastwheel.verify`: proves that a wheel loads on every system that its tags promise, or says why not.

One module a subject; each check is a function from plain data to findings. `run` puts them together.
"""
