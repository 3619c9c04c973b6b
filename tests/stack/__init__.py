"""The real stack: nginx, gunicorn and Docker as a user runs them."""
