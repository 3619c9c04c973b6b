"""The HTTP face. Plain functions from request to response; only ``app.py`` knows Flask."""
