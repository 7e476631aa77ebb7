"""The models, each a pure `run(clip, ...) -> frozen dataclass`: no database, no settings, no network, no Django."""
