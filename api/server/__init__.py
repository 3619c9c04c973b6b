"""gunicorn as this service needs it: what HTTP itself refuses, deadlines, a bounded queue, one format of log."""
