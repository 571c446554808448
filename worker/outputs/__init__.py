"""Pictures that leave a worker: plans, safety filter, provenance and encoding."""
