"""The one place that holds the version of Tepal."""

__version__ = "0.1.0"
