"""Tepal turns a trained scikit-learn model into a prediction service.

This package is the library: what a model is, on disk and in memory. It knows no HTTP and imports neither Flask
nor the other folders of the project.
"""

from tepal._version import __version__
from tepal.errors import (
    ArtifactError,
    InputError,
    Invalid,
    Malformed,
    ModelError,
    NotFound,
    NotReady,
    PublishError,
    TepalError,
)
from tepal.publish import Published, publish
from tepal.repository import Repository

__all__ = [
    "ArtifactError",
    "InputError",
    "Invalid",
    "Malformed",
    "ModelError",
    "NotFound",
    "NotReady",
    "PublishError",
    "Published",
    "Repository",
    "TepalError",
    "__version__",
    "publish",
]
