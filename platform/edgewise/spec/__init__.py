"""What users choose, declared once.

Each parameter of a dataset and of a run, and each network, is declared here and nowhere else: forms, REST serializers,
OpenAPI, `docs/parameters.md`, the stored JSON and the engine's typed input all come from these models. The package
needs pydantic alone, so that the web process, the workers and the engine can share it.
"""
