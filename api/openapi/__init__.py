"""The description of the API, OpenAPI 3.1, made from the signatures of the models that are served."""
