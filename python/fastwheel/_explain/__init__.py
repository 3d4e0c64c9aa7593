"""`fastwheel.explain`: why a wheel has the tag that it has, and what to change for another one."""
