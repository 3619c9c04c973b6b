"""The tests mirror the sources path for path; ``stack/`` owns the real gunicorn, nginx, Docker and browser."""
