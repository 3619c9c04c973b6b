"""Protocols as clients speak them: one file each, with its routes, its answer shape and its error shape."""
