"""The corpus that holds the ELF editor to its bar, and the judge of what an editor did to it.

`shapes` builds files of every layout that linkers are known to write, `downloads` and `debian` bring real ones,
`malformed` spoils them; `judge` loads, lints, strips and edits again what an editor returned; `report` makes the
table of `docs/elf-report.md` (`python -m elfcorpus report` with this folder's parent on PYTHONPATH).
"""
