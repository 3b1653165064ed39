"""The world: a CRM's people and companies, made from a seed, and its time."""
