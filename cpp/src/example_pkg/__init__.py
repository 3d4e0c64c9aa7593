"""An example package: one C++ extension that leans on a library of the build machine."""
