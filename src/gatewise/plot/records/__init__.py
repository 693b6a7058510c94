"""The records that pictures draw, where they are no answers of `insight`."""
