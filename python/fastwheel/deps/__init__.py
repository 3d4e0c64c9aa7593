"""Dependencies: where a loader looks for libraries, and the graph of who needs whom."""

from __future__ import annotations

from fastwheel.deps.folders import Folder, Via
from fastwheel.deps.graph import build_graph, closure, missing, trace
from fastwheel.deps.objects import Edge, Graph, Object
from fastwheel.deps.search import Search

__all__ = ["Edge", "Folder", "Graph", "Object", "Search", "Via", "build_graph", "closure", "missing", "trace"]
