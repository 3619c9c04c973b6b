"""Fitted estimators as plain calls of their own kernels: the same answers without the way to them."""
