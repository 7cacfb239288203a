"""The referee: arms over the same tasks, compared in pairs."""
